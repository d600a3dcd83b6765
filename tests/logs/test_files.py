"""Log files get whole lines in order, and no trouble with them stops the server or even holds it up."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.monkey import get_original

from pycast.disk import losses
from pycast.disk.rotation import Rotation
from pycast.errors import ExternalError
from pycast.logs.files import KEPT_BYTES, KEPT_LINES, LOG_WRITERS, MAX_HELD, LogFile
from tests.conftest import WaitUntil


@contextmanager
def first_title_at(size: int) -> Iterator[None]:
    """Limits files of this process to `size` bytes, like a disk that is full at a known byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.log"


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A named pipe and its reading end, for a slow log reader."""
    name = tmp_path / "pipe"
    os.mkfifo(name)
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    yield str(name), reader
    os.close(reader)


@pytest.fixture
def stalled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A disk that takes no byte until the test calls this."""
    # A native lock: the writer is a thread of its own, and must not be woken by the loop.
    gate = get_original("_thread", "allocate_lock")()
    gate.acquire()
    write = os.write

    def waits(fd: int, data: bytes) -> int:
        with gate:
            return write(fd, data)

    monkeypatch.setattr(os, "write", waits)

    def release() -> None:
        if gate.locked():
            gate.release()

    yield release
    release()
    assert LOG_WRITERS.settle(5)


def drain(reader: int) -> bytes:
    data = b""
    while True:
        try:
            piece = os.read(reader, 65536)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


def test_a_line_is_in_the_file_soon(path: Path, wait_until: WaitUntil) -> None:
    log = LogFile(str(path))
    log.write(b"one\n")
    wait_until(lambda: path.read_bytes() == b"one\n", "the line", timeout=1)
    log.close()


def test_a_line_that_cannot_wait_is_written_without_the_loop(path: Path) -> None:
    log = LogFile(str(path))
    log.write(b"one\n", soon=True)
    deadline = time.monotonic() + 5
    while path.read_bytes() != b"one\n":  # the loop does not run meanwhile: this process may be about to crash
        assert time.monotonic() < deadline
        time.sleep(0.001)
    log.close()


def test_file_is_appended_to(path: Path) -> None:
    path.write_bytes(b"old\n")
    log = LogFile(str(path))
    log.write(b"new\n")
    log.close()
    assert path.read_bytes() == b"old\nnew\n"


def test_a_new_file_is_not_for_everybody_and_the_mode_of_an_old_one_stays(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o604)
    for name in ("new", "old"):
        LogFile(str(tmp_path / name)).close()
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("new", "old")] == [0o640, 0o604]


def test_lines_of_many_listeners_are_one_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes, write = 0, os.write

    def counted(fd: int, data: bytes) -> int:
        nonlocal writes
        writes += 1
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    log = LogFile(str(path))
    for number in range(500):
        log.write(b"%d\n" % number)
    log.close()
    assert writes == 1
    assert path.read_bytes().split() == [b"%d" % number for number in range(500)]


def test_lines_keep_their_order(path: Path) -> None:
    log = LogFile(str(path))
    for number in range(3000):
        log.write(b"%d\n" % number, soon=number % 7 == 0)
        if number % 100 == 0:
            gevent.sleep(0.001)
    log.close()
    assert path.read_bytes().split() == [b"%d" % number for number in range(3000)]


def test_close_writes_queued_lines_and_may_be_called_twice(path: Path) -> None:
    log = LogFile(str(path))
    log.write(b"last\n")
    log.close()
    log.close()
    log.write(b"too late\n")
    assert path.read_bytes() == b"last\n" and not log.is_on


def test_reopen_follows_the_name(path: Path) -> None:
    log = LogFile(str(path))
    log.write(b"before\n")
    moved = path.rename(path.with_suffix(".1"))
    log.reopen()
    log.write(b"after\n")
    log.close()
    assert (moved.read_bytes(), path.read_bytes()) == (b"before\n", b"after\n")


def test_a_line_broken_off_is_not_joined_to_the_next_after_a_start_or_a_reopening(path: Path) -> None:
    path.write_bytes(b"whole\nbroken of")
    log = LogFile(str(path))
    log.write(b"one\n")
    log.flush()
    with path.open("ab") as file:
        file.write(b"broken ag")
    log.reopen()
    log.write(b"two\n")
    log.reopen()
    log.write(b"three\n")
    log.close()
    assert path.read_bytes() == b"whole\nbroken of\none\nbroken ag\ntwo\nthree\n"


