"""A file that is read again when it has changed: a list that somebody else keeps.

An editor or a script may write it in pieces, and a part of such a list must not be taken for the whole. So a changed
file is read only when it has been the same at two looks. The one invariant: what `look` returns is the content of the
file as it was between two equal looks at its time, size and number.
"""

import os
import stat
from typing import NamedTuple


class _FileStamp(NamedTuple):
    time_ns: int
    size: int
    number: int


class WatchedFile:
    """One file. Its methods block, so a node calls them in a thread. Both raise OSError; a file that is none, or is
    larger than `most`, is such an error too.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self._most = most
        self._read: _FileStamp | None = None
        self._seen: _FileStamp | None = None

    def read(self) -> bytes:
        """Returns the content as it is now."""
        # A pipe is opened without waiting for its writer, and then refused.
        with open(self.name, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(0, "it is no regular file")
            content = file.read(self._most + 1)
        if len(content) > self._most:
            raise OSError(0, f"it is larger than {self._most >> 20} MiB")
        self._read = self._seen = _stamp(status)
        return content

    def look(self) -> bytes | None:
        """Returns the content if the file has changed since it was read, and has been as it is for one look; else
        None.
        """
        before, self._seen = self._seen, None
        self._seen = _stamp(os.stat(self.name))
        return self.read() if self._seen == before != self._read else None


def _stamp(status: os.stat_result) -> _FileStamp:
    return _FileStamp(status.st_mtime_ns, status.st_size, status.st_ino)
