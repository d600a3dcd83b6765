"""Tests of pycast.config.secret_files: a secret comes from the file that its key names, and is never shown."""

import os
import random
from pathlib import Path

import pytest

from pycast.config.load import embedded_text, in_force, loads, made_up_passwords
from pycast.config.schema import Config
from pycast.config.secret_files import file_advice, read_secret, secrets_by_file, with_secrets
from pycast.config.section import Key, Section
from pycast.errors import ConfigError


def sections() -> list[type[Section]]:
    return [key.section for key in Config.KEYS.values() if key.section]


SECRETS = [(section, key) for section in sections() for key in section.KEYS.values() if key.is_secret]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("correct horse\n")
    path.chmod(0o600)
    return path


def problems(text: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loads(text, environ, "f.toml")
    return caught.value.problems


@pytest.mark.parametrize(("section", "key"), SECRETS, ids=lambda one: one.name if isinstance(one, Key) else "")
def test_every_secret_has_a_twin_for_a_file(section: type[Section], key: Key) -> None:
    twin = section.KEYS[f"{key.name}_file"]
    assert (twin.secret, twin.needs_restart, twin.is_secret) == (key.name, key.needs_restart, False)


def test_every_key_that_sounds_like_a_secret_is_one() -> None:
    sounding = {
        key.name
        for section in sections()
        for key in section.KEYS.values()
        if not key.secret and any(word in key.name for word in ("password", "secret", "token"))
    }
    assert sounding == {key.name for _, key in SECRETS}
    assert sounding == {"source_password", "relay_password", "admin_password", "password", "secret", "cluster_password"}


def test_secrets_come_from_files_in_the_file_and_in_the_environment(file: Path) -> None:
    config = loads(
        f'[authentication]\nsource_password_file = "{file}"\n[[mount]]\nmount_name = "/a"\npassword_file = "{file}"\n',
        {"PYCAST_CLUSTER__SECRET_FILE": str(file), "PYCAST_MOUNT__1__PASSWORD_FILE": str(file)}
        | {"PYCAST_MOUNT__1__MOUNT_NAME": "/b"},
        "f.toml",
    )
    assert config.authentication.source_password == "correct horse"
    assert config.authentication.admin_password == "hackme"
    assert config.is_clustered
    assert [config.for_mount(name).password for name in ("/a", "/b", "/c")] == ["correct horse"] * 3
    assert secrets_by_file(config) == {str(file): "correct horse"}


@pytest.mark.parametrize("content", [b"a b", b"a b\n", b"a b\r\n", b"\xef\xbb\xbfa b\n", b"a b\n\n"])
def test_end_of_the_line_and_the_mark_of_an_editor_do_not_belong_to_it(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    assert read_secret(str(file)) == "a b"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\r\n", "it is empty"),
        (b"geheim\nzwei\n", "one line"),
        (b"geheim\0", "one line"),
        (b"geheim\xff", "UTF-8"),
        (b"g" * 5000, "one line"),
    ],
)
def test_file_that_holds_no_secret_is_refused_and_not_quoted(file: Path, content: bytes, said: str) -> None:
    file.write_bytes(content)
    [problem] = problems(f'[authentication]\nadmin_password_file = "{file}"\n')
    assert problem.startswith(f'f.toml:2: authentication.admin_password_file = "{file}"'[:60])
    assert "authentication.admin_password_file" in problem
    assert said in problem
    assert "geheim" not in problem


def test_file_that_cannot_be_read_is_named_with_its_key(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    for name, said in (("none", "No such file"), ("", "this is none"), ("pipe", "this is none")):
        [problem] = problems("", PYCAST_CLUSTER__SECRET_FILE=str(tmp_path / name))
        assert problem.startswith("PYCAST_CLUSTER__SECRET_FILE: cluster.secret_file = ")
        assert "expected a file that" in problem
        assert said in problem


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = f'[limits]\nclients = 0\n[authentication]\nadmin_password_file = "{tmp_path}/no"\n'
    assert [problem.split(" ")[1] for problem in problems(text)] == [
        "limits.clients",
        "authentication.admin_password_file",
    ]


def test_secret_and_its_file_together_are_an_error(file: Path) -> None:
    [problem] = problems(f'[cluster]\nsecret = "geheim"\nsecret_file = "{file}"\n')
    assert "expected either secret or secret_file, not both" in problem
    assert "geheim" not in problem
    environ = {"PYCAST_CLUSTER__SECRET": "geheim", "PYCAST_CLUSTER__SECRET_FILE": str(file)}
    assert "not both" in problems("", **environ)[0]


@pytest.mark.parametrize("name", ["PYCAST_CLUSTER__SECRET", "PYCAST_CLUSTER__SECRET_FILE"])
def test_environment_replaces_the_files_secret_in_either_form(file: Path, name: str) -> None:
    value = "correct horse" if name.endswith("SECRET") else str(file)
    for text in ('[cluster]\nsecret = "old"\n', '[cluster]\nsecret_file = "/no"\n'):
        assert loads(text, {name: value}, "f.toml").cluster.secret == "correct horse"


def test_made_up_password_gives_way_to_a_file(file: Path) -> None:
    made_up = made_up_passwords(random.Random(1))
    config = loads(embedded_text(made_up), {"PYCAST_AUTHENTICATION__ADMIN_PASSWORD_FILE": str(file)}, "defaults")
    assert config.authentication.admin_password == "correct horse"
    assert in_force(made_up, config) == {"source_password", "relay_password"}


def test_changed_file_is_read_again_and_a_broken_one_is_a_problem(file: Path) -> None:
    config = loads(f'[authentication]\nadmin_password_file = "{file}"\n', {}, "f.toml")
    file.write_text("another one")
    again, wrong = with_secrets(config)
    assert (again.authentication.admin_password, wrong) == ("another one", [])
    file.unlink()
    kept, wrong = with_secrets(again)
    assert kept.authentication.admin_password == "another one"
    assert [path for path, _, _ in wrong] == [("authentication", "admin_password_file")]


def test_file_that_everybody_can_read_is_pointed_out(file: Path) -> None:
    config = loads(f'[[mount]]\nmount_name = "/a"\npassword_file = "{file}"\n', {}, "f.toml")
    assert list(file_advice(config)) == []
    file.chmod(0o644)
    assert list(file_advice(config)) == [
        f'mount[0].password_file = "{file}": every user of this machine can read it; chmod o-r makes it private'
    ]


def test_sections_do_not_show_secrets(file: Path) -> None:
    config = loads(f'[authentication]\nadmin_password_file = "{file}"\nsource_password = "geheim"\n', {}, "f.toml")
    assert "geheim" not in repr(config)
    assert "correct horse" not in repr(config)
