"""Native FLAC: metadata blocks first, then frames; any number of files after each other (RFC 9639).

A listener gets `fLaC`, STREAMINFO and the comments, and starts at a frame. A frame has no length: it ends where the
next one begins. Its sync word occurs in audio too, so a header counts only if its checksum is right, if it agrees with
STREAMINFO, and if its number follows the one before; together that is some fifty bits. After lost bytes, two headers
that follow each other begin anew. Pictures and other blocks that are too large are left out while they arrive.

The one invariant: what comes out is whole files, or their beginnings: `fLaC`, blocks of which the last one is marked as
such, and frames.

Junk between two frames that follow each other passes as the end of the first one: decoders look for the next sync word.

Rejected: the checksum of a whole frame, which would take a table look-up in Python for each byte.
"""

import re
from typing import NamedTuple

from pycast.errors import FormatError
from pycast.formats.clock import BitrateMeter
from pycast.formats.flac_metadata import FlacMetadata
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.patterns import pattern

MAX_FRAME = 1024 * 1024
"""Most bytes of one frame. 4,096 samples of eight channels have some 100 KB."""

MAX_LOST = 16 * 1024 * 1024
"""Most bytes in a row in which no frame is found."""

_MAGIC = b"fLaC"
# A frame's header: its sync word, and bits that are never set or always; or another file with its STREAMINFO.
_CANDIDATE = pattern(rb"\xff[\xf8\xf9](?=[\x10-\xff][\x00-\xaf])|fLaC[\x00\x80]\x00\x00\x22", re.DOTALL)
_LONGEST_HEADER = 16
_MOST_PENDING = 64
SIZES = (0, 192, 576, 1152, 2304, 4608, 0, 0, *(256 << shift for shift in range(8)))
EXTRA_SIZE = {6: 1, 7: 2}
EXTRA_RATE = {12: 1, 13: 2, 14: 2}
_NO_RATE = 15
_ID3V1_SIZE = 128


