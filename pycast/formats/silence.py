"""Silence in the format of a stream, made from nothing but numbers: no encoder, no file.

Each format can say "nothing" in a few bits, and what is made here is what its standard says that means: an MP3 frame
whose side information is all zero (ISO/IEC 11172-3 section 2.4.1.7), an AAC frame without a spectral band (14496-3
table 4.4), a Vorbis packet whose floors are unused (vorbis-spec section 4.3.2), an Opus packet with CELT's flag for
silence (RFC 6716 section 4.3), a FLAC subframe of one value (RFC 9639 section 9.2.3), WAV samples of zero. MP3 and AAC
have the bitrate of the stream, since players wait for bytes and not for seconds when they begin; Ogg has half a minute
of silence in a few kilobytes, because each round is a new chain.

The one invariant: sample rate and channels are those that were asked for, or the nearest that the format has.
"""

from collections.abc import Callable, Iterable
from struct import error, pack
from typing import NamedTuple

from pycast.formats.ogg_page import write_page, write_pages

_ROUND_S = 30
"""Seconds of a round of Ogg."""

_PAGES_A_SECOND = 5
"""Of Ogg: as often as listeners get audio, so that nobody takes the connection for dead."""

_MP3_FRAMES = 49
"""After so many frames the padding of MP3 at 44.1 kHz repeats."""

_FLAC_ROUND_S = 10

_WAV_ROUND = 8 << 20
"""Most bytes of a round of WAV, which has a second: more than that of any sound card."""

_VENDOR = b"pycast"


class StreamShape(NamedTuple):
    """What a stream is like, as far as silence has to be the same. What is not known is 0 or empty."""

    format: str
    """The name of a row of `FORMATS`."""
    codec: str = ""
    """Icecast's `subtype`: the codecs in an Ogg stream."""
    samplerate: int = 0
    channels: int = 0
    bitrate: int = 0
    """Bits a second."""


def shape_by_name(mount: str) -> StreamShape:
    """Returns the likeliest shape of a mount that has had no source, by the end of its name."""
    end = mount.lower().rpartition(".")[2]
    if end in ("aac", "aacp", "m4a"):
        return StreamShape("adts")
    if end in ("ogg", "oga", "opus"):
        return StreamShape("ogg", "Opus" if end == "opus" else "Vorbis")
    if end in ("flac", "wav"):
        return StreamShape(end)
    return StreamShape("mpeg")


def silence(shape: StreamShape) -> bytes:
    """Returns some silence, to be played again and again; empty if there is none for such a stream."""
    if shape.format == "ogg":
        make = _OGG.get(shape.codec)
        return b"" if make is None else make(shape)
    make = _FRAMES.get(shape.format)
    return b"" if make is None else make(shape)


# -- MP3 and AAC

_MPEG_RATES = {
    **{rate: (3, index) for index, rate in enumerate((44100, 48000, 32000))},
    **{rate: (2, index) for index, rate in enumerate((22050, 24000, 16000))},
    **{rate: (0, index) for index, rate in enumerate((11025, 12000, 8000))},
}
"""The version and the index of each sample rate."""
_MPEG1_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_MPEG2_KBIT = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mp3(shape: StreamShape) -> bytes:
    rate = _nearest(_MPEG_RATES, shape.samplerate or 44100)
    version, rate_index = _MPEG_RATES[rate]
    rates = _MPEG1_KBIT if version == 3 else _MPEG2_KBIT
    kbit = _nearest(rates, (shape.bitrate or 128_000) / 1000)
    slots = (144 if version == 3 else 72) * kbit * 1000
    mode = 0xC0 if shape.channels == 1 else 0x00
    frames, size = [], slots // rate
    for number in range(_MP3_FRAMES):
        padding = (number + 1) * slots // rate - number * slots // rate - size
        third = (rates.index(kbit) + 1) << 4 | rate_index << 2 | padding << 1
        head = bytes((0xFF, 0xE3 | version << 3, third, mode))
        frames.append(head + bytes(size + padding - len(head)))
    return b"".join(frames)


_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_ADTS_FRAMES = 43
_ADTS_HEAD = 7
_LARGEST_FRAME = 8000
_LARGEST_FILL = 269
# The elements of each channel configuration (14496-3 table 1.19): single, pair, and the one for the lowest tones.
_ELEMENTS = {1: "s", 2: "p", 3: "sp", 4: "sps", 5: "spp", 6: "sppl", 7: "spppl"}


