"""Writes log lines to a file, to standard error, or nowhere. Writing never raises and never waits for a reader.

Lines are collected for `FLUSH_DELAY_S`, so that five thousand listeners that leave at once cost one write. If a file
cannot be written (full disk), lines are lost: they are counted, and this is reported once. If the reader of a pipe or
terminal is slow, lines are kept, up to `MAX_HELD` bytes, and written later. Invariant: whole lines reach the file, in
order; only an error in the middle of a write can break one off, and the next write ends it first.

Rejected: a writer greenlet (its lines would be lost when it dies, and stopping it would switch while the server ends)
and non-blocking mode for standard error (the mode belongs to the terminal, and would affect the operator's shell too).
"""

import os
import select
import stat
from collections import deque
from collections.abc import Callable

from gevent import get_hub
from gevent.monkey import get_original

from pycast.errors import ExternalError

STDERR = "-"
OFF = ""
STDERR_FD = 2
# Too short to be noticed by a person who follows the log; long enough for a crowd of listeners to leave.
FLUSH_DELAY_S = 0.02
FLUSH_SIZE = 65536
# Some 10,000 lines: nothing is lost if a container's log reader pauses for seconds.
MAX_HELD = 1 << 20

# Of a file that is new: the log has the listeners' addresses. That of a file that is there already stays.
MODE = 0o640

After = Callable[[float, Callable[[], None]], None]


class LogFile:
    """One log file. `after(delay_s, callback)` runs a callback later; without it each line is written at once.

    It must not be used from several native threads. The constructor raises ExternalError if the file cannot be opened.
    """

    def __init__(self, path: str, after: After | None = None, report: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._after = after
        self._report = report or _to_stderr
        self._fd = _open(path)
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._lost = 0
        self._is_scheduled = False
        self._is_torn = False
        self._is_reported = False

    @property
    def is_on(self) -> bool:
        """Whether lines are written at all."""
        return self._fd is not None

    @property
    def lost(self) -> int:
        """How many lines could not be written."""
        return self._lost

    def write(self, line: bytes) -> None:
        """Writes one whole line, which has its LF. Never raises, never blocks, never switches."""
        if self._fd is None:
            return
        if self._size + len(line) > MAX_HELD:
            self._count_lost(1, "its reader is too slow")
            return
        self._lines.append(line)
        self._size += len(line)
        if self._after is None or self._size >= FLUSH_SIZE:
            self.flush()
        else:
            self._schedule()

    def flush(self) -> None:
        """Writes the collected lines, as far as that is possible without waiting."""
        if self._fd is None or not self._lines:
            return
        if _is_regular(self._fd):
            self._flush_all(self._fd)
        else:
            self._flush_ready(self._fd)
        if self._lines:
            self._schedule()

    def reopen(self) -> None:
        """Opens the file by its path again, which may name a new file by now. If that fails, reports it and keeps the
        old one.
        """
        if self._fd is None or self._path == STDERR:
            return
        self.flush()
        try:
            fresh = _open(self._path)
        except ExternalError as error:
            self._report(str(error))
            return
        os.close(self._fd)
        self._fd, self._is_torn, self._is_reported = fresh, False, False

    def close(self) -> None:
        """Writes the collected lines and closes the file. Later lines are dropped. May be called twice."""
        self.flush()
        fd, self._fd = self._fd, None
        if fd is not None and self._path != STDERR:
            os.close(fd)

    def _schedule(self) -> None:
        if self._after is not None and not self._is_scheduled:
            self._is_scheduled = True
            self._after(FLUSH_DELAY_S, self._flush_scheduled)

    def _flush_scheduled(self) -> None:
        self._is_scheduled = False
        self.flush()

    def _flush_all(self, fd: int) -> None:
        data = b"".join(self._lines)
        self._clear()
        self._put(fd, data)

    def _flush_ready(self, fd: int) -> None:
        """Writes pieces of at most PIPE_BUF bytes: a pipe that is ready takes one without blocking (POSIX)."""
        while self._lines and _is_ready(fd):
            piece = self._next_piece()
            self._size -= len(piece)
            self._put(fd, piece)

    def _next_piece(self) -> bytes:
        piece = self._lines.popleft()
        if len(piece) > select.PIPE_BUF:
            self._lines.appendleft(piece[select.PIPE_BUF :])
            return piece[: select.PIPE_BUF]
        while self._lines and len(piece) + len(self._lines[0]) <= select.PIPE_BUF:
            piece += self._lines.popleft()
        return piece

    def _put(self, fd: int, data: bytes) -> None:
        """Writes `data`, or counts the lines whose end was not written. Ends a line that was broken off before."""
        end_of_torn = b"\n" if self._is_torn else b""
        whole = end_of_torn + data
        written = 0
        try:
            while written < len(whole):
                written += os.write(fd, whole[written:])
        except OSError as error:
            self._is_torn = whole[written - 1] != 0x0A if written else self._is_torn
            self._count_lost(data.count(b"\n", max(0, written - len(end_of_torn))), error.strerror or str(error))
        else:
            self._is_torn = False

    def _count_lost(self, lines: int, why: str) -> None:
        self._lost += lines
        if not self._is_reported:
            self._is_reported = True
            self._report(f"log lines are being lost: {self._path}: {why}")

    def _clear(self) -> None:
        self._lines.clear()
        self._size = 0


def hub_after(delay_s: float, callback: Callable[[], None]) -> None:
    """Runs `callback` after `delay_s`, by a timer of gevent's hub that does not keep the hub running. The callback must
    not switch.
    """
    timer = get_hub().loop.timer(delay_s, ref=False)

    def fire() -> None:
        timer.stop()
        timer.close()
        callback()

    timer.start(fire)


def _open(path: str) -> int | None:
    if path == OFF:
        return None
    if path == STDERR:
        return STDERR_FD
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
    except OSError as error:
        raise ExternalError(f"cannot open log file {path}: {error.strerror}") from error


def _is_regular(fd: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return False


def _is_ready(fd: int) -> bool:
    # gevent's own poll would switch, and writing a log line must not switch.
    poll = get_original("select", "poll")()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(0))


def _to_stderr(text: str) -> None:
    try:
        os.write(STDERR_FD, f"pycast: {text}\n".encode("utf-8", "replace"))
    except OSError:
        return
