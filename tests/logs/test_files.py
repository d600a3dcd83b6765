"""Log files get whole lines in order, and no trouble with them stops the server."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent.event import Event

from pycast.errors import ExternalError
from pycast.logs.files import FLUSH_SIZE, MAX_HELD, LogFile, hub_after


class Later:
    """A timer that collects callbacks for the test to run."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []

    def __call__(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)

    def run(self) -> None:
        due, self.callbacks = self.callbacks, []
        for callback in due:
            callback()


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


def test_lines_are_written_at_once_without_a_timer(path: Path) -> None:
    log = LogFile(str(path))
    log.write(b"one\n")
    log.write(b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"
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
    later, writes, write = Later(), 0, os.write

    def counted(fd: int, data: bytes) -> int:
        nonlocal writes
        writes += 1
        return write(fd, data)

    monkeypatch.setattr(os, "write", counted)
    log = LogFile(str(path), later)
    for number in range(500):
        log.write(b"%d\n" % number)
    assert len(later.callbacks) == 1 and writes == 0
    later.run()
    assert writes == 1
    assert path.read_bytes().split() == [b"%d" % number for number in range(500)]
    log.close()


def test_collected_lines_are_bounded_for_a_file(path: Path) -> None:
    log = LogFile(str(path), Later())
    log.write(b"x" * FLUSH_SIZE + b"\n")
    assert path.stat().st_size == FLUSH_SIZE + 1
    log.close()


def test_later_lines_are_scheduled_again(path: Path) -> None:
    later = Later()
    log = LogFile(str(path), later)
    for line in (b"one\n", b"two\n"):
        log.write(line)
        later.run()
    assert path.read_bytes() == b"one\ntwo\n" and not later.callbacks
    log.close()


def test_close_writes_collected_lines_and_may_be_called_twice(path: Path) -> None:
    later = Later()
    log = LogFile(str(path), later)
    log.write(b"last\n")
    log.close()
    log.close()
    log.write(b"too late\n")
    later.run()
    assert path.read_bytes() == b"last\n" and not log.is_on


def test_reopen_follows_the_name(path: Path) -> None:
    log = LogFile(str(path), Later())
    log.write(b"before\n")
    moved = path.rename(path.with_suffix(".1"))
    log.reopen()
    log.write(b"after\n")
    log.close()
    assert (moved.read_bytes(), path.read_bytes()) == (b"before\n", b"after\n")


def test_reopen_that_fails_keeps_the_old_file(path: Path) -> None:
    reports: list[str] = []
    log = LogFile(str(path), report=reports.append)
    moved = path.rename(path.with_suffix(".1"))
    path.mkdir()
    log.reopen()
    log.write(b"still here\n")
    log.close()
    assert moved.read_bytes() == b"still here\n"
    assert len(reports) == 1 and str(path) in reports[0]


def test_a_file_that_cannot_be_opened_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match=r"no/such/log: No such file"):
        LogFile(str(tmp_path / "no/such/log"))


def test_a_full_disk_is_counted_and_reported_once(path: Path) -> None:
    reports: list[str] = []
    log = LogFile(str(path), report=reports.append)
    with first_title_at(0):
        log.write(b"one\n")
        log.write(b"two\n")
    log.write(b"three\n")
    log.close()
    assert path.read_bytes() == b"three\n"
    assert log.lost == 2
    assert len(reports) == 1 and "File too large" in reports[0] and str(path) in reports[0]


def test_a_line_broken_off_by_a_full_disk_is_not_joined_to_the_next(path: Path) -> None:
    log = LogFile(str(path), report=lambda _: None)
    with first_title_at(6):
        log.write(b"whole\n")
        log.write(b"lost\n")
    with first_title_at(8):
        log.write(b"broken\n")
        log.write(b"lost too\n")
    log.write(b"next\n")
    log.close()
    assert path.read_bytes() == b"whole\nbr\nnext\n"
    assert log.lost == 3


def test_a_pipe_without_room_is_never_waited_for(pipe: tuple[str, int]) -> None:
    name, reader = pipe
    later = Later()
    log = LogFile(name, later)
    lines = [b"%06d %s\n" % (number, b"x" * 100) for number in range(3000)]
    for line in lines:
        log.write(line)
    later.run()
    received = drain(reader)
    assert 0 < len(received) < 3000 * 108 and log.lost == 0
    while later.callbacks:
        later.run()
        received += drain(reader)
    assert received == b"".join(lines)
    log.close()


def test_a_reader_that_never_reads_costs_bounded_memory(pipe: tuple[str, int]) -> None:
    reports: list[str] = []
    log = LogFile(pipe[0], Later(), reports.append)
    line = b"x" * 9999 + b"\n"
    for _ in range(200):
        log.write(line)
    held = sum(map(len, log._lines))
    assert held <= MAX_HELD and log.lost >= (200 * 10000 - MAX_HELD - 65536 - 10000) // 10000
    assert len(reports) == 1 and "too slow" in reports[0]
    log.close()


def test_a_line_longer_than_a_pipe_takes_at_once_arrives_whole(pipe: tuple[str, int]) -> None:
    log = LogFile(pipe[0])
    log.write(b"x" * 20000 + b"\n")
    assert drain(pipe[1]) == b"x" * 20000 + b"\n"
    log.close()


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
    assert capfd.readouterr().err == "pycast: log lines are being lost: /dev/full: No space left on device\n"


def test_nothing_is_written_when_off() -> None:
    log = LogFile("")
    log.write(b"one\n")
    log.flush()
    log.reopen()
    log.close()
    assert not log.is_on and log.lost == 0


def test_in_the_running_server_lines_arrive_soon(path: Path) -> None:
    log = LogFile(str(path), hub_after)
    written = Event()
    log.write(b"one\n")
    assert path.read_bytes() == b""
    hub_after(0.05, written.set)
    with gevent.Timeout(10):
        written.wait()
    assert path.read_bytes() == b"one\n"
    log.close()
