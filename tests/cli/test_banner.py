"""What a started server says: where it is, what to try, and passwords only when they were made up for this run."""

from collections.abc import Collection
from pathlib import Path

import click
import pytest

from pycast.cli.banner import Banner, base_url, demo_banner, serve_banner
from pycast.config.load import loads
from pycast.config.schema import Config

LOGIN = (
    '[authentication]\nsource_password = "sourceword"\nadmin_password = "adminsword"\nrelay_password = "relaysword"\n'
)
TLS = '[tls]\ncertificate = "c.pem"\n'


def config(toml: str = LOGIN) -> Config:
    return loads(toml, {}, "test")


ALL = ("source_password", "admin_password", "relay_password")


def said(toml: str = LOGIN, path: Path | None = None, port: int = 8000, made_up: Collection[str] = ALL) -> list[str]:
    made_up = () if path else made_up
    return [click.unstyle(line) for line in serve_banner(config(toml), path, made_up, (port,))]


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("", "http://localhost:9"),
        ('bind_address = "0.0.0.0"', "http://localhost:9"),
        ('bind_address = "::"', "http://localhost:9"),
        ('bind_address = "::1"', "http://[::1]:9"),
        ('bind_address = "10.0.0.9"', "http://10.0.0.9:9"),
        ("tls = true", "https://localhost:9"),
    ],
)
def test_the_address_is_one_that_opens_on_this_machine(listen: str, url: str) -> None:
    assert base_url(config(f"{TLS}[[listen]]\n{listen}\n"), (9,), "admin") == url


def test_without_a_file_it_says_so_and_shows_the_passwords_of_this_run() -> None:
    lines = said()
    assert "Found no ./pycast.toml" in lines[1]
    assert [line.split()[2] for line in lines if line.startswith("  ") and " for " in line] == [
        "sourceword",
        "adminsword",
        "relaysword",
    ]


def test_a_line_to_be_copied_stands_alone_and_works_as_it_is() -> None:
    commands = [line.strip() for line in said() if line.startswith(("  ffmpeg", "  mpv"))]
    assert commands[0].endswith(" icecast://source:sourceword@localhost:8000/live.mp3")
    assert commands[1] == "mpv http://localhost:8000/live.mp3"


def test_with_a_file_no_password_is_shown_and_its_advice_is() -> None:
    lines = said('[authentication]\nsource_password = "geheim"\n', Path("/etc/pycast.toml"))
    assert lines[1] == "Configuration: /etc/pycast.toml"
    assert any(line.startswith("warning: authentication.") and "publicly known" in line for line in lines)
    assert "geheim" not in "\n".join(lines)


@pytest.mark.parametrize("banner", [serve_banner, demo_banner])
def test_passwords_that_somebody_has_set_are_not_shown(banner: Banner) -> None:
    text = "\n".join(map(click.unstyle, banner(config(), None, ("admin_password",), (8000,))))
    assert "adminsword" in text
    assert "sourceword" not in text
    assert "relaysword" not in text
    assert "icecast://source:PASSWORD@" in text
    assert "with the source password in place of PASSWORD" in text


def test_a_file_of_a_password_that_everybody_can_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret")
    file.chmod(0o644)
    toml = f'[authentication]\nadmin_password_file = "{file}"\n'
    for path in (None, Path("pycast.toml")):
        assert any(line.startswith("warning: authentication.admin_password_file") for line in said(toml, path))


def test_a_right_file_is_told_in_two_lines() -> None:
    host = '[server]\nhostname = "radio.example"\n'
    assert len(said(LOGIN + host, Path("pycast.toml"))) == 2


def test_the_demo_says_first_what_to_open() -> None:
    lines = [click.unstyle(line) for line in demo_banner(config(), None, ALL, (8123,))]
    assert lines[2] == "  http://localhost:8123/"
    assert "  mpv http://localhost:8123/demo.mp3" in lines
    assert lines[-1] == "Ctrl-C stops it."


def test_each_address_is_of_a_port_that_serves_what_it_is_for() -> None:
    listen = (
        '[[listen]]\nbind_address = "127.0.0.1"\nserves = ["admin"]\n'
        '[[listen]]\nport = 1\nserves = ["sources"]\n[[listen]]\nport = 2\nserves = ["listeners"]\n'
    )
    lines = [click.unstyle(line) for line in serve_banner(config(LOGIN + listen), None, ALL, (8003, 8001, 8000))]
    assert lines[0].endswith("http://localhost:8000/")
    assert [line.rpartition(" ")[2] for line in lines[-2:]] == [
        "icecast://source:sourceword@localhost:8001/live.mp3",
        "http://localhost:8000/live.mp3",
    ]
