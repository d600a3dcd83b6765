"""Tests of pycast.config.problems: where a mistake is, what stands there, and which key was probably meant."""

import pytest

from pycast.config.problems import Origin, Path, dotted, keys_of, unknown_key
from pycast.config.schema import Config


@pytest.mark.parametrize(
    ("path", "text"),
    [(("limits", "clients"), "limits.clients"), (("listen", 0, "port"), "listen[0].port"), (("limits",), "limits")],
)
def test_place_is_written_with_dots_and_numbers(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", ' = "x"'),
        ("x" * 80, f' = "{"x" * 57}…"'),
        (True, " = true"),
        (1.5, " = 1.5"),
        (10**80, " = a huge number"),
        ({"a": 1}, ""),
        ([1], ""),
        (None, ""),
    ],
)
def test_value_is_shown_as_the_file_has_it_unless_it_is_large(value: object, shown: str) -> None:
    assert (
        Origin("f.toml", {}).line(("server", "admin"), value, "expected y")
        == f"f.toml: server.admin{shown}: expected y"
    )


@pytest.mark.parametrize(
    ("path", "shown"),
    [(("mount", 0, "password"), "mount[0].password"), (("cluster", "secret"), "cluster.secret")],
)
def test_passwords_and_the_secret_are_not_shown(path: Path, shown: str) -> None:
    line = Origin("f.toml", {}).line(path, 12345, "expected y")
    assert line == f"f.toml: {shown} = (not shown): expected y"


def test_variable_is_named_for_what_it_set() -> None:
    origin = Origin("f.toml", {("limits", "clients"): "PYCAST_LIMITS__CLIENTS"})
    assert origin.line(("limits", "clients"), 0, "expected y").startswith("PYCAST_LIMITS__CLIENTS: ")
    assert origin.line(("limits", "sources"), 0, "expected y").startswith("f.toml: ")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (("limits", "client"), "unknown key; did you mean clients?"),
        (("limits", "source-timeout"), "unknown key; did you mean source_timeout?"),
        (("server", "clients"), "unknown key here; it belongs in [limits]"),
        (("headers",), "unknown section; did you mean [http_headers]?"),
        (("drain", "zzz"), "unknown key; the keys here are deadline, lead, rate, readiness"),
    ],
)
def test_key_that_does_not_exist_is_answered_with_the_one_that_was_meant(path: tuple[str, ...], said: str) -> None:
    assert unknown_key(path) == said


def test_keys_of_a_section_are_those_of_the_schema() -> None:
    assert keys_of(()) == list(Config.KEYS)
    assert keys_of(("tls",)) == ["certificate", "private_key"]
    assert keys_of(("listen", 0))[1] == "port"
    assert keys_of(("http_headers",)) == keys_of(("nothing",)) == []
