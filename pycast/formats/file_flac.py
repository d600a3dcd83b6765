"""The frames of FLAC files that are played one after the other: one stream, whose samples are counted through.

Each file counts its frames from 0, and its last one is shorter than the others. A decoder that finds number 0 after
number 900 takes it for something that looks like a frame, or goes back in time, and one that multiplies the number of
a short frame by its length goes back as well. So frames have the number of their first sample, as in a stream of blocks
of varying size, and their checksums are made right again. The metadata goes out once, and again only if a file has
another one.

The checksum at the end of a frame is over all of its bytes, which would take a table look-up for each. But it is
linear: what a changed header adds to it is that header's own checksum, as it is after so many more bytes.

The one invariant: what comes out is whole files or their beginnings, each with frames that follow each other.
"""

from itertools import pairwise
from typing import NamedTuple

from pycast.formats.flac import EXTRA_RATE, EXTRA_SIZE, SIZES, Flac, header_checksum
from pycast.formats.marks import Header, Join, Mark

_MAGIC = b"fLaC"
_CHECKSUM_SIZE = 2
_POLYNOMIAL = 0x18005
_IS_VARIABLE = 1
_LAST_NUMBER = 1 << 36
"""No frame has so high a number: after 18 days of 44.1 kHz the stream begins anew."""
_SMALLEST_AT, _SMALLEST = 8, b"\0\x10"
"""Where STREAMINFO has the size of the smallest block, and the smallest size."""


class FlacFile:
    """Whole frames of native FLAC, numbered through all rounds."""

    end_s = 0.0

    def __init__(self) -> None:
        self._flac = Flac()
        self._offset = 0
        self._header = b""
        self._number = 0

    def feed(self, data: bytes) -> bytes:
        return self._numbered(*self._flac.feed(data))

    def end_round(self) -> bytes:
        rest = self._numbered(*self._flac.finish())
        self._flac, self._offset = Flac(), 0
        return rest

    def _numbered(self, out: bytes, marks: list[Mark]) -> bytes:
        """Returns the frames in `out` with their new numbers."""
        begun, self._offset = self._offset, self._offset + len(out)
        joins = [mark.offset - begun for mark in marks if isinstance(mark, Join)]
        headers = [mark.data for mark in marks if isinstance(mark, Header) and mark.data]
        parts = []
        for start, end in pairwise([*joins, len(out)]):
            if not out.startswith(_MAGIC, start):
                parts.append(self._renumber(out[start:end]))
            elif (header := _of_varying_blocks(headers.pop(0))) != self._header:
                self._header, self._number = header, 0
                parts.append(header)
        return b"".join(parts)

    def _renumber(self, frame: bytes) -> bytes:
        changed, following = renumbered(frame, self._number)
        if following < _LAST_NUMBER:
            self._number = following
            return changed
        changed, self._number = renumbered(frame, 0)
        return self._header + changed


def _of_varying_blocks(header: bytes) -> bytes:
    return header[:_SMALLEST_AT] + _SMALLEST + header[_SMALLEST_AT + 2 :]


class _Numbered(NamedTuple):
    frame: bytes
    following: int
    """The number of the next frame's first sample."""


def renumbered(frame: bytes, number: int) -> _Numbered:
    """Returns a whole frame whose first sample has that number, and its two checksums made right."""
    width = 1 if frame[4] < 0x80 else 8 - (frame[4] ^ 0xFF).bit_length()
    sizes, rates = frame[2] >> 4, frame[2] & 0x0F
    size_at = 4 + width
    rate_at = size_at + EXTRA_SIZE.get(sizes, 0)
    end = rate_at + EXTRA_RATE.get(rates, 0)
    samples = SIZES[sizes] or int.from_bytes(frame[size_at:rate_at]) + 1
    head = bytes((frame[0], frame[1] | _IS_VARIABLE)) + frame[2:4] + coded(number) + frame[size_at:end]
    head += bytes([header_checksum(head)])
    old, body = frame[: end + 1], frame[end + 1 : -_CHECKSUM_SIZE]
    change = _after(checksum(old) ^ checksum(head), len(body))
    total = int.from_bytes(frame[-_CHECKSUM_SIZE:]) ^ change
    return _Numbered(head + body + total.to_bytes(_CHECKSUM_SIZE), number + samples)


def coded(number: int) -> bytes:
    """Returns a number as frames have it: as in UTF-8, of up to 36 bits."""
    if number < 0x80:
        return bytes([number])
    width = 2
    while number >> 5 * width + 1 and width < 7:
        width += 1
    rest = [0x80 | number >> 6 * place & 0x3F for place in range(width - 2, -1, -1)]
    return bytes([0xFF << 8 - width & 0xFF | number >> 6 * (width - 1), *rest])


def with_checksums(head: bytes, body: bytes) -> bytes:
    """Returns a frame of a header and subframes that have no checksums yet."""
    frame = head + bytes([header_checksum(head)]) + body
    return frame + checksum(frame).to_bytes(_CHECKSUM_SIZE)


def _checksum_table() -> list[int]:
    return [_times(byte << 8, 0x100) for byte in range(256)]


def checksum(data: bytes) -> int:
    """Returns the checksum that a frame ends with (RFC 9639 section 9.3)."""
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ _TABLE[crc >> 8 ^ byte]
    return crc


def _times(one: int, other: int) -> int:
    """Multiplies two polynomials of less than 16 bits, modulo the one of the checksum."""
    product = 0
    while other:
        if other & 1:
            product ^= one
        other >>= 1
        one <<= 1
        if one & 0x10000:
            one ^= _POLYNOMIAL
    return product


def _after(crc: int, size: int) -> int:
    """Returns what becomes of a checksum after `size` bytes of zero."""
    power = 0x100
    while size:
        if size & 1:
            crc = _times(crc, power)
        power = _times(power, power)
        size >>= 1
    return crc


_TABLE = _checksum_table()
