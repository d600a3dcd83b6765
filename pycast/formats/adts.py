"""ADTS: AAC in frames that can be joined anywhere (ISO/IEC 14496-3 section 1.A.2, 13818-7 section 6.2).

Reads frame headers only. With HE-AAC the header has the sample rate and the channels of the core, half of what players
put out. The stats show those, as only decoding could find the others. The one invariant: see `frame_parser.py`, which
does the cutting.
"""

from functools import cache

from pycast.formats.frame_parser import Frame, FrameKind, FrameStream
from pycast.formats.marks import Mark

# Sync word, version and layer; and no sample rate index that is no frame's (13 to 15), as in a run of the byte 255.
_SYNC = rb"\xff[\xf0\xf1\xf8\xf9](?![\x34-\x3f\x74-\x7f\xb4-\xbf\xf4-\xff])"
HEADER_SIZE = 7
_SAMPLES = 1024
_SAMPLERATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)


class Adts:
    """ADTS frames. Never raises: what is not ADTS passes through, with a `warning`."""

    family = "generic"
    dropped = 0

    def __init__(self, base: int = 0) -> None:
        self._frames = FrameStream("ADTS AAC", _SYNC, HEADER_SIZE, decode_header, base)

    @property
    def warning(self) -> str:
        return self._frames.warning

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole frames (and junk between them), with a join at each frame."""
        return self._frames.feed(data)


def decode_header(buf: bytes | bytearray, pos: int) -> Frame | None:
    """Returns the frame whose header is at `pos`; None if that is no header. `buf` has 7 bytes there."""
    flags = buf[pos + 1]
    # Twelve sync bits and the two layer bits, which are always 0; bit 0 is "no CRC".
    if buf[pos] != 0xFF or flags & 0xF6 != 0xF0:
        return None
    middle = buf[pos + 3]
    length = (middle & 3) << 11 | buf[pos + 4] << 3 | buf[pos + 5] >> 5
    timed = _timed_kind(flags >> 3 & 1, buf[pos + 2] & 0xFD, middle >> 6)
    if timed is None or length < HEADER_SIZE + (0 if flags & 1 else 2):
        return None
    seconds, kind = timed
    return length, seconds * (1 + (buf[pos + 6] & 3)), kind, 0


@cache
def _timed_kind(version: int, profile: int, channels_low: int) -> tuple[float, FrameKind] | None:
    """Returns the duration of one block, and the kind, from the fixed part of a header. Keeps up to 2 * 128 * 4."""
    samplerate_index = profile >> 2 & 15
    if samplerate_index >= len(_SAMPLERATES):
        return None
    samplerate = _SAMPLERATES[samplerate_index]
    codec = f"MPEG-{2 if version else 4} AAC, object type {(profile >> 6) + 1}"
    return _SAMPLES / samplerate, FrameKind(codec, samplerate, _CHANNELS[(profile & 1) << 2 | channels_low])
