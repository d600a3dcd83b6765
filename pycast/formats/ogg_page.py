"""Ogg pages: cutting bytes into pages that are whole and intact (RFC 3533 section 6).

Knows nothing of codecs or chains. Bytes before and between pages, and pages whose checksum is wrong, are dropped and
counted, as a decoder would drop them; too many in a row are an error. The one invariant: a page that comes out has a
correct checksum.

The checksum is a CRC-32 with zlib's polynomial, but with the bits of each byte the other way round and no inversion.
Reversing the bits of the input (`bytes.translate`) and of the result lets zlib do the work at C speed: a page of 8 kB
costs some 10 us here.
"""

from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple
from zlib import crc32

from pycast.errors import FormatError

MAX_GARBAGE = 1024 * 1024
"""Most bytes dropped in a row: many broken pages, or a large ID3 tag. A stream that has no page in so many bytes will
have none later."""

MAX_WASTE = 1024 * 1024
"""Most bytes of checksums in vain. A broken page costs its own length, at most 64 KiB, and whatever is done with, as an
intact page or as garbage, makes up for as many bytes as it has. Without this limit, heads of large pages that follow
each other closely, none of them intact, would each cost a checksum of 64 KiB."""

NO_GRANULE = -1
"""Granule position of a page on which no packet ends."""

CONTINUED, FIRST, LAST = 1, 2, 4
"""The flags of a page."""

_CAPTURE = b"OggS"
_HEAD = Struct("<4sBBqIIIB")
_HEAD_SIZE = _HEAD.size
_MOST_SEGMENTS = 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """One page. `data` is all of it, `body` where its packets begin in `data`."""

    data: bytes
    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: int

    @property
    def is_first(self) -> bool:
        """Whether it begins a logical stream (BOS)."""
        return bool(self.flags & FIRST)

    @property
    def is_last(self) -> bool:
        """Whether it ends a logical stream (EOS)."""
        return bool(self.flags & LAST)

    @property
    def is_continued(self) -> bool:
        """Whether it begins with the rest of a packet from the page before."""
        return bool(self.flags & CONTINUED)

    @property
    def identity(self) -> bytes:
        """Its number and checksum: equal for a page that is sent twice."""
        return self.data[18:26]

    def pieces(self) -> list[tuple[bytes, bool]]:
        """Returns the part of each packet that is on this page, and whether the packet ends here. The first one is the
        rest of a packet if the page is continued.
        """
        pieces = []
        begin = end = self.body
        for size in self.lacing:
            end += size
            if size < _MOST_SEGMENTS:
                pieces.append((self.data[begin:end], True))
                begin = end
        if self.lacing and self.lacing[-1] == _MOST_SEGMENTS:
            pieces.append((self.data[begin:end], False))
        return pieces

    def starts(self) -> list[int]:
        """Returns the positions in `data` at which packets start."""
        starts = []
        pos, is_start = self.body, not self.is_continued
        for size in self.lacing:
            if is_start:
                starts.append(pos)
            pos += size
            is_start = size < 255
        return starts


