"""A file that is too large is renamed once, whoever has it open, and nothing is written over."""

import fcntl
import os
import re
import time
from pathlib import Path

import pytest

from pycast.disk.appending import open_to_append
from pycast.disk.rotation import Rotation, rotated
from pycast.errors import ExternalError

LARGE = Rotation(10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


def opened(path: Path, text: bytes = b"0123456789\n") -> int:
    fd = open_to_append(str(path), 0o640)
    os.write(fd, text)
    return fd


def rotate(fd: int, path: Path, how: Rotation = LARGE) -> bool:
    """Rotates as the writer of a log does; whether there is a new file."""
    fresh = rotated(fd, str(path), how)
    os.close(fd)
    if fresh is None:
        return False
    os.write(fresh, b"new\n")
    os.close(fresh)
    return True


def test_a_large_file_becomes_old_and_a_new_one_is_begun(path: Path) -> None:
    (path.parent / "access.log.old").write_text("older")
    fd = opened(path)
    os.chmod(path, 0o604)
    assert rotate(fd, path)
    assert (path.parent / "access.log.old").read_bytes() == b"0123456789\n"
    assert path.read_bytes() == b"new\n" and path.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("how", [Rotation(12), Rotation()])
def test_a_file_that_is_not_too_large_stays(path: Path, how: Rotation) -> None:
    assert not rotate(opened(path), path, how)
    assert os.listdir(path.parent) == ["access.log"]


def test_files_with_a_date_all_stay(path: Path) -> None:
    for _ in range(3):
        assert rotate(opened(path), path, Rotation(10, is_dated=True))
    names = sorted(set(os.listdir(path.parent)) - {"access.log"})
    assert len(names) == 3 and all(re.fullmatch(r"access\.log\.\d{8}_\d{6}(_\d)?", name) for name in names)


def test_of_several_processes_only_one_renames(path: Path) -> None:
    one, other = opened(path, b""), opened(path)
    assert rotate(one, path)
    assert rotate(other, path), "it opens the new file"
    assert (path.parent / "access.log.old").read_bytes() == b"0123456789\n"
    assert path.read_bytes() == b"new\nnew\n"


def test_while_another_process_is_at_it_nothing_is_done(path: Path) -> None:
    one, other = opened(path), opened(path, b"")
    fcntl.flock(one, fcntl.LOCK_EX)
    assert not rotate(other, path)
    os.close(one)
    assert os.listdir(path.parent) == ["access.log"]


def test_a_link_stays_and_its_file_is_renamed(path: Path) -> None:
    path.symlink_to("elsewhere")
    assert rotate(opened(path), path)
    assert path.is_symlink() and path.read_bytes() == b"new\n"
    assert (path.parent / "elsewhere.old").read_bytes() == b"0123456789\n"


def test_what_is_no_file_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert not rotate(opened(tmp_path / "pipe"), tmp_path / "pipe", Rotation(1))
    os.close(reader)
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_error_leaves_the_file_in_use(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(old: str, new: str) -> None:
        raise PermissionError(13, "Permission denied")

    fd = opened(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        with pytest.raises(ExternalError, match="Permission denied"):
            rotated(fd, str(path), LARGE)
    assert rotate(fd, path)


@pytest.mark.parametrize(
    ("seconds", "written", "now", "is_due"),
    [
        (3600, "2026-03-01 10:59:59", "2026-03-01 11:00:00", True),
        (3600, "2026-03-01 10:00:00", "2026-03-01 10:59:59", False),
        (86_400, "2026-03-01 23:59:59", "2026-03-02 00:00:00", True),
        (86_400, "2026-03-01 00:00:00", "2026-03-01 23:59:59", False),
        (86_400, "2026-03-28 23:59:59", "2026-03-29 00:00:00", True),  # the day on which summer time begins
        (86_400, "2026-03-29 00:00:00", "2026-03-29 23:59:59", False),
        (3600, "2026-03-01 12:00:00", "2026-03-01 10:00:00", False),  # a clock that was set back
    ],
)
def test_times_are_those_of_the_clock_on_the_wall(
    seconds: float, written: str, now: str, is_due: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        moments = [time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")) for text in (written, now)]
        assert Rotation(seconds=seconds).is_due(1, *moments) is is_due
        assert not Rotation(seconds=seconds).is_due(0, *moments) and not Rotation(5).is_due(1, *moments)
    finally:
        monkeypatch.undo()
        time.tzset()
