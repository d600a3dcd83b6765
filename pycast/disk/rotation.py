"""A log file that has become too large, or whose time is over, is renamed, and a new one begun in its place, as Icecast
and icecast-kh do it.

`NAME.old`, which replaces the one before, or with dates `NAME.20251122_070000`, of which all stay. Several processes
may write to one file, as the workers of a server do. Each looks at the file that it has open; the first to find it too
large or too old renames it, and the others then open the new one. So that only one renames, it is done with a lock on
the open file, which all of them share. Who has written nothing for a while looks before it writes: the file that it has
open may have been renamed twice meanwhile, and be gone.

A time begins when it does for everybody, a day at midnight, and a file belongs to the time of its last line. So it
makes no difference when a server was started, or how many there are.

What is no file, such as standard error or a pipe, is never rotated. All calls here block: they are for threads.
"""

import fcntl
import os
import stat
import time
from typing import NamedTuple

from pycast.disk.appending import open_to_append
from pycast.errors import ExternalError

OLD = ".old"


class Rotation(NamedTuple):
    """When a file is rotated, and what it is called then."""

    size: int = 0
    """From how many bytes on; 0: never."""
    seconds: float = 0.0
    """The length of a time; 0: for ever."""
    is_dated: bool = False
    """Whether each file keeps a name of its own, with the time, instead of replacing the last one."""

    @property
    def is_on(self) -> bool:
        """Whether files are rotated at all."""
        return bool(self.size or self.seconds)

    def is_due(self, size: int, written: float, now: float) -> bool:
        """Whether a file of that size, last written at `written`, is to be rotated."""
        is_over = bool(self.seconds) and self._time_of(written) < self._time_of(now)
        return bool(self.size and size >= self.size) or (is_over and size > 0)

    def _time_of(self, at: float) -> int:
        return int((at + time.localtime(at).tm_gmtoff) // self.seconds)


NEVER = Rotation()


def rotated(fd: int, path: str, rotation: Rotation, begun: float = 0.0) -> int | None:
    """Returns a descriptor of the new file if the one that is open as `fd` is due, or is there no more because another
    process has renamed it; else None. `fd` stays open. Raises ExternalError if it could not be renamed, or no new one
    opened. Blocks.

    `begun` is when the last call returned one. A file's own time may be one of before that: the kernel's is some
    milliseconds late, a file server's clock minutes. The file would be renamed again, over the one of before.
    """
    found, now = os.fstat(fd), time.time()
    if not rotation.is_on or not stat.S_ISREG(found.st_mode):
        return None
    written = max(found.st_mtime, begun) if begun <= now else found.st_mtime
    if not rotation.is_due(found.st_size, written, now) and not _is_another_at(path, found):
        return None
    # A link stays, and what it leads to is renamed.
    real = os.path.realpath(path)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None  # another process is at it
    try:
        if _is_at(real, found):
            os.rename(real, _name_of(real, rotation.is_dated))
        return open_to_append(real, stat.S_IMODE(found.st_mode))
    except OSError as error:
        raise ExternalError(error.strerror or str(error)) from error
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)


def _is_at(path: str, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), file)
    except FileNotFoundError:
        return False


def _is_another_at(path: str, file: os.stat_result) -> bool:
    """Whether there is another file at the path. None at all is an operator's `mv`: he sends SIGHUP."""
    try:
        return not os.path.samestat(os.stat(path), file)
    except OSError:
        return False


def _name_of(path: str, is_dated: bool) -> str:
    if not is_dated:
        return path + OLD
    at = time.localtime()
    name = f"{path}.{at.tm_year:04}{at.tm_mon:02}{at.tm_mday:02}_{at.tm_hour:02}{at.tm_min:02}{at.tm_sec:02}"
    found, number = name, 1
    while os.path.lexists(found):  # within one second
        number += 1
        found = f"{name}_{number}"
    return found
