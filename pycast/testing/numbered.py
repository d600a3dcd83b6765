"""Silence whose every frame has a number: a listener can say which frames it heard, and so what it missed.

Each format has a place that decoders skip: what follows the empty side information of an MP3 frame, a data stream
element of AAC, the padding of an Opus packet, the end of a Vorbis packet; FLAC counts its frames itself. There stands
`pycast frame 0000002a`, and what fills the frame up to a usual size, because players wait for bytes before they begin.

No clock, no I/O. The one invariant: `NumberedReader` counts a frame only if it is, byte by byte, the one with that
number.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from struct import pack
from typing import Literal, NamedTuple

from pycast.formats.flac import CRC8
from pycast.formats.ogg_page import FIRST, LAST, PageReader, lacing_of, write_page, write_pages
from pycast.formats.silence import Bits, adts_frame, opus_head, vorbis_head, vorbis_setup

FormatName = Literal["mp3", "aac", "opus", "vorbis", "flac"]

_RATE = 44_100
_TEXT = b"pycast frame %08x "
_NUMBER = re.compile(rb"pycast frame ([0-9a-f]{8}) ")
FILL = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-" * 12
"""Letters and digits only, so that nothing in a frame looks like the beginning of one."""


def _filled(number: int, size: int) -> bytes:
    return (_TEXT % number + FILL)[:size]


MP3_FRAME_S = 1152 / _RATE
MP3_BEGINS = {417: b"\xff\xfb\x90\x44" + bytes(32), 418: b"\xff\xfb\x92\x44" + bytes(32)}
"""By the size of a frame of 128 kbit/s, stereo, what it begins with: side information that says that nothing follows,
so that the rest is free for us.
"""


def mp3_offset(number: int) -> int:
    """Returns how many bytes come before a frame, since frame 0."""
    return number * 20_480 // 49  # 144 * 128,000 / 44,100 each


def _mp3(number: int) -> bytes:
    size = mp3_offset(number + 1) - mp3_offset(number)
    return MP3_BEGINS[size] + _filled(number, size - 36)


_AAC_DATA = 262
"""Bytes of data in a frame of AAC: with the rest, 96 kbit/s."""


def _aac(number: int) -> bytes:
    # A data stream element: its id, number 0, "the data is aligned", and its size, which is 255 and what is more.
    data = bytes((0b100_0000_1, 255, _AAC_DATA - 255)) + _filled(number, _AAC_DATA)
    return adts_frame(_RATE, 2, data + _aac_rest())


@cache
def _aac_rest() -> bytes:
    bits = Bits(is_lsb_first=False)
    # A pair of channels with a common window of no bands and no stereo mask, and the end.
    for value, width in ((1, 3), (0, 4), (1, 1), (0, 13), (0, 11), (0, 11), (7, 3)):
        bits.add(value, width)
    return bits.to_bytes()


def _opus(number: int) -> bytes:
    """Returns 20 ms of CELT in two channels that say that there is nothing, and padding (RFC 6716 section 3.2.5)."""
    # Newer decoders read padding as extensions: 0xF2 is one for experiments that goes on to the end.
    padding = b"\xf2" + _filled(number, 234)
    return bytes((0xFF, 0x41, len(padding), 0xFF, 0xFE)) + padding


def _vorbis(number: int) -> bytes:
    """Returns a long block between long blocks, in which none of two channels has a floor."""
    return b"\x06" + _filled(number, 320)


_FLAC_SAMPLES = 1152


def _flac(number: int) -> bytes:
    """Returns a frame of one channel of 16 bits, as it is without compression (RFC 9639 section 9)."""
    head = b"\xff\xf8\x39\x08" + _flac_number(number)
    crc = 0
    for byte in head:
        crc = CRC8[crc ^ byte]
    head += bytes((crc,))
    # After a head, the sum over the samples depends only on the sum over the head: bit by bit.
    (end, *changes), begun = _flac_sums(), _crc16(head)
    for bit, changed in enumerate(changes):
        if begun >> bit & 1:
            end ^= changed
    return head + _FLAC_SOUND + pack(">H", end)


_FLAC_SOUND = b"\x02" + bytes(2 * _FLAC_SAMPLES)


@cache
def _flac_sums() -> list[int]:
    """Returns the sum over the samples, and how each bit of the sum over the head changes it."""
    return [_crc16(_FLAC_SOUND), *(_crc16(bytes(len(_FLAC_SOUND)), 1 << bit) for bit in range(16))]


def _crc16(data: bytes, crc: int = 0) -> int:
    table = _crc16_table()
    for byte in data:
        crc = (crc << 8 & 0xFFFF) ^ table[crc >> 8 ^ byte]
    return crc


@cache
def _crc16_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005 if crc & 0x8000 else crc << 1) & 0xFFFF
        table.append(crc)
    return table


def _flac_number(number: int) -> bytes:
    """Returns a number as UTF-8 would have it, if it went so far."""
    if number < 0x80:
        return bytes((number,))
    rest: list[int] = []
    while number >= 0x40 >> len(rest):
        rest.append(0x80 | number & 0x3F)
        number >>= 6
    lead = 0xFF00 >> (len(rest) + 1) & 0xFF
    return bytes((lead | number, *reversed(rest)))


def _number_in_flac(unit: bytes) -> int | None:
    if not unit.startswith(b"\xff\xf8\x39\x08"):
        return None
    width = max(8 - (unit[4] ^ 0xFF).bit_length(), 1)
    number = unit[4] if width == 1 else unit[4] & 0x7F >> width
    for byte in unit[5 : 4 + width]:
        number = number << 6 | byte & 0x3F
    return number


def _comments(title: str) -> bytes:
    text = b"TITLE=" + title.encode("utf-8", "replace")
    return pack("<I", 6) + b"pycast" + pack("<II", 1, len(text)) + text


def _opus_heads(title: str) -> tuple[bytes, ...]:
    return opus_head(48_000, 2), b"OpusTags" + _comments(title)


def _vorbis_heads(title: str) -> tuple[bytes, ...]:
    return vorbis_head(_RATE, 2), b"\x03vorbis" + _comments(title) + b"\x01", vorbis_setup()


def _flac_heads(title: str) -> tuple[bytes, ...]:
    # Sizes of blocks and frames, then sample rate, channels, bits and length, which is not known; no MD5 sum.
    info = pack(">HH", _FLAC_SAMPLES, _FLAC_SAMPLES) + bytes(6) + (_RATE << 44 | 0 << 41 | 15 << 36).to_bytes(8)
    comments = _comments(title)
    head = b"\x7fFLAC\x01\x00\x00\x01fLaC" + pack(">I", 34) + info + bytes(16)
    return head, b"\x84" + len(comments).to_bytes(3) + comments


class NumberedFormat(NamedTuple):
    """A format in which frames are made."""

    content_type: str
    frame_s: float
    """Seconds that a frame lasts."""
    unit: Callable[[int], bytes]
    """Makes the frame of a number; in Ogg, its packet."""
    samples: int = 0
    """Of a frame, in Ogg."""
    first: int = 0
    """Of the first frame of a song."""
    heads: Callable[[str], tuple[bytes, ...]] | None = None
    """Makes the packets at the beginning of a song; None if the format is not in Ogg."""


FORMATS: dict[str, NumberedFormat] = {
    "mp3": NumberedFormat("audio/mpeg", MP3_FRAME_S, _mp3),
    "aac": NumberedFormat("audio/aac", 1024 / _RATE, _aac),
    "opus": NumberedFormat("audio/ogg", 0.02, _opus, 960, 960, _opus_heads),
    "vorbis": NumberedFormat("application/ogg", 1024 / _RATE, _vorbis, 1024, 0, _vorbis_heads),
    "flac": NumberedFormat("application/ogg", _FLAC_SAMPLES / _RATE, _flac, _FLAC_SAMPLES, _FLAC_SAMPLES, _flac_heads),
}
_PLAIN = [one.unit for one in FORMATS.values() if one.heads is None]
_IN_OGG = [one.unit for one in FORMATS.values() if one.heads is not None]


class NumberedAudio:
    """Makes the frames of a stream, one after the other; `number` is that of the next one."""

    def __init__(self, name: FormatName, first: int = 0) -> None:
        if name not in FORMATS:
            raise ValueError(f"format is one of {', '.join(FORMATS)}, not {name!r}")
        self.format = FORMATS[name]
        self.number = first
        self._song = 0
        self._pages = 0
        self._granule = 0
        self._is_going_on = False

    @property
    def has_own_titles(self) -> bool:
        """Whether a title is a part of the stream, as in Ogg, and not sent beside it."""
        return self.format.heads is not None

    def begin(self, title: str) -> bytes:
        """Returns what stands at the beginning of a stream, and before each song: headers of Ogg, or nothing."""
        if self.format.heads is None:
            return b""
        last = self._page(b"", b"", LAST) if self._pages else b""
        self._song, self._pages, self._granule, self._is_going_on = self._song + 1, 0, 0, False
        first, *rest = self.format.heads(title)
        pages = [last, self._page(lacing_of(first), first, FIRST), *write_pages(rest, self._song, 1)]
        self._pages = len(pages) - 1
        return b"".join(pages)

    def frames(self, count: int) -> bytes:
        """Returns the next `count` frames."""
        return b"".join(self._frame() for _ in range(count))

    def _frame(self) -> bytes:
        unit = self.format.unit(self.number)
        self.number += 1
        if self.format.heads is None:
            return unit
        self._granule += self.format.samples if self._is_going_on else self.format.first
        self._is_going_on = True
        return self._page(lacing_of(unit), unit, 0)

    def _page(self, lacing: bytes, content: bytes, flags: int) -> bytes:
        self._pages += 1
        return write_page(
            lacing, content, flags=flags, granule=self._granule, serial=self._song, sequence=self._pages - 1
        )


class NumberedReader:
    """Finds the frames in a stream of any of the formats; `numbers` are theirs, in the order of the stream."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.titles: list[str] = []
        """The titles in the headers of Ogg."""
        self.foreign = 0
        """Bytes that belong to no whole numbered frame, nor to a header."""
        self._buf = bytearray()
        self._pages: PageReader | None = None
        self._packet = b""
        self._is_begun = False

    @property
    def rest(self) -> int:
        """Bytes of a frame that is not complete."""
        return len(self._buf) + len(self._packet)

    def feed(self, data: bytes) -> None:
        """Takes the next bytes, however they are cut. Raises FormatError for Ogg that is none."""
        if not self._is_begun:
            self._buf += data
            if len(self._buf) < 4:
                return
            data, self._buf = bytes(self._buf), bytearray()
            self._is_begun, self._pages = True, PageReader() if data.startswith(b"OggS") else None
        if self._pages is None:
            self._buf += data
            self._take_plain()
        else:
            self._take_pages(self._pages, data)

    def _take_plain(self) -> None:
        buf, at = bytes(self._buf), 0
        for found in _NUMBER.finditer(buf):
            number = int(found[1], 16)
            for unit in (make(number) for make in _PLAIN):
                begin = found.start() - unit.find(found[0])
                if begin >= at and buf.startswith(unit, begin):
                    self.foreign += begin - at
                    self.numbers.append(number)
                    at = begin + len(unit)
        # What is longer than a frame and has none in it will have none later.
        lost = max(len(buf) - at - 512, 0)
        self.foreign += lost
        del self._buf[: at + lost]

    def _take_pages(self, reader: PageReader, data: bytes) -> None:
        skipped = reader.skipped
        for page in reader.feed(data):
            for piece, is_whole in page.pieces():
                self._packet += piece
                if is_whole:
                    self._take_packet(self._packet)
                    self._packet = b""
        self.foreign += reader.skipped - skipped

    def _take_packet(self, packet: bytes) -> None:
        if _has_comments(packet):
            self.titles.append(_title_in(packet))
            return
        if packet.startswith((b"Opus", b"\x01vorbis", b"\x05vorbis", b"\x7fFLAC")):
            return
        found = _NUMBER.search(packet)
        number = int(found[1], 16) if found else _number_in_flac(packet)
        if number is not None and any(packet == make(number) for make in _IN_OGG):
            self.numbers.append(number)
        else:
            self.foreign += len(packet)


