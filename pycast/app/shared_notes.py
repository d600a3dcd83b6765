"""Texts in memory that a worker and its parent share: each note is written by one side and read by the other.

A note is replaced whole. Nobody waits for anybody, so it may be read while it is being written, or be left half
written by a process that was killed: a checksum tells, and such a note counts as an empty one. The one invariant: what
is read was written so.
"""

import json
from binascii import crc32
from collections.abc import Sequence
from mmap import mmap
from struct import Struct

from pycast.logs.files import RecentLine

NOTE_SIZE = 64 << 10
"""Bytes of memory for one note."""

_HEAD = Struct("<II")
MOST_NOTE = NOTE_SIZE - _HEAD.size


class SharedNote:
    """One note, at an offset of the memory."""

    def __init__(self, memory: mmap, at: int) -> None:
        self._memory = memory
        self._at = at

    def write(self, text: bytes) -> bool:
        """Replaces the note. Returns whether there is room for it; if not, the old one stays."""
        if len(text) > MOST_NOTE:
            return False
        begin = self._at + _HEAD.size
        self._memory[begin : begin + len(text)] = text
        _HEAD.pack_into(self._memory, self._at, len(text), crc32(text))
        return True

    def read(self) -> bytes:
        """Returns the note; nothing if it is not whole."""
        size, checksum = _HEAD.unpack_from(self._memory, self._at)
        begin = self._at + _HEAD.size
        text = self._memory[begin : begin + min(size, MOST_NOTE)]
        return text if crc32(text) == checksum else b""


def note_of_lines(lines: Sequence[RecentLine]) -> bytes:
    """Returns a note with the last lines of a log, as many as there is room for."""
    kept: list[str] = []
    left = MOST_NOTE - 2
    for at, line in reversed(lines):
        one = json.dumps([at, line.decode("utf-8", "replace")])
        left -= len(one) + 1
        if left < 0:
            break
        kept.append(one)
    return f"[{','.join(reversed(kept))}]".encode()


def lines_of_note(note: bytes) -> list[RecentLine]:
    """Returns the lines that `note_of_lines` has put into a note."""
    return [(at, text.encode()) for at, text in json.loads(note or b"[]")]
