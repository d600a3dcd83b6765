"""MPEG audio: layers I to III, versions 1, 2 and 2.5 (ISO/IEC 11172-3 section 2.4.1.3, 13818-3 section 2.4.1.3, and the
2.5 extension).

Reads frame headers only; it decodes no audio and no Xing or LAME frame. Length and duration of a frame follow from 26
bits of its header, so each header is worked out once per process and looked up from then on. Free format (bit rate
index 0) has no frame length in its headers: such a stream continues as an opaque one. The one invariant: see
`frame_parser.py`, which does the cutting.
"""

from functools import cache
from struct import Struct

from pycast.formats.frame_parser import Frame, FrameKind, FrameStream
from pycast.formats.marks import Mark

# Sync word, version and layer; and no bit rate index that is no frame's (0 and 15), as in a run of the byte 255.
_SYNC = rb"\xff[\xe2-\xff](?![\x00-\x0f\xf0-\xff])"
_HEADER = Struct(">I")
HEADER_SIZE = _HEADER.size
_unpack = _HEADER.unpack_from

# By version bits 0 (2.5), 2 (2), 3 (1); 1 is reserved.
_VERSION = {0: "2.5", 2: "2", 3: "1"}
_SAMPLERATES = {0: (11025, 12000, 8000), 2: (22050, 24000, 16000), 3: (44100, 48000, 32000)}

# kbit/s by index 1 to 14. Key: (is version 1, layer).
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}


class MpegAudio:
    """MPEG audio frames. Never raises: what is not MPEG audio passes through, with a `warning`."""

    family = "generic"
    dropped = 0

    def __init__(self, base: int = 0) -> None:
        self._frames = FrameStream("MPEG audio", _SYNC, HEADER_SIZE, decode_header, base)

    @property
    def warning(self) -> str:
        return self._frames.warning

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole frames (and junk between them), with a join at each frame."""
        return self._frames.feed(data)


# Headers already worked out, by their upper 26 bits. Only valid ones are kept: at most 12,096 entries.
_known: dict[int, Frame] = {}


def decode_header(buf: bytes | bytearray, pos: int) -> Frame | None:
    """Returns the frame whose header is at `pos`; None for no header, or free format. `buf` has 4 bytes there."""
    key = _unpack(buf, pos)[0] >> 6
    return _known.get(key) or _learn(key)


def _learn(key: int) -> Frame | None:
    """Decodes and stores the upper 26 bits of a header: sync 11, version 2, layer 2, crc 1, rate 4, samplerate 2,
    padding 1, private 1, mode 2."""
    version, layer = key >> 13 & 3, 4 - (key >> 11 & 3)
    rate_index, samplerate_index = key >> 6 & 15, key >> 4 & 3
    if key >> 15 != 0x7FF or version == 1 or layer == 4 or rate_index in (0, 15) or samplerate_index == 3:
        return None
    samplerate = _SAMPLERATES[version][samplerate_index]
    bitrate = _BITRATES[version == 3, layer][rate_index - 1] * 1000
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    slot = 4 if layer == 1 else 1
    length = (samples // 8 // slot * bitrate // samplerate + (key >> 3 & 1)) * slot
    frame = (length, samples / samplerate, _kind(version, layer, samplerate, 1 if key & 3 == 3 else 2), bitrate)
    _known[key] = frame
    return frame


@cache
def _kind(version: int, layer: int, samplerate: int, channels: int) -> FrameKind:
    return FrameKind(f"MPEG-{_VERSION[version]} layer {'I' * layer}", samplerate, channels)