def _crc8_table() -> bytes:
    table = bytearray()
    for crc in range(256):
        for _ in range(8):
            crc = (crc << 1 ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
        table.append(crc)
    return bytes(table)


CRC8 = _crc8_table()
"""Of a frame's header, by the sum so far combined with the next byte."""


_Kind = tuple[int, int, int]
"""What all frames of a file have in common: the way of numbering, and the codes of sample rate and sample size."""


class _Frame(NamedTuple):
    """What a frame's header says. `following` is the number that the next frame has."""

    number: int
    following: int
    samples: int
    kind: _Kind


class Flac:
    """Native FLAC. Raises FormatError for a stream that is none, or is broken beyond repair."""

    family = "flac"

    def __init__(self, base: int = 0) -> None:
        self._offset = base
        self._lost = 0
        self._lost_in_row = 0
        self._left_out = 0
        self._out: list[bytes] = []
        self._marks: list[Mark] = []
        self._metadata: FlacMetadata | None = None
        self._buf = bytearray()
        self._taken = 0
        """Bytes that have left the buffer, since the metadata."""
        self._done = 0
        """Bytes at the beginning of the buffer that are done with."""
        self._scanned = 0
        self._frame: _Frame | None = None
        """The frame that begins where the buffer is not done with; None if none does."""
        self._pending: dict[int, tuple[int, _Frame]] = {}
        """Headers that follow no frame, with their places in the stream, by the number that would follow each."""
        self._rate = 0
        self._kind: _Kind | None = None
        self._time_s = 0.0
        self._stats: dict[str, str] = {}
        self._meter = BitrateMeter(base, 0.0, None)
        self._tags = ("", "")

    @property
    def dropped(self) -> int:
        """Bytes dropped so far: junk, frames that break off, large metadata blocks."""
        return self._lost + self._left_out

    @property
    def warning(self) -> str:
        """How much was dropped, in words; empty if nothing."""
        texts = (
            f"{self._lost} bytes were no whole FLAC frames and are left out" if self._lost else "",
            f"{self._left_out} bytes of large pictures or comments are left out" if self._left_out else "",
        )
        return "; ".join(filter(None, texts))

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole metadata and frames, and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        while data:
            data = self._take_frames(data) if self._metadata is None else self._take_metadata(self._metadata, data)
        return b"".join(self._out), self._marks

    def finish(self) -> tuple[bytes, list[Mark]]:
        """Returns the last frame, as nothing follows that would show its end. Must not be fed again."""
        self._out, self._marks = [], []
        if self._metadata is None:
            # A header counts only with some bytes behind it: the last frame may be shorter than that.
            self._take_frames(bytes(_LONGEST_HEADER))
            if self._frame is not None:
                buf = bytes(self._buf[:-_LONGEST_HEADER])
                self._end_frame(buf, len(buf) - _ID3V1_SIZE if _has_id3v1(buf) else len(buf))
                self._frame = None
        return b"".join(self._out), self._marks

    def _take_metadata(self, metadata: FlacMetadata, data: bytes) -> bytes:
        """Takes metadata blocks; returns what follows them."""
        rest = metadata.feed(data)
        if metadata.is_broken:
            self._metadata, self._rate = None, 0
            self._drop(metadata.size)
        elif metadata.is_complete:
            self._metadata = None
            self._begin(metadata)
        return rest

    def _begin(self, metadata: FlacMetadata) -> None:
        """Passes on metadata, with the marks for it."""
        offset, blocks = self._offset, metadata.blocks()
        self._left_out += max(metadata.size - len(blocks), 0)
        self._marks += (Header(offset, b""), Join(offset, self._time_s))
        self._emit(blocks)
        self._rate, self._kind = metadata.rate, None
        self._stats = {"audio_samplerate": str(metadata.rate), "audio_channels": str(metadata.channels)}
        self._meter = BitrateMeter(self._offset, self._time_s, None)
        self._marks.append(Info(offset, None, self._stats))
        if metadata.tags != self._tags:
            self._tags = metadata.tags
            self._marks.append(Tags(offset, *metadata.tags))
        self._marks.append(Header(self._offset, metadata.header()))

    def _take_frames(self, data: bytes) -> bytes:
        """Takes frames; returns another file that begins after them."""
        self._buf += data
        buf = bytes(self._buf)
        for match in _CANDIDATE.finditer(buf, self._scanned):
            at = match.start()
            if buf[at] == _MAGIC[0]:
                self._end_frame(buf, at)
                self._metadata, self._frame = FlacMetadata(), None
                self._buf.clear()
                self._taken = self._scanned = self._done = 0
                self._pending.clear()
                return buf[at:]
            if at + _LONGEST_HEADER > len(buf):
                break
            frame = _read_header(buf, at, self._kind) if self._rate else None
            if frame is not None:
                self._meet(buf, at, frame)
        self._scanned = max(self._scanned, len(buf) - _LONGEST_HEADER + 1)
        self._shorten()
        return b""

    def _meet(self, buf: bytes, at: int, frame: _Frame) -> None:
        """Takes a header: that of the next frame, one that follows another, or one that may be there by chance."""
        before = self._frame
        # The first one is believed, right after the metadata.
        is_first = self._kind is None and self._taken + at == 0
        if not is_first and (before is None or frame.number != before.following):
            begin, other = self._pending.pop(frame.number, (0, None))
            if other is None or other.kind != frame.kind:
                self._pending[frame.following] = self._taken + at, frame
                if len(self._pending) > _MOST_PENDING:
                    del self._pending[next(iter(self._pending))]
                return
            # Two that follow each other. The frame before has lost its end.
            self._frame = None
            self._end_frame(buf, begin - self._taken)
            self._frame = other
        self._end_frame(buf, at)
        self._frame, self._kind = frame, frame.kind
        self._pending.clear()

    def _end_frame(self, buf: bytes, end: int) -> None:
        """Passes on the frame that ends at `end`; drops the bytes there if they are none."""
        begin, self._done = self._done, end
        if self._frame is None:
            self._drop(end - begin)
            return
        self._marks.append(Join(self._offset, self._time_s))
        if self._time_s >= self._meter.due_s:
            bitrate = self._meter.measure(self._offset, self._time_s)
            if bitrate:
                self._marks.append(Info(self._offset, bitrate, self._stats))
        self._emit(buf[begin:end])
        self._time_s += self._frame.samples / self._rate
        self._lost_in_row = 0

    def _shorten(self) -> None:
        """Drops what will not be needed any more."""
        size = len(self._buf)
        if self._frame is not None and size - self._done > MAX_FRAME:
            self._frame = None
        oldest = self._taken + size - MAX_FRAME
        self._pending = {number: one for number, one in self._pending.items() if one[0] >= oldest}
        if self._frame is None:
            begins = (begin - self._taken for begin, _ in self._pending.values())
            end = max(min((self._scanned, *begins)), self._done)
            self._drop(end - self._done)
            self._done = end
        del self._buf[: self._done]
        self._taken += self._done
        self._scanned = max(self._scanned - self._done, 0)
        self._done = 0

    def _drop(self, size: int) -> None:
        """Counts bytes that no decoder could use. Raises FormatError after too many."""
        self._lost += size
        self._lost_in_row += size
        if self._lost_in_row > MAX_LOST:
            what = "no FLAC frame" if self._rate else "no FLAC metadata"
            raise FormatError(f"nothing in {MAX_LOST >> 20} MiB of the FLAC stream can be played: {what} in it")

    def _emit(self, data: bytes) -> None:
        self._out.append(data)
        self._offset += len(data)


def header_checksum(head: bytes) -> int:
    """Returns the checksum that the header of a frame ends with (RFC 9639 section 9.1.8)."""
    crc = 0
    for byte in head:
        crc = CRC8[crc ^ byte]
    return crc


def _has_id3v1(buf: bytes) -> bool:
    """Whether a file ends with a tag of the old kind, which belongs to no frame."""
    return len(buf) > _ID3V1_SIZE and buf.startswith(b"TAG", len(buf) - _ID3V1_SIZE)


def _read_header(buf: bytes, at: int, kind: _Kind | None) -> _Frame | None:
    """Returns the header of a frame at `at`, where the longest one would be complete; None if there is none of this
    kind."""
    sizes, rates = buf[at + 2] >> 4, buf[at + 2] & 0x0F
    found = buf[at + 1], rates, buf[at + 3] & 0x0F
    if kind not in (None, found) or rates == _NO_RATE or buf[at + 3] & 1:
        return None
    # The number is written as in UTF-8, but longer.
    lead = buf[at + 4]
    width = 1 if lead < 0x80 else 8 - (lead ^ 0xFF).bit_length()
    if width > 7 or (lead >= 0x80 and width < 2):
        return None
    number = lead if width == 1 else lead & 0x7F >> width
    for byte in buf[at + 5 : at + 4 + width]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    pos = at + 4 + width
    samples, extra = SIZES[sizes], EXTRA_SIZE.get(sizes, 0)
    if extra:
        samples = int.from_bytes(buf[pos : pos + extra]) + 1
    pos += extra + EXTRA_RATE.get(rates, 0)
    if header_checksum(buf[at:pos]) != buf[pos]:
        return None
    # With blocks of varying size it is the number of a sample.
    return _Frame(number, number + (samples if buf[at + 1] & 1 else 1), samples, found)
