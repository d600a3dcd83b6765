"""Writes log lines to a file, to standard error, or nowhere. Writing never raises, and waits for no disk and no reader.

Whoever writes only puts the line into the file's queue (`disk/writers.py`); a thread writes it some milliseconds later,
so that five thousand listeners that leave at once cost one write. If the disk is full lines are lost, and so they are
if disk or reader stall for so long that `MAX_HELD` bytes are queued. They are counted, and this is reported when it
begins and when it is over. A file that is too large or too old is rotated by that thread (`disk/rotation.py`).

The last lines of a log that is no file, such as standard error, are kept in memory: an admin can read them there.

Invariant: whole lines reach the file, in order; only an error in the middle of a write can break one off, and the next
write ends it first.
"""

import logging
import os
import stat
import time
from collections import deque
from collections.abc import Callable
from functools import cache

from pycast.disk.appending import WriteFailed, is_broken_off, open_to_append, write_all
from pycast.disk.calls import off_hub
from pycast.disk.losses import Losses
from pycast.disk.rotation import NEVER, Rotation, rotated
from pycast.disk.writers import Outlet, Writers
from pycast.errors import ExternalError

log = logging.getLogger(__name__)

STDERR = "-"
OFF = ""
STDERR_FD = 2
# Some 10,000 lines: nothing is lost if a container's log reader pauses for seconds.
MAX_HELD = 1 << 20
MAX_LINES = 20_000

# Of a log that is no file: some screens of it, and of each line as much as fits on one.
KEPT_LINES, KEPT_BYTES = 200, 4096

# Of a file that is new: the log has the listeners' addresses. That of a file that is there already stays.
MODE = 0o640

# At the end of a file its lines have this long to be written: a stop must not take as long as a disk stalls.
CLOSE_S = 0.5

# A file that cannot be rotated, in a folder that the server may not write to, is tried again after this long.
ROTATE_AGAIN_S = 60.0

RecentLine = tuple[float, bytes]
"""A line, and when it was written, in seconds since the epoch."""

# There are three logs, and after a reload maybe one more that is still held by its old file.
LOG_WRITERS = Writers(6)
"""The threads of all log files. Their losses are in lines."""