def test_reopen_that_fails_keeps_the_old_file(path: Path) -> None:
    reports: list[str] = []
    log = LogFile(str(path), report=reports.append)
    moved = path.rename(path.with_suffix(".1"))
    path.mkdir()
    log.reopen()
    log.write(b"still here\n")
    log.close()
    gevent.sleep(0)
    assert moved.read_bytes() == b"still here\n"
    assert len(reports) == 1 and str(path) in reports[0]


def test_a_file_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match=r"no/such/log: No such file"):
        LogFile(str(tmp_path / "no/such/log"))


def test_a_pipe_that_nobody_reads_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ExternalError, match="pipe: it is a pipe that nobody reads: start its reader first"):
        LogFile(str(tmp_path / "pipe"))


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    log = LogFile(str(tmp_path / "link"))
    log.write(b"one\n")
    log.close()
    assert (tmp_path / "target").read_bytes() == b"one\n"


def test_a_full_disk_is_counted_and_reported_once(path: Path) -> None:
    reports: list[str] = []
    before = LOG_WRITERS.lost
    log = LogFile(str(path), report=reports.append)
    with first_title_at(0):
        log.write(b"one\n")
        log.flush()
        log.write(b"two\n")
        log.flush()
    log.write(b"three\n")
    log.close()
    assert path.read_bytes() == b"three\n"
    assert log.lost == LOG_WRITERS.lost - before == 2
    assert len(reports) == 1 and "File too large" in reports[0] and str(path) in reports[0]


def test_when_the_disk_takes_lines_again_the_log_says_how_many_were_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(losses, "QUIET_S", 0.0)
    log = LogFile(str(path), report=lambda _: None)
    with first_title_at(0):
        log.write(b"one\ntwo\n")
        log.flush()
    log.write(b"three\n")
    log.close()
    assert f"2 log lines were lost: {path}" in caplog.text


def test_a_line_broken_off_by_a_full_disk_is_not_joined_to_the_next(path: Path) -> None:
    log = LogFile(str(path), report=lambda _: None)
    with first_title_at(6):
        for line in (b"whole\n", b"lost\n"):
            log.write(line)
            log.flush()
    with first_title_at(8):
        for line in (b"broken\n", b"lost too\n"):
            log.write(line)
            log.flush()
    log.write(b"next\n")
    log.close()
    assert path.read_bytes() == b"whole\nbr\nnext\n"
    assert log.lost == 3


def test_a_disk_that_stalls_holds_nobody_up_and_loses_nothing(path: Path, stalled: Callable[[], None]) -> None:
    log = LogFile(str(path))
    log.write(b"one\n", soon=True)
    began = time.monotonic()
    for number in range(1000):
        log.write(b"%d\n" % number, soon=True)
    gevent.sleep(0.05)  # the loop turns
    assert time.monotonic() - began < 2
    assert path.read_bytes() == b"" and log.lost == 0
    stalled()
    log.close()
    assert path.read_bytes().split()[1:] == [b"%d" % number for number in range(1000)]


def test_a_disk_that_stalls_costs_bounded_memory_and_what_is_lost_is_counted(
    path: Path, stalled: Callable[[], None]
) -> None:
    reports: list[str] = []
    log = LogFile(str(path), reports.append)
    line = b"x" * 9999 + b"\n"
    for _ in range(200):
        log.write(line)
    assert log._outlet.size <= MAX_HELD
    assert log.lost == 200 - MAX_HELD // len(line)
    assert len(reports) == 1 and "too slow" in reports[0]
    stalled()
    log.close()
    assert path.read_bytes().count(b"\n") == MAX_HELD // len(line)


def test_empty_lines_are_bounded_as_well(path: Path, stalled: Callable[[], None]) -> None:
    log = LogFile(str(path), lambda _: None)
    for _ in range(100_000):
        log.write(b"\n")
    assert log.lost > 50_000
    stalled()
    log.close()


