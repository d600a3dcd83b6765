"""Tests of pycast.cli.conf: the examples of conf/, listed and printed."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import pycast
from pycast.cli import conf
from pycast.cli.main import main

CONF = Path(pycast.__file__).parents[1] / "conf"
FILES = sorted(path for path in CONF.rglob("*") if path.is_file())


def name_of(path: Path) -> str:
    return path.relative_to(CONF).as_posix()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["conf", *arguments])


def test_every_example_is_listed_with_one_line() -> None:
    lines = run().stdout.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(map(name_of, FILES))
    assert all(len(line.split()) > 3 and len(line) <= 140 for line in lines)


def test_the_folders_own_files_are_listed_first() -> None:
    are_nested = ["/" in line.split()[0] for line in run().stdout.splitlines()]
    assert are_nested == sorted(are_nested)


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_example_is_printed_as_it_is(file: Path) -> None:
    result = run(name_of(file))
    assert result.exit_code == 0
    assert result.stdout_bytes == file.read_bytes()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("minimal", "minimal.toml"),
        ("cluster/pycast-etcd", "cluster/pycast-etcd.toml"),
        ("conf/cluster/pycast.toml", "cluster/pycast.toml"),  # so examples speak of each other
    ],
)
def test_ending_and_the_folder_conf_may_be_left_out_or_said(name: str, file: str) -> None:
    assert run(name).stdout_bytes == (CONF / file).read_bytes()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("minimul", "minimal.toml"), ("nginx.cnf", "nginx.conf"), ("pycast-etcd.toml", "cluster/pycast-etcd.toml")],
)
def test_unknown_name_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"Error: no example {name}; did you mean {nearest}? `pycast conf` lists all\n"


def test_name_that_several_have_without_their_endings_is_refused_with_all_of_them() -> None:
    assert "did you mean pycast.logrotate or pycast.service or pycast.socket or pycast.toml?" in run("pycast").stderr


@pytest.mark.parametrize("name", ["../pyproject.toml", "/etc/passwd", "", "cluster"])
def test_what_is_no_example_is_not_printed(name: str) -> None:
    result = run(name)
    assert (result.exit_code, result.stdout) == (1, "")


def test_package_has_its_own_folder_where_there_is_no_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a.toml").write_text("# One.\n\n# Two.\n")
    monkeypatch.setattr(conf, "_PACKAGE", tmp_path)
    assert run().stdout == "a.toml  One\n"


def test_json_says_what_it_is_in_its_description() -> None:
    assert conf.summary('{"description": "A dashboard."}') == "A dashboard"