class LogFile:
    """One log file. The constructor raises ExternalError if the file cannot be opened; it may switch.

    `report` gets the text when lines are being lost. Without it that goes to standard error: it is for the error log,
    which cannot report that it does not work.
    """

    def __init__(self, path: str, report: Callable[[str], None] | None = None, rotation: Rotation = NEVER) -> None:
        self.rotation = rotation
        """When it is rotated; may be set at any time."""
        self._path = path
        self._report = report or (_to_stderr if path != STDERR else _to_nobody)
        self._is_on = path != OFF
        self._fd: int | None = STDERR_FD if path == STDERR else None
        self._recent: deque[RecentLine] | None = None if path == OFF else deque(maxlen=KEPT_LINES)
        self._is_torn = False
        if path not in (OFF, STDERR):
            self._fd, is_file, self._is_torn = off_hub(_opened, path)
            self._recent = None if is_file else self._recent
        self._outlet = Outlet(LOG_WRITERS, self._write_there, MAX_HELD, MAX_LINES)
        self._losses = Losses(
            lambda why: self._report(f"log lines are being lost: {self._path}: {why}"),
            lambda lines: log.warning("%d log lines were lost: %s", lines, self._path),
        )
        self._is_given_up = False
        self._rotates_from = self._rotated_at = 0.0
        self._cannot_rotate = False

    @property
    def is_on(self) -> bool:
        """Whether lines are written at all."""
        return self._is_on

    @property
    def lost(self) -> int:
        """How many lines could not be written."""
        return self._losses.total

    @property
    def recent(self) -> list[RecentLine]:
        """The last lines, if they are kept in memory. Very long ones are cut."""
        return list(self._recent or ())

    def go_on_from(self, other: "LogFile") -> None:
        """Takes the last lines of a log over that this one follows."""
        if self._recent is not None:
            self._recent.extendleft(reversed(other.recent))

    def write(self, line: bytes, soon: bool = False) -> None:
        """Queues one whole line, which has its LF; with `soon` it does not wait for others. Never raises, never blocks,
        never switches.
        """
        if not self._is_on:
            return
        if self._recent is not None:
            self._recent.append((time.time(), line[:KEPT_BYTES]))
        if not self._outlet.put(line, soon):
            self._lose(1, "its disk or reader is too slow")
        elif self._losses.total:
            self._losses.on_written()

    def flush(self) -> None:
        """Waits until all lines are written, at most `CLOSE_S`. May switch."""
        self._outlet.settle(CLOSE_S)

    def reopen(self) -> None:
        """Has the file opened by its path again, which may name a new file by now, after the lines that are queued. If
        that fails, reports it and keeps the old one. Never switches.
        """
        if self._is_on and self._path != STDERR:
            self._outlet.call(self._reopen_there)

    def close(self) -> None:
        """Writes the queued lines, for which it waits at most `CLOSE_S`, and closes the file. Later lines are dropped.
        May be called twice. May switch.
        """
        if not self._is_on:
            return
        self._is_on = False
        self._outlet.call(self._close_there)
        if not self._outlet.settle(CLOSE_S):
            self._is_given_up = True
            self._lose(max(0, self._outlet.abandon() - 1), "its disk or reader stalls at the end")
            self._outlet.call(self._close_there)  # whenever it is let go

    def _lose(self, lines: int, why: str) -> None:
        LOG_WRITERS.lost += lines
        self._losses.add(lines, why)

    # -- in a thread

    def _write_there(self, data: bytes) -> None:
        """Writes `data`, or counts the lines whose end was not written. Ends a line that was broken off before."""
        if self._fd is None:
            return
        self._rotate_there()
        end_of_torn = b"\n" if self._is_torn else b""
        whole = end_of_torn + data
        try:
            write_all(self._fd, whole, lambda: self._is_given_up)
        except WriteFailed as error:
            self._is_torn = whole[error.written - 1] != 0x0A if error.written else self._is_torn
            lines = data.count(b"\n", max(0, error.written - len(end_of_torn)))
            LOG_WRITERS.in_loop(self._lose, lines, str(error))
        else:
            self._is_torn = False
        if self.rotation.size:  # not only with the next line, which may come tomorrow
            self._rotate_there()

    def _rotate_there(self) -> None:
        fd = self._fd
        if fd is None or not self.rotation.is_on or self._path == STDERR or time.monotonic() < self._rotates_from:
            return
        try:
            fresh = rotated(fd, self._path, self.rotation, self._rotated_at)
        except ExternalError as error:
            self._rotates_from = time.monotonic() + ROTATE_AGAIN_S
            if not self._cannot_rotate:
                LOG_WRITERS.in_loop(self._report, f"cannot rotate log file {self._path}, which grows on: {error}")
            self._cannot_rotate = True
            return
        if fresh is not None:
            self._fd, self._is_torn, self._cannot_rotate = fresh, False, False
            self._rotated_at = time.time()
            os.close(fd)

    def _reopen_there(self) -> None:
        if self._fd is None:
            return
        try:
            fresh = _open(self._path)
        except ExternalError as error:
            LOG_WRITERS.in_loop(self._report, str(error))
            return
        # The same file again, unless it was moved away.
        old, self._fd, self._is_torn = self._fd, fresh, is_broken_off(self._path, fresh)
        os.close(old)

    def _close_there(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None and self._path != STDERR:
            os.close(fd)


def _open(path: str) -> int:
    try:
        return open_to_append(path, MODE)
    except ExternalError as error:
        raise ExternalError(f"cannot open log file {path}: {error}") from error


def _opened(path: str) -> tuple[int, bool, bool]:
    """Returns the descriptor, whether it is a file, in which the lines can be read again, and whether its last line was
    broken off.
    """
    fd = _open(path)
    return fd, stat.S_ISREG(os.fstat(fd).st_mode), is_broken_off(path, fd)


@cache
def standard_error() -> LogFile:
    """Returns the queue of standard error for what is no log. It is never closed."""
    return LogFile(STDERR)


def _to_stderr(text: str) -> None:
    standard_error().write(f"pycast: {text}\n".encode("utf-8", "replace"), soon=True)


def _to_nobody(text: str) -> None:
    """Standard error cannot report about itself; what was lost is logged when it is over."""
