"""`pycast demo` runs a node with a stream of its own, needs no configuration, and reads none."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pycast.cli.main import main
from pycast.config.schema import Config


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Config, dict[str, Any]]]:
    found: list[tuple[Config, dict[str, Any]]] = []

    def node(config: Config, **given: Any) -> int:
        given["announce"](SimpleNamespace(listening=(config.listen[0].port or 12345,)))
        found.append((config, given))
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "pycast.app.node", SimpleNamespace(run=node))
    return found


def demo(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["demo", *arguments])


def test_it_says_what_to_open_first(calls: list[tuple[Config, dict[str, Any]]]) -> None:
    result = demo("--port", "8123")
    assert (result.exit_code, result.stdout) == (0, "")
    lines = result.stderr.splitlines()
    assert "  http://localhost:8123/" in lines
    assert "  mpv http://localhost:8123/demo.mp3" in lines
    assert calls[0][1]["demo"] is True


def test_a_configuration_in_the_folder_is_not_read(calls: list[tuple[Config, dict[str, Any]]]) -> None:
    Path("pycast.toml").write_text("this is no TOML")
    assert demo().exit_code == 0
    (config, given) = calls[0]
    assert (config.listen[0].port, given["config_path"]) == (8000, None)


def test_each_run_has_passwords_of_its_own(calls: list[tuple[Config, dict[str, Any]]]) -> None:
    demo()
    demo()
    assert len({config.authentication.source_password for config, _ in calls} | {"hackme"}) == 3


def test_a_free_port_is_told_as_it_was_bound(calls: list[tuple[Config, dict[str, Any]]]) -> None:
    said = demo("--port", "0", "--ready-file", "-").stderr
    assert "  http://localhost:12345/" in said.splitlines()
    assert calls[0][1]["ready_file"] == "-"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(calls: list[tuple[Config, dict[str, Any]]], port: str) -> None:
    assert demo("--port", port).exit_code == 2
    assert calls == []
