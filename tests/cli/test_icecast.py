"""Tests of pycast.cli.icecast: the command under Icecast's name."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from pycast import __version__
from pycast.cli import icecast
from pycast.cli.main import main


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The files with which a server was run, in place of a server that runs."""
    paths: list[Path | None] = []

    def run_server(path: Path | None, on_ready: Callable[[], None] | None = None) -> int:
        paths.append(path)
        return 7

    monkeypatch.setattr("pycast.cli.serve.run_server", run_server)
    return paths


def run(*arguments: str) -> Result:
    return CliRunner().invoke(icecast.command, arguments)


@pytest.mark.parametrize("option", ["-v", "--version"])
def test_version_is_a_line_in_which_scripts_find_icecasts(option: str) -> None:
    result = run("-c", "x", option)
    assert (result.exit_code, result.stdout) == (0, f"Icecast 2.4.4 (pycast {__version__})\n")


def test_without_a_file_it_tells_how_it_is_used(served: list[Path | None]) -> None:
    result = run()
    assert result.exit_code == 1
    assert "usage: icecast [-b -v] -c <file>" in result.stdout
    assert served == []


@pytest.mark.parametrize(
    "arguments", [["-c", "/i.xml"], ["-n", "-c", "/i.xml"], ["icecast2", "-n", "-c", "/i.xml"], ["-c/i.xml", "--what"]]
)
def test_what_icecast_ignores_is_ignored(arguments: list[str], served: list[Path | None]) -> None:
    assert run(*arguments).exit_code == 7
    assert served == [Path("/i.xml")]


@pytest.mark.parametrize("name", ["icecast", "/usr/local/bin/icecast", "/usr/bin/icecast2"])
def test_under_icecasts_name_it_is_icecasts_command(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "-v"])
    assert main(standalone_mode=False) is None
    assert capsys.readouterr().out.startswith("Icecast ")


def test_under_its_own_name_it_is_not_and_the_help_does_not_name_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pycast", "--version"])
    main(standalone_mode=False)
    assert capsys.readouterr().out.startswith("pycast ")
    assert "icecast" not in main.list_commands(click.Context(main))


def test_background_tells_the_parent_when_it_accepts_and_lets_the_terminal_go(monkeypatch: pytest.MonkeyPatch) -> None:
    replaced: list[Any] = []
    monkeypatch.setattr(os, "dup2", lambda old, new: replaced.append(new))
    reading, writing = os.pipe()
    icecast._detach(writing)
    assert os.read(reading, 10) == b"1"
    assert os.read(reading, 10) == b""
    os.close(reading)
    assert replaced == [0, 1, 2]
