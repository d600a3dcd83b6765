"""Tests of pycast.disk.watched_file: a file is read whole, and again when it has changed."""

import os
from pathlib import Path

import pytest

from pycast.disk.watched_file import WatchedFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "list").write_bytes(b"one")
    return tmp_path / "list"


def test_a_file_that_stays_as_it_is_is_read_once(path: Path) -> None:
    file = WatchedFile(str(path), 100)
    assert file.read() == b"one"
    assert [file.look(), file.look()] == [None, None]


def test_a_changed_file_is_read_when_it_has_been_the_same_for_one_look(path: Path) -> None:
    file = WatchedFile(str(path), 100)
    file.read()
    path.write_bytes(b"")  # an editor begins to write
    assert file.look() is None
    path.write_bytes(b"one\ntwo")
    assert file.look() is None
    assert file.look() == b"one\ntwo"
    assert file.look() is None


def test_a_file_in_place_of_the_old_one_is_another_one_also_with_its_time_and_size(path: Path) -> None:
    file = WatchedFile(str(path), 100)
    file.read()
    other, status = path.with_name("other"), path.stat()
    other.write_bytes(b"two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert [file.look(), file.look()] == [None, b"two"]


def test_a_file_that_comes_back_is_read_if_it_is_another_one(path: Path) -> None:
    file = WatchedFile(str(path), 100)
    file.read()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        file.look()
    path.write_bytes(b"back again")
    assert [file.look(), file.look()] == [None, b"back again"]


def test_a_file_that_was_not_there_at_first_is_read_when_it_is(path: Path) -> None:
    file = WatchedFile(str(path.with_name("later")), 100)
    with pytest.raises(FileNotFoundError):
        file.read()
    path.with_name("later").write_bytes(b"here")
    assert [file.look(), file.look()] == [None, b"here"]


def test_what_is_no_file_or_too_large_is_an_error(path: Path) -> None:
    with pytest.raises(OSError, match="larger than"):
        WatchedFile(str(path), 2).read()
    os.mkfifo(path.with_name("pipe"))
    with pytest.raises(OSError, match="no regular file"):
        WatchedFile(str(path.with_name("pipe")), 100).read()
    with pytest.raises(OSError, match=r"directory|regular"):
        WatchedFile(str(path.parent), 100).read()
