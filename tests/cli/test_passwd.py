"""Tests of pycast.cli.passwd: a listener password file that the server reads, changed in place."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pycast.auth.password_file import is_right, is_slow, read_lines, users_in
from pycast.cli.main import main

MD5_OF_A = "0cc175b9c0f1b6a831c399e269772661"  # RFC 1321, A.5


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "listeners.htpasswd"


def passwd(*arguments: object, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["passwd", *map(str, arguments)], input=stdin)


def test_new_file_has_the_user_and_is_for_its_owner_only(file: Path) -> None:
    assert passwd(file, "ann", "--password", "a").stdout == f"added ann in {file}\n"
    [stored] = users_in(read_lines(file)).values()
    assert is_right(stored, "a") and is_slow(stored)
    assert file.stat().st_mode & 0o777 == 0o600


def test_user_is_changed_in_its_place_and_all_else_is_kept(file: Path) -> None:
    file.write_text(f"# staff\nann:old\n\nbob:{MD5_OF_A}")
    file.chmod(0o640)
    assert passwd(file, "ann", stdin="abc\n").stdout == f"changed ann in {file}\n"
    lines = file.read_text().split("\n")
    assert [lines[0], *lines[2:]] == ["# staff", "", f"bob:{MD5_OF_A}", ""]
    assert is_right(users_in(lines)["ann"], "abc")
    assert file.stat().st_mode & 0o777 == 0o640


def test_user_can_be_deleted(file: Path) -> None:
    file.write_text("ann:x\nbob:y\n")
    assert passwd("-D", file, "ann").exit_code == 0
    assert file.read_text() == "bob:y\n"
    assert passwd("-D", file, "ann").exit_code == 1


@pytest.mark.parametrize("user", ["", "a:b", "#a", "a\nb"])
def test_name_that_the_format_cannot_hold_is_refused(file: Path, user: str) -> None:
    assert passwd(file, user, "--password", "a").exit_code == 2
    assert not file.exists()


def test_no_password_changes_nothing(file: Path) -> None:
    assert passwd(file, "ann").exit_code == 1
    assert not file.exists()


def test_folder_that_is_not_there_is_said(file: Path) -> None:
    result = passwd(file.parent / "none" / "x", "ann", "--password", "a")
    assert result.exit_code == 1 and "No such file" in result.stderr