class PageReader:
    """A parser: bytes in, pages out. Keeps at most one incomplete page (65,307 bytes)."""

    def __init__(self) -> None:
        self.skipped = 0
        """Bytes dropped so far."""
        self._buf = bytearray()
        self._need = len(_CAPTURE)
        self._garbage = 0
        self._waste = 0

    def feed(self, data: bytes) -> list[Page]:
        """Returns the pages that are complete now. Raises FormatError if no more are to be expected."""
        self._buf += data
        if len(self._buf) < self._need:
            return []
        buf, pos, pages = bytes(self._buf), 0, []
        while len(buf) - pos >= self._need:
            page, pos = self._next(buf, pos)
            if page is not None:
                pages.append(page)
        del self._buf[:pos]
        return pages

    def _next(self, buf: bytes, pos: int) -> tuple[Page | None, int]:
        """Tries to read a page at `pos`. Returns it, if there is one, and where the next try begins; sets `_need` to
        the number of bytes that the next try needs there.
        """
        if not buf.startswith(_CAPTURE, pos):
            return None, self._drop(buf, pos)
        available = len(buf) - pos
        if available < _HEAD_SIZE:
            return self._wait(_HEAD_SIZE, pos)
        _, version, flags, granule, serial, sequence, crc, segments = _HEAD.unpack_from(buf, pos)
        if version != 0:
            return None, self._drop(buf, pos)
        body = _HEAD_SIZE + segments
        if available < body:
            return self._wait(body, pos)
        lacing = buf[pos + _HEAD_SIZE : pos + body]
        size = body + sum(lacing)
        if available < size:
            return self._wait(size, pos)
        data = buf[pos : pos + size]
        if checksum(data) != crc:
            self._waste += size
            if self._waste > MAX_WASTE:
                raise FormatError("the Ogg stream is broken: too many broken pages")
            return None, self._drop(buf, pos)
        self._need = len(_CAPTURE)
        self._garbage = 0
        self._waste = max(self._waste - size, 0)
        return Page(data, flags, granule, serial, sequence, lacing, body), pos + size

    def _wait(self, need: int, pos: int) -> tuple[None, int]:
        self._need = need
        return None, pos

    def _drop(self, buf: bytes, pos: int) -> int:
        """Drops garbage up to the next possible page, or all but what may be the start of one; returns its end."""
        found = buf.find(_CAPTURE, pos + 1)
        end = found if found >= 0 else max(pos + 1, len(buf) - len(_CAPTURE) + 1)
        self._need = len(_CAPTURE)
        self.skipped += end - pos
        self._garbage += end - pos
        self._waste = max(self._waste - (end - pos), 0)
        if self._garbage > MAX_GARBAGE:
            raise FormatError(f"no intact Ogg page in {MAX_GARBAGE >> 20} MiB")
        return end


def checksum(page: bytes) -> int:
    """Returns the CRC that belongs into bytes 22 to 25 of `page`, whatever they hold now."""
    reflected = memoryview(page.translate(_REVERSED))
    crc = crc32(b"\0\0\0\0", crc32(reflected[:22], 0xFFFFFFFF))
    crc = crc32(reflected[26:], crc) ^ 0xFFFFFFFF
    return int.from_bytes(crc.to_bytes(4, "little").translate(_REVERSED), "big")


def write_page(lacing: bytes, content: bytes, *, flags: int, granule: int, serial: int, sequence: int) -> bytes:
    """Returns one page; `lacing` is its segment table, `content` what is in these segments."""
    head = _HEAD.pack(_CAPTURE, 0, flags, granule, serial, sequence % 2**32, 0, len(lacing))
    data = bytearray(head + lacing + content)
    data[22:26] = checksum(bytes(data)).to_bytes(4, "little")
    return bytes(data)


def split_page(page: Page, count: int) -> tuple[Page, Page]:
    """Returns a page with the first `count` pieces of packets on `page`, all of which end there, and one with the
    others."""
    ends = [at + 1 for at, size in enumerate(page.lacing) if size < _MOST_SEGMENTS]
    at = ends[count - 1]
    middle = page.body + sum(page.lacing[:at])
    parts = (
        (page.lacing[:at], page.data[page.body : middle], page.flags & ~LAST, 0),
        (page.lacing[at:], page.data[middle:], page.flags & LAST, page.granule),
    )
    one, other = (
        write_page(lacing, content, flags=flags, granule=granule, serial=page.serial, sequence=page.sequence)
        for lacing, content, flags, granule in parts
    )
    (first,), (second,) = PageReader().feed(one), PageReader().feed(other)
    return first, second


def write_pages(packets: Iterable[bytes], serial: int, sequence: int) -> list[bytes]:
    """Returns pages with header packets, none of which shares a page with another. They are numbered from `sequence`
    on."""
    pages: list[bytes] = []
    for packet in packets:
        table = lacing_of(packet)
        for at in range(0, len(table), _MOST_SEGMENTS):
            lacing = table[at : at + _MOST_SEGMENTS]
            begin, is_end = at * _MOST_SEGMENTS, at + _MOST_SEGMENTS >= len(table)
            page = write_page(
                lacing,
                packet[begin : begin + sum(lacing)],
                flags=CONTINUED if at else 0,
                # The granule position of a header is 0, as soon as it is complete.
                granule=0 if is_end else NO_GRANULE,
                serial=serial,
                sequence=sequence + len(pages),
            )
            pages.append(page)
    return pages


def lacing_of(packet: bytes) -> bytes:
    """Returns the segments of a packet, in a segment table."""
    return b"\xff" * (len(packet) // _MOST_SEGMENTS) + bytes([len(packet) % _MOST_SEGMENTS])