def test_a_file_that_stalls_does_not_hold_up_another(tmp_path: Path, wait_until: WaitUntil) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    held, free = LogFile(str(tmp_path / "pipe")), LogFile(str(tmp_path / "free"))
    held.write(b"x" * 200_000 + b"\n", soon=True)
    for number in range(5):
        free.write(b"%d\n" % number)
        wait_until(lambda: (tmp_path / "free").read_bytes().endswith(b"%d\n" % number), "the other file's line")  # noqa: B023
    os.close(reader)
    held.close()
    free.close()


def test_close_does_not_wait_for_a_reader_for_ever(pipe: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.logs.files.CLOSE_S", 0.1)
    monkeypatch.setattr("pycast.disk.appending.ROOM_MS", 10)
    reports: list[str] = []
    log = LogFile(pipe[0], reports.append)
    log.write(b"x" * 100 + b"\n" + b"y" * 200_000 + b"\n")
    began = time.monotonic()
    log.close()
    assert time.monotonic() - began < 3
    assert LOG_WRITERS.settle(5), "the thread is let go, and the file closed"
    gevent.sleep(0)
    assert log.lost == 1 and len(reports) == 1


def test_a_pipe_without_room_is_written_when_there_is_room(pipe: tuple[str, int], wait_until: WaitUntil) -> None:
    name, reader = pipe
    log = LogFile(name)
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(3000)]
    for line in lines:
        log.write(line)
    received = b""

    def is_whole() -> bool:
        nonlocal received
        received += drain(reader)
        return received == b"".join(lines)

    wait_until(is_whole, "all lines")
    assert log.lost == 0
    log.close()


def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole(pipe: tuple[str, int]) -> None:
    log = LogFile(pipe[0])
    log.write(b"x" * 20000 + b"\n")
    log.close()
    assert drain(pipe[1]) == b"x" * 20000 + b"\n"


def test_a_pipe_whose_reader_is_gone_raises_nothing(tmp_path: Path) -> None:
    name = tmp_path / "pipe"
    os.mkfifo(name)
    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    reports: list[str] = []
    log = LogFile(str(name), report=reports.append)
    os.close(reader)
    log.write(b"one\n")
    log.write(b"two\n")
    log.close()
    gevent.sleep(0)
    assert log.lost == 2 and len(reports) == 1


def test_dash_is_standard_error_which_is_never_closed(capfd: pytest.CaptureFixture[str]) -> None:
    for text in (b"one\n", b"two\n"):
        log = LogFile("-")
        log.write(text)
        log.reopen()
        log.close()
    assert capfd.readouterr().err == "one\ntwo\n"


def test_lost_lines_are_reported_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    log = LogFile("/dev/full")
    log.write(b"one\n")
    log.close()
    gevent.sleep(0)
    LOG_WRITERS.settle(5)
    assert capfd.readouterr().err == "pycast: log lines are being lost: /dev/full: No space left on device\n"


def test_nothing_is_written_when_off() -> None:
    log = LogFile("")
    log.write(b"one\n")
    log.flush()
    log.reopen()
    log.close()
    assert not log.is_on and log.lost == 0


def test_whoever_logs_from_another_thread_gets_its_line_written(path: Path) -> None:
    log = LogFile(str(path))
    gevent.get_hub().threadpool.apply(log.write, (b"one\n",))
    log.close()
    assert path.read_bytes() == b"one\n"


def test_a_file_that_is_too_large_is_rotated_and_no_line_is_lost(path: Path) -> None:
    log = LogFile(str(path), rotation=Rotation(100, is_dated=True))
    for number in range(40):
        log.write(b"line %03d\n" % number)
        log.flush()
    log.close()
    files = sorted(path.parent.iterdir(), key=lambda one: one.stat().st_mtime_ns)
    lines = b"".join(one.read_bytes() for one in files).splitlines()
    assert sorted(lines) == [b"line %03d" % number for number in range(40)]
    assert len(files) == 4 and all(one.stat().st_size < 200 for one in files)


def test_a_file_that_cannot_be_rotated_is_told_once_and_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(old: str, new: str) -> None:
        raise PermissionError(13, "Permission denied")

    reports: list[str] = []
    monkeypatch.setattr("pycast.logs.files.ROTATE_AGAIN_S", 0.0)
    log = LogFile(str(path), reports.append, Rotation(10))
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        for _ in range(3):
            log.write(b"one more line\n")
            log.flush()
    log.write(b"the last\n")
    log.flush()
    log.close()
    gevent.sleep(0)
    assert reports == [f"cannot rotate log file {path}, which grows on: Permission denied"]
    assert (path.parent / "access.log.old").read_bytes() == 3 * b"one more line\n"
    assert path.read_bytes() == b"the last\n"
    assert log.lost == 0


