"""Tests of pycast.cli.import_icecast: TOML on stdout, what is left out on stderr."""

from pathlib import Path

from click.testing import CliRunner

from pycast.cli.main import main
from pycast.config.load import loads


def test_file_goes_to_stdout_and_what_is_left_out_also_to_stderr(tmp_path: Path) -> None:
    file = tmp_path / "icecast.xml"
    file.write_text("<icecast><hostname>h</hostname><relay><server>x</server></relay></icecast>")
    result = CliRunner().invoke(main, ["import-icecast", str(file)])
    assert result.exit_code == 0
    assert loads(result.stdout, {}, "f").server.hostname == "h"
    assert "# Left out: relay = x" in result.stdout
    assert result.stderr == "left out: relay = x: pycast has no such setting\n"


def test_what_is_not_icecasts_is_told_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "icecast.xml"
    file.write_text("<html/>")
    result = CliRunner().invoke(main, ["import-icecast", str(file)])
    assert result.exit_code == 1
    assert f"{file}: expected <icecast> as the outermost element, not <html>" in result.stderr
