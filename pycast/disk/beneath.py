"""Opens a file of a folder, and nothing else: no file outside it, whatever a name or a link in it says.

The name is looked up with its links followed, and without opening anything (`O_PATH`): a pipe, a device or a socket is
not touched. Where the way has led is asked of the kernel then, for that very file, so nobody can exchange a link
between the look and the opening. Only a plain file below the folder is opened, and a folder is named as such.

All calls here block: they are for threads.
"""

import errno
import os
import stat
from typing import BinaryIO, NamedTuple

from pycast.errors import ExternalError

_LOOK = os.O_PATH | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK

# What a name can lead to that is not there, or not for this server.
_NOT_THERE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EINVAL}
)


class FoundFile(NamedTuple):
    """An open file; who gets it closes it."""

    file: BinaryIO
    size: int
    mtime_ns: int


class FoundFolder(NamedTuple):
    """A folder, which is not opened."""


def open_beneath(root: str, name: str) -> FoundFile | FoundFolder | None:
    """Returns what `name`, which begins with a "/", is below the folder `root`; None if there is no such file or folder
    that this user may read. A name of the disk may be in Latin-1. Raises ExternalError if the disk or the system fails.
    Blocks.
    """
    if "\0" in name:
        return None
    for encoding in ("utf-8",) if name.isascii() else ("utf-8", "latin-1"):
        try:
            found = _open_beneath(root, name.encode(encoding))
        except UnicodeEncodeError:
            continue
        if found is not None:
            return found
    return None


def _open_beneath(root: str, name_bytes: bytes) -> FoundFile | FoundFolder | None:
    looks: list[int] = []
    try:
        looks.append(os.open(root, _LOOK | os.O_DIRECTORY))
        looks.append(os.open(name_bytes.lstrip(b"/") or b".", _LOOK, dir_fd=looks[0]))
        return _opened(*looks)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise ExternalError(f"{root}: {error.strerror or error}") from error
    finally:
        for fd in looks:
            os.close(fd)


def read_beneath(root: str, name: str, most: int) -> bytes | None:
    """Returns the contents of that file, None if there is none or it is larger than `most` bytes. Raises ExternalError.
    Blocks.
    """
    found = open_beneath(root, name)
    if not isinstance(found, FoundFile):
        return None
    with found.file:
        try:
            data = found.file.read(most + 1)
        except OSError as error:
            raise ExternalError(f"{root}{name}: {error.strerror or error}") from error
    return data if len(data) <= most else None


def _opened(root: int, fd: int) -> FoundFile | FoundFolder | None:
    """Returns what the descriptor stands for, if that is below the folder."""
    found = os.fstat(fd)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) or not _is_below(_where(root), _where(fd)):
        return None
    if stat.S_ISDIR(found.st_mode):
        return FoundFolder()
    file = os.fdopen(os.open(f"/proc/self/fd/{fd}", _READ), "rb", buffering=0)
    return FoundFile(file, found.st_size, found.st_mtime_ns)


def _where(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError as error:
        raise ExternalError("files need /proc, which is not mounted") from error


def _is_below(root: str, path: str) -> bool:
    return path == root or path.startswith(f"{root.rstrip('/')}/")
