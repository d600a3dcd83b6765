"""Tests of pycast.cli.import_icecast: TOML on stdout, notes on stderr, a status of its own when something is closed."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pycast.cli.import_icecast import is_running, why_no_log
from pycast.cli.main import main
from pycast.config.load import loads

PASSWORDS = (
    "<authentication><source-password>s</source-password><relay-password>r</relay-password>"
    "<admin-password>a</admin-password></authentication>"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "icecast.xml"


def run(file: Path, xml: str) -> Result:
    file.write_text(f"<icecast>{xml}{PASSWORDS}</icecast>")
    return CliRunner().invoke(main, ["import-icecast", str(file)])


def test_file_goes_to_stdout_and_what_is_left_out_also_to_stderr(file: Path) -> None:
    result = run(file, "<hostname>h</hostname><relay><enable>0</enable></relay>")
    assert result.exit_code == 0
    assert loads(result.stdout, {}, "f").server.hostname == "h"
    assert "# Left out: line 1: relay (enable = 0): it is switched off" in result.stdout
    assert result.stderr.startswith("left out: line 1: relay (enable = 0): it is switched off")
    assert len(result.stderr.splitlines()) == 1


def test_what_is_closed_has_a_status_of_its_own_and_its_lines_are_said(file: Path) -> None:
    result = run(file, '<mount name="/a">\n<authentication type="htpasswd"/></mount>')
    assert result.exit_code == 3
    assert loads(result.stdout, {}, "f").for_mount("/a").max_listeners == 0
    assert result.stderr.startswith("closed: line 2: mount /a: no listener may connect")


@pytest.mark.parametrize(
    ("xml", "said"),
    [
        (
            "<mount><mount-name>/a.m3u</mount-name></mount>",
            'mount[0].mount_name = "/a.m3u": this name cannot be a mount',
        ),
        (
            "<paths><ssl-certificate>/no.pem</ssl-certificate></paths>",
            'tls.certificate = "/no.pem": expected a readable',
        ),
        ('<mount name="/a"><dump-file>/no/x</dump-file></mount>', 'mount[0].dump_file = "/no/x": expected a file that'),
        ("<listen-socket><ssl>1</ssl></listen-socket>", "listen[0].tls = true: expected false, or a certificate"),
    ],
)
def test_what_check_would_say_of_the_result_is_said_at_once(file: Path, xml: str, said: str) -> None:
    result = run(file, xml)
    assert result.exit_code == 3
    assert f"to be corrected: {said}" in result.stderr
    assert f"# To be corrected: {said}" in result.stdout


def test_result_without_a_word_passes_check(file: Path, tmp_path: Path) -> None:
    result = run(file, f"<logging><accesslog>{tmp_path}/a.log</accesslog></logging><mount name='/a'/>")
    assert (result.exit_code, result.stderr) == (0, "")
    made = tmp_path / "pycast.toml"
    made.write_text(result.stdout)
    assert CliRunner().invoke(main, ["check", str(made)]).exit_code == 0


def test_log_that_cannot_be_written_is_commented_out(file: Path, tmp_path: Path) -> None:
    result = run(file, f"<logging><accesslog>{tmp_path}/no/a.log</accesslog></logging>")
    assert result.exit_code == 0
    assert f'# access_log = "{tmp_path}/no/a.log"  # this user cannot write it' in result.stdout
    assert loads(result.stdout, {}, "f").logging.access_log == "-"


def test_variables_are_those_of_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATION", "radio.example")
    assert loads(run(file, "<hostname>${STATION}</hostname>").stdout, {}, "f").server.hostname == "radio.example"


def test_what_is_not_icecasts_is_told_with_the_name_of_the_file(file: Path) -> None:
    file.write_text("<html/>")
    result = CliRunner().invoke(main, ["import-icecast", str(file)])
    assert result.exit_code == 1
    assert f"{file}: expected <icecast> as the outermost element, not <html>" in result.stderr


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        (["/usr/bin/icecast2", "-b", "-c", "{file}"], True),
        (["icecast", "-c", "icecast.xml"], True),
        (["icecast2", "-c", "/etc/other.xml"], False),
        (["vi", "{file}"], False),
        ([""], False),
    ],
)
def test_icecast_that_runs_with_the_file_is_found(file: Path, tmp_path: Path, command: list[str], runs: bool) -> None:
    process = tmp_path / "proc" / "4711"
    process.mkdir(parents=True)
    arguments = [argument.replace("{file}", str(file)) for argument in command]
    (process / "cmdline").write_bytes(b"".join(os.fsencode(argument) + b"\0" for argument in arguments))
    (tmp_path / "proc" / "1").mkdir()  # one that has ended has no command any more
    assert is_running(file, tmp_path / "proc") is runs


def test_log_of_the_icecast_that_runs_is_not_pycasts(tmp_path: Path) -> None:
    assert why_no_log(f"{tmp_path}/a.log", True) == "the Icecast that is running writes it"
    assert why_no_log(f"{tmp_path}/a.log", False) == ""
    assert why_no_log(str(tmp_path), False) == "this user cannot write it"
