"""Files that are read from their first byte to their last, and again: piece by piece, each in a native thread.

A file of any size costs one piece of memory. Whoever reads it hears when a round has ended, and when there is another
file of that name: it is read from then on, if it is still of the same format. While somebody copies a file its time
changes with each write, so a file counts only when nobody has written to it for a moment.

The one invariant: the file that is open stays open until there is another one that can be read, and of one that loses
its content the beginning is played on, so a file that is deleted or overwritten silences nobody.
"""

import os
import stat
import time
from collections.abc import Callable
from functools import partial
from io import FileIO
from typing import NamedTuple, Protocol

from pycast.errors import ExternalError

PIECE = 64 << 10

# So much of the beginning is kept for that: more than a minute of most streams.
MOST_KEPT = 1 << 20

# A file that was written to less than this ago may not be complete.
SETTLED_S = 2.0

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK

Identity = tuple[int, int, int, int]
Read = Callable[[int, int], bytes]
"""A function that reads a file, by offset and size."""
Detect = Callable[[Read], str]
"""A function that tells the format of a file; empty if it has none."""
SoundOf = Callable[[str, Read], str | None]
"""A function that tells what else has to be the same of files that are played one after the other, by their format;
None if a file has no audio."""


class Piece(NamedTuple):
    """What was read. `note` is for the log, if there is something to say."""

    data: bytes
    begins: bool
    """Whether these are the first bytes of a round."""
    note: str = ""


class LoopedContent(Protocol):
    """Something that is read again and again."""

    format: str

    def next_piece(self) -> Piece:
        """Returns the next bytes; none if there are none at present. Blocks, and never raises."""

    def close(self) -> None:
        """Ends it."""


class LoopedBytes:
    """Bytes in memory."""

    def __init__(self, format: str, data: bytes) -> None:
        self.format = format
        self._data = data

    def next_piece(self) -> Piece:
        return Piece(self._data, begins=True)

    def close(self) -> None:
        """Has nothing to end."""


class LoopedFile:
    """A file. All methods block. One that is forgotten is closed: a disk may stall until nobody waits for it."""

    _file: FileIO | None = None

    def __init__(self, path: str, detect: Detect, expected: str, sound_of: SoundOf = lambda name, read: "") -> None:
        """Opens the file. Raises ExternalError, whose text is the reason: `expected` for one without a format. One that
        takes its place later needs audio of the format, too.
        """
        self._path = path
        self._detect = detect
        self._sound_of = sound_of
        self._file, self._identity = _opened(path)
        self._refused: Identity | None = None
        self._offset = 0
        self._kept = bytearray()
        """The beginning, as it was read first."""
        self._is_lost = False
        """Whether the open file has no longer what it had."""
        try:
            read = partial(_read_at, self._file)
            self.format = detect(read)
            self._sound = sound_of(self.format, read) if self.format else None
        except OSError as error:
            raise ExternalError(str(error.strerror)) from error
        finally:
            if not getattr(self, "format", ""):
                self._file.close()
        if not self.format:
            raise ExternalError(expected)

    def next_piece(self) -> Piece:
        note = ""
        try:
            note = self._renew() or self._look()
            data = self._read()
            if not data and self._offset:
                self._offset = 0
                data = self._read()
        except OSError as error:
            return Piece(b"", begins=False, note=f"cannot be read: {error.strerror}")
        except ValueError:  # it was closed while the disk stalled
            return Piece(b"", begins=False)
        begins, self._offset = self._offset == 0, self._offset + len(data)
        return Piece(data, begins, note)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    __del__ = close

    def _read(self) -> bytes:
        if self._is_lost:
            return bytes(self._kept[self._offset : self._offset + PIECE])
        data = _read_at(self._file, self._offset, PIECE)
        if len(self._kept) == self._offset < MOST_KEPT:
            self._kept += data
        return data

    def _look(self) -> str:
        """Looks whether the open file has become shorter, or is one now that cannot be played. Returns a note on it."""
        found = None if self._is_lost or self._file is None else _identity(os.fstat(self._file.fileno()))
        if found in (None, self._identity) or not self._kept:
            return ""
        self._is_lost = found[2] < self._identity[2] or found == self._refused
        return "has lost its content: what was read of it is played on" if self._is_lost else ""

    def _renew(self) -> str:
        """Takes the file that has the name now, if it is another one and can be used. Returns a note on it."""
        found = identity_of(self._path)
        if found is None or found in (self._identity, self._refused) or not is_settled(found):
            return ""
        try:
            file, identity = _opened(self._path)
        except ExternalError:
            return ""
        why = ""
        try:
            read = partial(_read_at, file)
            format = self._detect(read)
            sound = self._sound_of(format, read) if format == self.format else ""
            if not format or sound is None:
                why = "has no audio that can be played"
            elif format != self.format:
                why = "is of another format"
            elif sound != self._sound:
                why = f"is {sound}, not {self._sound}"
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
        if why:
            file.close()
            self._refused = identity
            self._look()
            return f"has changed, but {why}: the old one goes on"
        self.close()
        self._file, self._identity, self._offset = file, identity, 0
        self._kept, self._is_lost = bytearray(), False
        return "has changed, and is played from its beginning"


def read_file(path: str, most: int) -> tuple[bytes, Identity]:
    """Returns a whole file of at most `most` bytes. Raises ExternalError, whose text is the reason. Blocks."""
    fd, identity = open_file(path)
    try:
        pieces, offset = [], 0
        while piece := os.pread(fd, PIECE, offset):
            pieces.append(piece)
            offset += len(piece)
            if offset > most:
                raise ExternalError(f"expected a file of at most {most >> 20} MiB")
        return b"".join(pieces), identity
    except OSError as error:
        raise ExternalError(str(error.strerror)) from error
    finally:
        os.close(fd)


def open_file(path: str) -> tuple[int, Identity]:
    """Opens a regular file for reading; returns what tells it from another one, too. Raises ExternalError."""
    try:
        fd = os.open(path, _FLAGS)
    except OSError as error:
        raise ExternalError(str(error.strerror)) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise ExternalError("expected a file")
    return fd, _identity(found)


def identity_of(path: str) -> Identity | None:
    """Returns what tells the file of that name from another one; None if there is none. Blocks."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _identity(found) if stat.S_ISREG(found.st_mode) else None


def is_settled(identity: Identity) -> bool:
    """Whether nobody has written to the file for a moment."""
    return not 0 <= time.time() - identity[3] / 1e9 < SETTLED_S


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _opened(path: str) -> tuple[FileIO, Identity]:
    # Not a bare descriptor: if it is closed while a read of it stalls, its number may be another file's by then.
    fd, identity = open_file(path)
    return FileIO(fd), identity


def _read_at(file: FileIO | None, offset: int, size: int) -> bytes:
    assert file is not None
    return os.pread(file.fileno(), size, offset)
