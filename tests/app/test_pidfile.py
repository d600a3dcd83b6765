"""Tests of pycast.app.pidfile."""

import os
from pathlib import Path

import pytest

from pycast.app.pidfile import remove_pidfile, write_pidfile


def test_file_has_the_number_of_the_process_and_is_removed_at_the_end(tmp_path: Path) -> None:
    name = tmp_path / "icecast.pid"
    name.write_text("4711 and more, of a process that crashed\n")
    write_pidfile(str(name))
    assert name.read_text() == f"{os.getpid()}\n"
    remove_pidfile(str(name))
    assert not name.exists()


def test_file_of_another_process_stays(tmp_path: Path) -> None:
    name = tmp_path / "icecast.pid"
    name.write_text("1\n")
    remove_pidfile(str(name))
    assert name.read_text() == "1\n"


def test_link_is_not_followed_as_root_may_write_in_a_folder_of_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    precious = tmp_path / "passwd"
    precious.write_text("root:x:0:0\n")
    (tmp_path / "icecast.pid").symlink_to(precious)
    write_pidfile(str(tmp_path / "icecast.pid"))
    assert precious.read_text() == "root:x:0:0\n"
    assert "icecast.pid cannot be written" in caplog.text


def test_what_fails_is_logged_and_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_pidfile(f"{tmp_path}/none/pid")
    assert "none/pid cannot be written: No such file" in caplog.text
    with caplog.at_level("INFO"):
        remove_pidfile(f"{tmp_path}/none/pid")
    assert "none/pid stays" in caplog.text
