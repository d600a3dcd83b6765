"""The few Matroska elements that matter for a live stream: track list, time scale, blocks (RFC 9559 sections 5.1.2,
5.1.4, 10).

Pure functions over complete elements. Codec data, tags, cues and everything else are not read. The one
invariant: broken content raises FormatError and nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pycast.errors import FormatError
from pycast.formats.ebml import Parts, children, floating, read_element, read_vint, unsigned

EBML = 0x1A45DFA3
SEGMENT = 0x18538067
INFO = 0x1549A966
TRACKS = 0x1654AE6B
CLUSTER = 0x1F43B675
TIMESTAMP = 0xE7
SIMPLE_BLOCK = 0xA3
BLOCK_GROUP = 0xA0

EXTRAS = frozenset({0x114D9B74, 0x1941A469, 0x1043A770, 0x1254C367, 0x1C53BB6B, 0xEC})
"""SeekHead, Attachments, Chapters, Tags, Cues, Void: a live stream can be played without them."""

LEVELS = (
    EXTRAS
    | {EBML, SEGMENT, INFO, TRACKS, CLUSTER, TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP}
    | {
        *(0x5854, 0xA7, 0xAB, 0xAF),  # SilentTracks, Position, PrevSize, EncryptedBlock
        *(0xBF, 0x1B538667),  # CRC-32, SignatureSlot
    }
)
"""All elements that are a Segment's, a Cluster's or a document's own parts, or may be anywhere."""

BLOCK_HEAD = 11
"""The most bytes before the frames of a block: its track's number, time, flags."""

_TIMESTAMP_SCALE = 0x2AD7B1
_TRACK_ENTRY = 0xAE
_TRACK_NUMBER = 0xD7
_TRACK_TYPE = 0x83
_VIDEO = 0xE0
_PIXEL_WIDTH = 0xB0
_PIXEL_HEIGHT = 0xBA
_AUDIO = 0xE1
_SAMPLING_FREQUENCY = 0xB5
_CHANNELS = 0x9F
_BLOCK = 0xA1
_REFERENCE_BLOCK = 0xFB

_TYPE_VIDEO = 1
_KEY_FRAME = 0x80
_DEFAULT_SCALE_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Properties:
    """What is read from the elements before the first cluster."""

    tick_s: float = _DEFAULT_SCALE_NS / 1e9
    video_track: int | None = None
    """Number of the first video track."""
    stats: Mapping[str, str] = field(default_factory=dict)


class Block(NamedTuple):
    """The head of a block: its track, its time in ticks from its cluster's, and whether its frame needs no other."""

    track: int
    ticks: int
    is_key: bool


def with_info(properties: Properties, content: bytes) -> Properties:
    """Returns `properties` with the time scale of an Info element."""
    for element_id, value in children(content, 0, len(content), Parts()):
        if element_id == _TIMESTAMP_SCALE and unsigned(value):
            return replace(properties, tick_s=unsigned(value) / 1e9)
    return properties


def with_tracks(properties: Properties, content: bytes) -> Properties:
    """Returns `properties` with those of a Tracks element; of several tracks of one type the first counts."""
    parts = Parts()
    for element_id, entry in children(content, 0, len(content), parts):
        if element_id != _TRACK_ENTRY:
            continue
        fields = dict(children(entry, 0, len(entry), parts))
        if unsigned(fields.get(_TRACK_TYPE, b"")) == _TYPE_VIDEO and properties.video_track is None:
            properties = replace(properties, video_track=unsigned(fields.get(_TRACK_NUMBER, b"")))
        stats = _audio(fields.get(_AUDIO), parts) | _video(fields.get(_VIDEO), parts)
        properties = replace(properties, stats={**stats, **properties.stats})
    return properties


def read_simple_block(content: bytes) -> Block:
    """Returns the head of a SimpleBlock. Raises FormatError."""
    track, pos = read_vint(content, 0)
    if pos + 3 > len(content):
        raise FormatError("a Matroska block without a head")
    return Block(track, int.from_bytes(content[pos : pos + 2], signed=True), bool(content[pos + 2] & _KEY_FRAME))


def read_block_group(content: bytes) -> Block:
    """Returns the head of the block in a BlockGroup, which is a key frame unless the group refers to another block.

    Raises FormatError.
    """
    fields = dict(children(content, 0, len(content), Parts()))
    if _BLOCK not in fields:
        raise FormatError("a Matroska block group without a block")
    return read_simple_block(fields[_BLOCK])._replace(is_key=_REFERENCE_BLOCK not in fields)


def block_in_group(buf: bytes, pos: int) -> int:
    """Returns where the content of the block is in a BlockGroup that has one, whose own content begins at `pos`."""
    while (element := read_element(buf, pos)) is not None and element.id != _BLOCK:
        pos = element.content + (element.size or 0)
    return pos if element is None else element.content


def _audio(content: bytes | None, parts: Parts) -> dict[str, str]:
    if content is None:
        return {}
    fields = dict(children(content, 0, len(content), parts))
    stats = {"audio_channels": str(unsigned(fields.get(_CHANNELS, b"\x01")))}
    samplerate = floating(fields.get(_SAMPLING_FREQUENCY, b""))
    if 0 < samplerate < 1e9:
        stats["audio_samplerate"] = f"{samplerate:.0f}"
    return stats


def _video(content: bytes | None, parts: Parts) -> dict[str, str]:
    if content is None:
        return {}
    fields = dict(children(content, 0, len(content), parts))
    return {"frame_size": f"{unsigned(fields.get(_PIXEL_WIDTH, b''))} x {unsigned(fields.get(_PIXEL_HEIGHT, b''))}"}
