"""Tests of pycast.cli.main: the table of commands, and errors that say what to do next."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pycast import __version__
from pycast.cli.main import main

COMMANDS = ("serve", "demo", "status", "cluster", "drain", "check", "config", "conf", "import-icecast", "passwd")


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    for command in COMMANDS:
        assert f"  {command} " in result.output
    assert result.exit_code == 0


def test_what_a_file_says_cannot_command_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[limits]\nclients = "\\u001b[2J\\u009b1m\\u202e\\u2028"\n"\\u001bx" = 1\n')
    for command in (["serve", "--config", str(file)], ["check", str(file)]):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 1
        assert all(line.isprintable() for line in result.stderr.split("\n")), result.stderr
        assert r"\x1b[2J" in result.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(main, [command, "-h"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: main {command}")


def test_version_is_told() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"pycast {__version__}\n"


def test_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(main, ["sreve"]).exit_code == 2


def test_every_problem_of_a_configuration_is_shown_with_the_next_step(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text("[limits]\nclients = 0\nbust_size = 1\n")
    result = CliRunner().invoke(main, ["serve", "--config", str(file)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"pycast: {file}:2: limits.clients = 0: expected 1 or more",
        f"pycast: {file}:3: limits.bust_size = 1: unknown key; did you mean burst_size?",
        "pycast: `pycast config` prints every setting with its meaning.",
    ]


def test_serve_loads_nothing_that_only_other_commands_need() -> None:
    code = "import sys, pycast.cli.serve, pycast.app.node; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    # jinja2 comes with the first page, prometheus_client with the first scrape, mutagen with the first tag.
    unwanted = {"jinja2", "prometheus_client", "mutagen", "defusedxml", "urllib3", "pycast.config.reference"}
    assert unwanted.isdisjoint(loaded)
