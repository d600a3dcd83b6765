"""A log file that has become too large is renamed, and a new one begun in its place, as Icecast does it.

`NAME.old`, which replaces the one before, or with dates `NAME.20251122_070000`, of which all stay. Several processes
may write to one file, as the workers of a server do. Each looks at the size of the file that it has open; the first to
find it too large renames it, and the others then open the new one. So that only one renames, it is done with a lock on
the open file, which all of them share.

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
    is_dated: bool = False
    """Whether each file keeps a name of its own, with the time, instead of replacing the last one."""


NEVER = Rotation()


def rotated(fd: int, path: str, rotation: Rotation) -> int | None:
    """Returns a descriptor of the new file if the one that is open as `fd` was too large, else None. `fd` stays open.
    Raises ExternalError if it could not be renamed, or no new one opened. Blocks.
    """
    found = os.fstat(fd)
    if not rotation.size or found.st_size < rotation.size or not stat.S_ISREG(found.st_mode):
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
