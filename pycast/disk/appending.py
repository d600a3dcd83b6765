"""Opens files to append to them, and writes to whatever they turn out to be: a file, a pipe, a terminal. Blocks.

It is told what a name stands for before anything is written. A pipe that nobody reads is refused: opening it would wait
for a reader, maybe for ever. A file that was opened here never makes a write to a pipe wait without end (`O_NONBLOCK`);
for standard error, which is shared with other programs, that mode is left as it is. Links are followed: log files that
are links to /dev/stderr are usual in containers.
"""

import errno
import os
import select
import stat
from collections.abc import Callable

from gevent.monkey import get_original

from pycast.errors import ExternalError

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK

# How long a write waits for room before it asks whether it should go on.
ROOM_MS = 250

UNREAD = "it is a pipe that nobody reads: start its reader first"


def open_to_append(path: str, mode: int) -> int:
    """Returns a descriptor; a file that is not there is made, with `mode`. Raises ExternalError, whose text is the
    reason.
    """
    try:
        return os.open(path, _FLAGS, mode)
    except OSError as error:
        raise ExternalError(_reason(path, error)) from error


def is_pipe(path: str) -> bool:
    """Whether there is a named pipe at this path."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except OSError:
        return False


def is_broken_off(path: str, fd: int) -> bool:
    """Whether a file, open for writing, ends in the middle of a line, by a full disk or a crash."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # `fd` is for writing only
    except OSError:
        return False
    try:
        return os.pread(reader, 1, found.st_size - 1) not in (b"", b"\n")
    except OSError:
        return False
    finally:
        os.close(reader)


def write_all(fd: int, data: bytes, is_given_up: Callable[[], bool]) -> None:
    """Writes all of `data`, to anything but a file in pieces that a pipe takes whole, as whole lines if it has any.
    Raises WriteFailed, also if it was given up.
    """
    is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    written = 0
    try:
        while written < len(data):
            end = len(data) if is_file else _piece_end(data, written)
            if not is_file:
                _wait_for_room(fd, is_given_up)
            try:
                written += os.write(fd, data[written:end])
            except BlockingIOError:  # another program took the room
                continue
    except OSError as error:
        raise WriteFailed(written, error.strerror or str(error)) from error


class WriteFailed(ExternalError):
    """A write that failed, after `written` bytes."""

    def __init__(self, written: int, why: str) -> None:
        super().__init__(why)
        self.written = written


def _piece_end(data: bytes, start: int) -> int:
    """Returns the end of the next piece: a pipe that is ready takes PIPE_BUF bytes without waiting, and does not mix
    them with those of others (POSIX).
    """
    end = start + select.PIPE_BUF
    if end >= len(data):
        return len(data)
    return data.rfind(b"\n", start, end) + 1 or end


def _wait_for_room(fd: int, is_given_up: Callable[[], bool]) -> None:
    # gevent's own poll would wait in a loop of this thread.
    poll = get_original("select", "poll")()
    poll.register(fd, select.POLLOUT)
    while not poll.poll(ROOM_MS):
        if is_given_up():
            raise BlockingIOError(errno.EAGAIN, "its reader did not read in time")


def _reason(path: str, error: OSError) -> str:
    if error.errno == errno.ENXIO:
        return UNREAD if is_pipe(path) else 'it is a socket: "-" stands for standard error'
    return error.strerror or str(error)