def _has_comments(packet: bytes) -> bool:
    if packet[:1] in (b"\x04", b"\x84"):  # of FLAC, if it says how long it is: a packet of audio may begin like this
        return int.from_bytes(packet[1:4]) == len(packet) - 4
    return packet.startswith((b"OpusTags", b"\x03vorbis"))


def _title_in(packet: bytes) -> str:
    """Returns the title in a packet of comments. What stands before it are numbers and the vendor's name."""
    for found in re.finditer(rb"(?i)TITLE=", packet):
        size = int.from_bytes(packet[max(found.start() - 4, 0) : found.start()], "little")
        if 6 <= size <= len(packet) - found.start():
            return packet[found.end() : found.start() + size].decode("utf-8", "replace")
    return ""


class Frames:
    """Which numbered frames somebody heard."""

    def __init__(self, numbers: Iterable[int], foreign: int = 0, rest: int = 0) -> None:
        self.numbers = list(numbers)
        """In the order in which they came."""
        self.foreign = foreign
        """Bytes that belong to no whole numbered frame."""
        self.rest = rest
        """Bytes at the end, of a frame that is not complete."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        kind = "whole" if self.is_whole else f"gaps {self.gaps[:5]}, doubles {self.doubles[:5]}, foreign {self.foreign}"
        span = f"{self.numbers[0]} to {self.numbers[-1]}" if self.numbers else "none"
        return f"<Frames {span}: {kind}>"

    @property
    def gaps(self) -> list[range]:
        """The numbers that are missing, as ranges: `[range(4, 9)]` if 9 came after 3."""
        pairs = zip(self.numbers, self.numbers[1:], strict=False)
        return [range(before + 1, after) for before, after in pairs if after > before + 1]

    @property
    def doubles(self) -> list[int]:
        """The numbers that came more than once."""
        return sorted(number for number, count in Counter(self.numbers).items() if count > 1)

    @property
    def is_in_order(self) -> bool:
        """Whether each number is higher than the one before."""
        return all(after > before for before, after in zip(self.numbers, self.numbers[1:], strict=False))

    @property
    def is_whole(self) -> bool:
        """Whether all frames from the first to the last are there, once and in order, and nothing else."""
        first = self.numbers[0] if self.numbers else 0
        return self.numbers == list(range(first, first + len(self.numbers))) and not self.foreign

    def is_exactly(self, numbers: Iterable[int]) -> bool:
        """Whether the frames with these numbers came, in this order, and nothing else."""
        return self.numbers == list(numbers) and not self.foreign and not self.rest


def frames_in(data: bytes) -> Frames:
    """Returns the numbered frames in any bytes, such as a recording. Raises FormatError for Ogg that is none."""
    reader = NumberedReader()
    reader.feed(data)
    return Frames(reader.numbers, reader.foreign, reader.rest)