def test_process_that_has_slept_through_two_rotations_loses_no_line(path: Path) -> None:
    sleeper, busy = (LogFile(str(path), rotation=Rotation(30)) for _ in range(2))
    for _ in range(2):  # the first file is renamed, and then replaced
        busy.write(b"a line that fills a whole file\n")
        busy.flush()
    sleeper.write(b"late\n")
    sleeper.flush()
    sleeper.close()
    busy.close()
    assert path.read_bytes() == b"late\n"


def test_file_of_a_time_that_is_over_is_renamed_before_the_first_line_of_the_next(path: Path) -> None:
    logs = [LogFile(str(path), rotation=Rotation(seconds=86_400)) for _ in range(2)]
    for log in logs:
        log.write(b"yesterday\n")
        log.flush()
    yesterday = path.stat().st_mtime - 86_400
    os.utime(path, (yesterday, yesterday))
    for log in logs:  # only one of them renames
        log.write(b"today\n")
        log.flush()
        log.write(b"later\n")
        log.close()
    assert path.read_bytes() == 2 * b"today\nlater\n"
    assert (path.parent / "access.log.old").read_bytes() == 2 * b"yesterday\n"
    assert len(os.listdir(path.parent)) == 2


def test_file_whose_disk_has_a_clock_that_is_behind_is_rotated_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file server's clock, and for a few milliseconds the kernel's: a line of today has yesterday's time."""
    logs = [LogFile(str(path), rotation=Rotation(seconds=86_400)) for _ in range(2)]

    def write(text: bytes) -> None:
        for log in logs:
            log.write(text)
            log.flush()

    write(b"yesterday\n")
    present = time.time()
    monkeypatch.setattr(time, "time", lambda: present + 86_400)
    write(b"today\n")
    write(b"later\n")
    assert (path.parent / "access.log.old").read_bytes() == 2 * b"yesterday\n"
    assert path.read_bytes() == 2 * b"today\n" + 2 * b"later\n"
    # That was the time of a clock that is right again now.
    monkeypatch.setattr(time, "time", lambda: present)
    os.utime(path, (present - 86_400, present - 86_400))
    write(b"set back\n")
    for log in logs:
        log.close()
    assert path.read_bytes() == 2 * b"set back\n"


def test_file_that_an_operator_has_moved_is_written_to_until_he_says_so(path: Path) -> None:
    log = LogFile(str(path), rotation=Rotation(1000, 86_400))
    path.rename(path.with_suffix(".1"))
    log.write(b"still here\n")
    log.close()
    assert path.with_suffix(".1").read_bytes() == b"still here\n" and not path.exists()


def test_last_lines_of_what_is_no_file_are_kept_whatever_its_reader_does(pipe: tuple[str, int]) -> None:
    log = LogFile(pipe[0])
    for number in range(KEPT_LINES + 5):
        log.write(b"%d\n" % number)
    log.write(b"x" * 2 * KEPT_BYTES + b"\n")
    lines = [line for _, line in log.recent]
    assert (len(lines), lines[0], lines[-1]) == (KEPT_LINES, b"6\n", b"x" * KEPT_BYTES)
    log.close()


def test_lines_in_a_file_are_not_kept_twice(path: Path) -> None:
    for log in (LogFile(str(path)), LogFile("")):
        log.write(b"a\n")
        assert log.recent == []
        log.close()


def test_log_that_follows_another_has_its_lines_first(pipe: tuple[str, int], path: Path) -> None:
    one, other, file = LogFile(pipe[0]), LogFile(pipe[0]), LogFile(str(path))
    one.write(b"a\n")
    one.write(b"b\n")
    for log in (other, file):
        log.go_on_from(one)
        log.write(b"c\n")
    assert ([line for _, line in other.recent], file.recent) == ([b"a\n", b"b\n", b"c\n"], [])
    for log in (one, other, file):
        log.close()
