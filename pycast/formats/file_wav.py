"""The samples of WAV files that are played one after the other: one header, then whole blocks of samples.

A file has chunks behind its samples, which a player would take for noise, and maybe half a block at its end. So as many
samples come out as the header says, in whole blocks. A player of WAV can begin anew nowhere, so a file whose samples
are of another kind cannot follow.
"""

import re
from struct import pack, unpack_from

from pycast.errors import FormatError
from pycast.formats.wav import read_description
from pycast.patterns import pattern

MAX_DESCRIPTION = 4096
"""Most bytes of a chunk that is read."""

_BEGIN = pattern(rb"(?:RIFF|RF64|BW64)....WAVE", re.DOTALL)
_UNKNOWN = 0xFFFFFFFF
_HEAD_SIZE = 12
_CHUNK_HEAD = 8
_SMALLEST, _BLOCK_AT = 16, 12
_LONG_SIZE_AT = 8
_ENDLESS = 1 << 62


class WavFile:
    """Whole blocks of samples, after one header."""

    end_s = 0.0

    def __init__(self) -> None:
        self._description = b""
        """What describes the samples; empty before the first file's."""
        self._begin_file()

    def feed(self, data: bytes) -> bytes:
        """Raises FormatError."""
        header = b""
        self._buf += data
        if not (self._is_found or self._find()):
            return b""
        while self._left is None:
            skipped = min(self._skip, len(self._buf))
            del self._buf[:skipped]
            self._skip -= skipped
            if self._skip or not self._has_chunk():
                return b""
            header = self._take_chunk()
        size = min(len(self._buf), self._left)
        size -= size % self._block
        samples = bytes(self._buf[:size])
        del self._buf[:size]
        self._left -= size
        if self._left < self._block:
            self._buf.clear()
        return header + samples

    def end_round(self) -> bytes:
        self._begin_file()
        return b""

    def _begin_file(self) -> None:
        self._buf = bytearray()
        self._is_found = False
        """Whether its begin has come: tags may be before it."""
        self._skip = _HEAD_SIZE
        self._found = b""
        self._long_size = 0
        self._block = 1
        self._left: int | None = None
        """Bytes of samples that are still to come; None before the samples."""

    def _find(self) -> bool:
        found = _BEGIN.search(self._buf)
        del self._buf[: found.start() if found else max(len(self._buf) - _HEAD_SIZE + 1, 0)]
        self._is_found = found is not None
        return self._is_found

    def _has_chunk(self) -> bool:
        """Whether the next chunk can be taken: its head is there, and its content if that is read."""
        if len(self._buf) < _CHUNK_HEAD:
            return False
        name, size = unpack_from("<4sI", self._buf)
        return name not in (b"fmt ", b"ds64") or len(self._buf) >= _CHUNK_HEAD + min(size, MAX_DESCRIPTION)

    def _take_chunk(self) -> bytes:
        """Takes a chunk; returns the header of the stream, if it is that of the samples. Raises FormatError."""
        name, size = unpack_from("<4sI", self._buf)
        content = bytes(self._buf[_CHUNK_HEAD : _CHUNK_HEAD + min(size, MAX_DESCRIPTION)])
        if name == b"data":
            del self._buf[:_CHUNK_HEAD]
            self._left = size if 0 < size < _UNKNOWN // 2 else self._long_size or _ENDLESS
            return self._begin_samples()
        if name == b"fmt " and len(content) >= _SMALLEST:
            self._found = content
        elif name == b"ds64" and len(content) >= _LONG_SIZE_AT + 8:
            (self._long_size,) = unpack_from("<Q", content, _LONG_SIZE_AT)
        self._skip = _CHUNK_HEAD + size + size % 2
        return b""

    def _begin_samples(self) -> bytes:
        """Returns the header of the stream, the first time. Raises FormatError."""
        found = self._found
        if not found:
            raise FormatError("a WAV file without a description of its samples")
        (block,) = unpack_from("<H", found, _BLOCK_AT)
        self._block = max(block, 1)
        if self._description:
            if read_description(found) != read_description(self._description):
                raise FormatError("the samples of the WAV file are of another kind than before")
            return b""
        self._description = found
        riff = pack("<4sI4s4sI", b"RIFF", _UNKNOWN, b"WAVE", b"fmt ", len(found))
        return riff + found + bytes(len(found) % 2) + pack("<4sI", b"data", _UNKNOWN)
