"""The codec of a logical Ogg stream, read from its first packet.

One row per codec: how it is recognised and how its first packet is read. Reads identification headers and nothing of
the audio. A codec without a row is carried all the same. The one invariant: a `Codec` is complete once made; nothing is
learned later. Layouts: vorbis-spec 4.2.2, RFC 7845 section 5.1, "Ogg FLAC mapping" of xiph.org, speex_header.h, Theora
spec 6.2, Skeleton and Kate wiki pages.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from struct import unpack_from

from pycast.errors import FormatError

FLAC_BLOCK_HEAD = 4
"""Bytes before the content of a metadata block of FLAC."""

_FLAC_COMMENTS = 4

_BESIDE = {"", "Kate", "MIDI", "Skeleton"}
"""Names of what players do without."""


class BrokenHeaders(FormatError):
    """Codec headers that no decoder could use. The next chain may have better ones."""


class Role(Enum):
    """What a logical stream means for the places where listeners start."""

    VIDEO = auto()
    """Listeners start at key frames only."""
    AUDIO = auto()
    """Listeners may start at any page."""
    EXTRA = auto()
    """Text, index, unknown: does not decide where listeners start, and its headers are not waited for."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec with the parameters of one logical stream."""

    name: str
    """As in Icecast's `subtype`; empty if unknown."""
    role: Role
    header_packets: int = 1
    """How many packets come before the first data packet; 0: up to a packet marked as the last one (FLAC), or all
    (Skeleton)."""
    rate: float = 0.0
    """Granules a second; 0: granules are no times."""
    granule_shift: int = 0
    """Theora: how many low bits of a granule count the frames since the key frame."""
    pre_skip: int = 0
    """Opus: samples to drop at the beginning, contained in granules."""
    comment_head: bytes = b""
    """How a comment packet begins; what follows is a Vorbis comment block. FLAC has its own rule."""
    bitrate: int | None = None
    stats: Mapping[str, str] = field(default_factory=dict)

    def position_s(self, granule: int) -> float:
        """Returns the seconds from the start of the logical stream to `granule`. Only if `rate` is not 0."""
        if self.granule_shift:
            granule = (granule >> self.granule_shift) + (granule & ((1 << self.granule_shift) - 1))
        return (granule - self.pre_skip) / self.rate

    def is_data(self, packet: bytes) -> bool:
        """Whether `packet`, or the beginning of one, holds audio or video and not a header; False if the codec has no
        mark for that."""
        match self.name:
            case "FLAC":
                return packet[0] == 0xFF
            case "Vorbis":
                return not packet[0] & 1
            case "Theora":
                return not packet[0] & 0x80
            case "Opus":
                return not packet.startswith(self.comment_head)
        return False

    def is_key_frame(self, first_byte: int) -> bool:
        """Whether a packet with this first byte is a key frame (Theora spec 7.1: bit 7 header, bit 6 inter frame)."""
        return first_byte & 0xC0 == 0

    def is_last_header(self, packet: bytes, count: int) -> bool:
        """Whether `packet`, the `count`-th of the logical stream, is its last header packet."""
        if self.header_packets:
            return count >= self.header_packets
        # FLAC: bit 7 of a metadata block header marks the last block; not so in the first packet, which is wrapped.
        return self.name == "FLAC" and count > 1 and packet[:1] >= b"\x80"

    def comments_at(self, packet: bytes, count: int) -> int | None:
        """Returns where the Vorbis comment block begins in `packet`, the `count`-th of the logical stream, or the
        beginning of one; None if it has none.
        """
        if self.name == "FLAC":
            return FLAC_BLOCK_HEAD if packet[0] & 0x7F == _FLAC_COMMENTS else None
        if self.name == "Speex":
            return 0 if count == 2 else None
        return len(self.comment_head) if self.comment_head and packet.startswith(self.comment_head) else None


def is_same_sound(one: str, other: str) -> bool:
    """Whether a player that began with a stream of the first `subtype` can play one of the other after it, as far as
    they are known. A chain may bring other codecs, but what is made with ffmpeg's library (mpv, Chromium) ends there.
    """
    codecs, others = codecs_of(one), codecs_of(other)
    return not (codecs and others) or codecs == others


def codecs_of(subtype: str) -> str:
    """Returns the codecs of a `subtype` that a player needs, in one order."""
    return "/".join(sorted(set(subtype.split("/")) - _BESIDE))