def _adts(shape: StreamShape) -> bytes:
    rate = _nearest(_ADTS_RATES, shape.samplerate or 44100)
    channels = min(shape.channels or 2, 7)
    block = _aac_block(channels, min((shape.bitrate or 64_000) * 1024 // rate // 8, _LARGEST_FRAME) - _ADTS_HEAD)
    return adts_frame(rate, channels, block) * _ADTS_FRAMES


def adts_frame(rate: int, channels: int, block: bytes) -> bytes:
    """Returns a block of AAC-LC behind its head. `rate` is one that AAC has."""
    size = _ADTS_HEAD + len(block)
    fields = 0xFFF1 << 40 | 1 << 38 | _ADTS_RATES.index(rate) << 34 | channels << 30 | size << 13 | 0x7FF << 2
    return fields.to_bytes(_ADTS_HEAD) + block


def _aac_block(channels: int, size: int) -> bytes:
    """Returns a block of AAC-LC, filled up to about `size` bytes."""
    bits = Bits(is_lsb_first=False)
    counts = dict.fromkeys("spl", 0)
    for kind in _ELEMENTS[channels]:
        bits.add({"s": 0, "p": 1, "l": 3}[kind], 3)
        bits.add(counts[kind], 4)
        counts[kind] += 1
        if kind == "p":
            # A common window of no bands, and no stereo mask.
            bits.add(1, 1)
            bits.add(0, 11 + 2)
        for _ in range(2 if kind == "p" else 1):
            bits.add(0, 8)
            bits.add(0, 3 if kind == "p" else 11 + 3)
    while (room := size - len(bits) // 8 - 4) > 0:
        count = min(room, _LARGEST_FILL)
        bits.add(6, 3)
        bits.add(min(count, 15), 4)
        if count >= 15:
            bits.add(count - 14, 8)
        bits.add(0, 8 * count)
    bits.add(7, 3)
    return bits.to_bytes()


# -- FLAC and WAV

_FLAC_BLOCK = 4096
_RATES = (88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
_FLAC_RATES = {rate: code for code, rate in enumerate(_RATES, 1)}
"""The codes of sample rates; of another one the metadata says it."""


def _flac(shape: StreamShape) -> bytes:
    from pycast.formats.file_flac import coded, with_checksums

    rate, channels, bits = min(shape.samplerate or 44100, 655_350), min(shape.channels or 2, 8), 16
    packed = rate << 44 | channels - 1 << 41 | bits - 1 << 36
    info = pack(">HH6xQ16x", _FLAC_BLOCK, _FLAC_BLOCK, packed)
    comments = _comments()
    begin = b"fLaC" + pack(">I", len(info)) + info + pack(">I", 0x84 << 24 | len(comments)) + comments
    # 4,096 samples of 16 bits, and of each channel one value for all of them.
    head = bytes((0xFF, 0xF8, 0xC0 | _FLAC_RATES.get(rate, 0), channels - 1 << 4 | 0x08))
    count = max(rate * _FLAC_ROUND_S // _FLAC_BLOCK, 1)
    return begin + b"".join(with_checksums(head + coded(number), bytes(3 * channels)) for number in range(count))


def _wav(shape: StreamShape) -> bytes:
    rate, channels = shape.samplerate or 44100, shape.channels or 2
    bits = shape.bitrate // (rate * channels) or 16
    block = channels * bits // 8
    try:
        form = pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block, block, bits)
    except error:  # no header can say that: the stream's own has made it up
        return b""
    if not block:
        return b""
    size = max(min(rate, _WAV_ROUND // block), 1) * block
    # Samples of eight bits have no sign.
    samples = (b"\x80" if bits == 8 else b"\0") * size
    return pack("<4sI4s", b"RIFF", 28 + 8 + size, b"WAVE") + form + pack("<4sI", b"data", size) + samples


# -- Ogg


def _opus(shape: StreamShape) -> bytes:
    channels = 1 if shape.channels == 1 else 2
    head = opus_head(shape.samplerate or 48000, channels)
    # 20 ms of CELT, full band; the two bytes after the first say that there is nothing.
    packet = bytes((0xF8 | (channels - 1) << 2, 0xFF, 0xFE))
    tags = b"OpusTags" + _comments()
    return _ogg((head, tags), [(packet, 960)] * (50 * _ROUND_S), first=960, a_page=50 // _PAGES_A_SECOND)


def _vorbis(shape: StreamShape) -> bytes:
    rate, channels = min(max(shape.samplerate or 44100, 8000), 192_000), min(shape.channels or 2, 8)
    head = vorbis_head(rate, channels)
    comments = b"\x03vorbis" + _comments() + b"\x01"
    bits = Bits(is_lsb_first=True)
    # A long block between long blocks, in which no channel has a floor.
    bits.add(0b110, 3)
    bits.add(0, channels)
    count, a_page = rate * _ROUND_S // 1024, max(rate // 1024 // _PAGES_A_SECOND, 1)
    return _ogg((head, comments, vorbis_setup()), [(bits.to_bytes(), 1024)] * count, first=0, a_page=a_page)


def opus_head(rate: int, channels: int) -> bytes:
    """Returns the first packet of Opus. `rate` is that of the sound before it was encoded."""
    return b"OpusHead" + pack("<BBHIhB", 1, channels, 312, rate, 0, 0)


def vorbis_head(rate: int, channels: int) -> bytes:
    """Returns the first packet of Vorbis with blocks of 256 and 2048 samples."""
    return b"\x01vorbis" + pack("<IBIiiiB", 0, channels, rate, 0, 0, 0, 0xB8) + b"\x01"


def vorbis_setup() -> bytes:
    """Returns the smallest setup, the third packet of Vorbis: one codebook, floor, residue, mapping and mode, of which
    silence uses none.
    """
    bits = Bits(is_lsb_first=True)
    fields = (
        *((0, 8), (0x564342, 24), (1, 16), (2, 24), (0, 2), (0, 5), (0, 5), (0, 4)),  # a book of two words of one bit
        *((0, 6), (0, 16)),  # time domain transforms: a place holder
        *((0, 6), (1, 16), (0, 5), (0, 2), (8, 4)),  # a floor of type 1 without partitions
        *((0, 6), (0, 16), (0, 24), (0, 24), (0, 24), (0, 6), (0, 8), (0, 4)),  # a residue of no values
        *((0, 6), (0, 16), (0, 1), (0, 1), (0, 2), (0, 8), (0, 8), (0, 8)),  # a mapping without coupling
        *((0, 6), (1, 1), (0, 16), (0, 16), (0, 8)),  # a mode with long blocks
        (1, 1),
    )
    for value, width in fields:
        bits.add(value, width)
    return b"\x05vorbis" + bits.to_bytes()


def _comments() -> bytes:
    return pack("<I", len(_VENDOR)) + _VENDOR + pack("<I", 0)


def _ogg(headers: Iterable[bytes], packets: list[tuple[bytes, int]], first: int, a_page: int) -> bytes:
    """Returns a logical stream: its headers, then packets with their samples, `a_page` of them on each page. `first` is
    how many samples the first packet gives.
    """
    begin, *rest = headers
    pages = [_page([begin], 0, 0, 2), *write_pages(rest, 0, 1)]
    granule, sequence = first - packets[0][1], len(pages)
    for at in range(0, len(packets), a_page):
        some = packets[at : at + a_page]
        granule += sum(samples for _, samples in some)
        is_last = at + a_page >= len(packets)
        pages.append(_page([data for data, _ in some], granule, sequence, 4 if is_last else 0))
        sequence += 1
    return b"".join(pages)


def _page(packets: list[bytes], granule: int, sequence: int, flags: int) -> bytes:
    """Returns a page of packets of less than 255 bytes."""
    lacing = bytes(len(packet) for packet in packets)
    return write_page(lacing, b"".join(packets), flags=flags, granule=granule, serial=0, sequence=sequence)


_FRAMES: dict[str, Callable[[StreamShape], bytes]] = {"mpeg": _mp3, "adts": _adts, "flac": _flac, "wav": _wav}
_OGG: dict[str, Callable[[StreamShape], bytes]] = {"Vorbis": _vorbis, "Opus": _opus}


class Bits:
    """Numbers of any width, packed one after the other."""

    def __init__(self, *, is_lsb_first: bool) -> None:
        self._is_lsb_first = is_lsb_first
        self._value = self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: int, width: int) -> None:
        if self._is_lsb_first:
            self._value |= value << self._count
        else:
            self._value = self._value << width | value
        self._count += width

    def to_bytes(self) -> bytes:
        """Returns them, with zeros up to a whole byte."""
        size = -(-self._count // 8)
        if self._is_lsb_first:
            return self._value.to_bytes(size, "little")
        return (self._value << (8 * size - self._count)).to_bytes(size)


def _nearest(values: Iterable[int], wanted: float) -> int:
    return min(values, key=lambda value: abs(value - wanted))