def identify(packet: bytes) -> Codec:
    """Returns the codec whose logical stream begins with `packet`. Raises BrokenHeaders if a known codec's packet is
    broken.
    """
    for signature, read in _READERS:
        if packet.startswith(signature):
            try:
                return read(packet)
            except (struct.error, IndexError, ZeroDivisionError) as error:
                raise BrokenHeaders("broken codec header in the Ogg stream", cause=f"{signature!r}: {error}") from error
    return Codec("", Role.EXTRA)


def _vorbis(packet: bytes) -> Codec:
    channels, rate, _, nominal, _ = unpack_from("<BIiii", packet, 11)
    stats = _audio(rate, channels)
    if nominal > 0:
        stats |= {"audio_bitrate": str(nominal), "ice-bitrate": str(nominal // 1000)}
    return Codec(
        "Vorbis",
        Role.AUDIO,
        3,
        _checked(rate),
        comment_head=b"\x03vorbis",
        bitrate=max(nominal, 0) or None,
        stats=stats,
    )


def _opus(packet: bytes) -> Codec:
    _, channels, pre_skip = unpack_from("<BBH", packet, 8)
    # Opus always decodes at 48 kHz; the rate in the packet is only what the encoder was fed with.
    return Codec(
        "Opus", Role.AUDIO, 2, 48000.0, pre_skip=pre_skip, comment_head=b"OpusTags", stats=_audio(48000, channels)
    )


def _flac(packet: bytes) -> Codec:
    major, minor = unpack_from("BB", packet, 5)
    # STREAMINFO begins at 17; at its byte 10: sample rate 20 bits, channels - 1 3 bits, bits a sample - 1 5 bits.
    (packed,) = unpack_from(">I", packet, 27)
    rate, channels = packed >> 12, (packed >> 9 & 7) + 1
    stats = {"FLAC_version": f"{major}.{minor}"} | _audio(rate, channels)
    return Codec("FLAC", Role.AUDIO, 0, _checked(rate), stats=stats)


def _speex(packet: bytes) -> Codec:
    rate, _, _, channels, bitrate, _, _, _, extra = unpack_from("<IIIiiIIII", packet, 36)
    stats = _audio(rate, channels)
    if bitrate > 0:
        stats["audio_bitrate"] = str(bitrate)
    return Codec("Speex", Role.AUDIO, 2 + min(extra, 16), _checked(rate), bitrate=max(bitrate, 0) or None, stats=stats)


def _theora(packet: bytes) -> Codec:
    width, height = int.from_bytes(packet[14:17]), int.from_bytes(packet[17:20])
    numerator, denominator = unpack_from(">II", packet, 22)
    bitrate = int.from_bytes(packet[37:40])
    (packed,) = unpack_from(">H", packet, 40)
    rate = numerator / denominator
    stats = {
        "video_bitrate": str(bitrate),
        "video_quality": str(packed >> 10),
        "frame_size": f"{width} x {height}",
        "frame_rate": f"{rate:.2f}",
    }
    return Codec(
        "Theora",
        Role.VIDEO,
        3,
        _checked(rate),
        granule_shift=packed >> 5 & 31,
        comment_head=b"\x81theora",
        stats=stats,
    )


def _kate(packet: bytes) -> Codec:
    return Codec("Kate", Role.EXTRA, max(packet[11], 1))


def _midi(_packet: bytes) -> Codec:
    return Codec("MIDI", Role.EXTRA)


def _skeleton(_packet: bytes) -> Codec:
    return Codec("Skeleton", Role.EXTRA, 0)


def _audio(rate: int, channels: int) -> dict[str, str]:
    return {"audio_samplerate": str(rate), "audio_channels": str(channels)}


def _checked(rate: float) -> float:
    """Returns `rate` if it may be divided by. Raises BrokenHeaders."""
    if rate <= 0:
        raise BrokenHeaders("an Ogg stream with a rate of zero")
    return rate


_READERS: tuple[tuple[bytes, Callable[[bytes], Codec]], ...] = (
    (b"\x01vorbis", _vorbis),
    (b"\x80theora", _theora),
    (b"OggMIDI\0", _midi),
    (b"\x7fFLAC", _flac),
    (b"Speex   ", _speex),
    (b"\x80kate\0\0\0", _kate),
    (b"fishead\0", _skeleton),
    (b"OpusHead", _opus),
)
