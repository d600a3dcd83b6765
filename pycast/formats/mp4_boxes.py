"""The few boxes of fragmented MP4 that matter for a live stream: tracks, and what a fragment begins with (ISO/IEC
14496-12 section 8).

Pure functions over complete boxes. Samples and codec data are not read. The one invariant: broken content raises
FormatError and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from struct import error, unpack_from
from typing import NamedTuple

from pycast.errors import FormatError

MAX_BOXES = 4096
"""Boxes that are read inside of one, at all depths. A film has some hundred."""

_HAS_BASE, _BASE_IS_MOOF = 0x1, 0x020000
_NOT_SYNC = 0x00010000
_VIDEO, _AUDIO = b"vide", b"soun"


class Box(NamedTuple):
    """The head of a box: its type, where its content begins, and its whole size (None: up to the end of the file)."""

    kind: bytes
    content: int
    size: int | None


@dataclass(frozen=True, slots=True)
class Movie:
    """What a moov box says."""

    is_fragmented: bool
    timescales: Mapping[int, int] = field(default_factory=dict)
    """Ticks a second, by track."""
    video_track: int | None = None
    """Number of the first video track."""
    defaults: Mapping[int, int] = field(default_factory=dict)
    """Flags of samples that have none of their own, by track."""
    stats: Mapping[str, str] = field(default_factory=dict)


class Fragment(NamedTuple):
    """What a moof box says: the time at which it begins, if it has one, and whether a decoder can begin there."""

    time_s: float | None
    is_join: bool


def read_box(buf: bytes, pos: int) -> Box | None:
    """Returns the head of the box at `pos`; None if it is not complete. Raises FormatError."""
    if len(buf) - pos < 8:
        return None
    size, kind = unpack_from(">I4s", buf, pos)
    if size == 1:
        if len(buf) - pos < 16:
            return None
        (size,) = unpack_from(">Q", buf, pos + 8)
        head = 16
    else:
        head = 8
        if size == 0:
            return Box(kind, pos + head, None)
    if size < head:
        raise FormatError("an MP4 box that is smaller than its head")
    return Box(kind, pos + head, size)


def read_movie(moov: bytes) -> Movie:
    """Returns what a whole moov box says. Raises FormatError."""
    try:
        return _read_movie(moov)
    except (error, IndexError) as raised:
        raise FormatError("a broken moov box in the MP4 stream", cause=str(raised)) from raised


def read_fragment(moof: bytes, movie: Movie) -> Fragment:
    """Returns what a whole moof box says. Raises FormatError."""
    try:
        return _read_fragment(moof, movie)
    except (error, IndexError) as raised:
        raise FormatError("a broken moof box in the MP4 stream", cause=str(raised)) from raised


def has_part(moof: bytes, track: int) -> bool:
    """Whether a moof box that has been read has a part for the track."""
    heads = (
        at
        for kind, _, content, end in children(moof, 8, len(moof), [MAX_BOXES])
        for inner, _, at, _ in (children(moof, content, end, [MAX_BOXES]) if kind == b"traf" else ())
        if inner == b"tfhd"
    )
    return any(int.from_bytes(moof[at + 4 : at + 8]) == track for at in heads)


def relative(moof: bytes) -> bytes:
    """Returns a moof box whose samples are found from its own beginning, not from that of the file, which a listener
    who comes later does not have. Its size is the same. Raises FormatError.
    """
    left, out = [MAX_BOXES], bytearray(moof)
    for kind, _, content, end in children(moof, 8, len(moof), left):
        for inner, begin, at, stop in children(moof, content, end, left) if kind == b"traf" else ():
            if inner == b"tfhd" and stop - at >= 16 and moof[at + 3] & _HAS_BASE:
                flags = int.from_bytes(moof[at + 1 : at + 4]) & ~_HAS_BASE | _BASE_IS_MOOF
                head = (stop - begin - 8).to_bytes(4) + b"tfhd" + moof[at : at + 1] + flags.to_bytes(3)
                # An empty box takes the place of the eight bytes of the base.
                out[begin:stop] = head + moof[at + 4 : at + 8] + moof[at + 16 : stop] + b"\0\0\0\x08free"
    return bytes(out)


def without(moov: bytes, *kinds: bytes) -> bytes:
    """Returns a box without those of its children that are of one of these kinds. Raises FormatError."""
    kept = [moov[begin:end] for kind, begin, _, end in children(moov, 8, len(moov), [MAX_BOXES]) if kind not in kinds]
    content = b"".join(kept)
    return (8 + len(content)).to_bytes(4) + moov[4:8] + content


def children(buf: bytes, pos: int, end: int, left: list[int]) -> Iterator[tuple[bytes, int, int, int]]:
    """Yields the kinds of the boxes in a part of `buf`, where each begins, where its content begins, and its end."""
    while end - pos >= 8:
        left[0] -= 1
        box = read_box(buf, pos)
        if box is None or left[0] < 0:
            raise FormatError("an MP4 box of too many parts")
        stop = end if box.size is None else pos + box.size
        if stop > end:
            raise FormatError("an MP4 box that is larger than the one around it")
        yield box.kind, pos, box.content, stop
        pos = stop


def _read_movie(moov: bytes) -> Movie:
    left, is_fragmented = [MAX_BOXES], False
    timescales, defaults, stats = dict[int, int](), dict[int, int](), dict[str, str]()
    video: int | None = None
    for kind, _, content, end in children(moov, 8, len(moov), left):
        if kind == b"mvex":
            is_fragmented = True
            for inner, _, at, _ in children(moov, content, end, left):
                if inner == b"trex":
                    track, _, _, _, flags = unpack_from(">5I", moov, at + 4)
                    defaults[track] = flags
        elif kind == b"trak":
            track, scale, handler, found = _read_track(moov, content, end, left)
            timescales[track] = scale
            if handler == _VIDEO and video is None:
                video = track
            stats = {**found, **stats}
    return Movie(is_fragmented, timescales, video, defaults, stats)


def _read_track(buf: bytes, pos: int, end: int, left: list[int]) -> tuple[int, int, bytes, dict[str, str]]:
    """Returns the number of a track, its ticks a second, its kind and its properties."""
    track, scale, handler, entry = 0, 0, b"", -1
    parts = list(children(buf, pos, end, left))
    for kind, _, at, stop in parts:
        if kind == b"tkhd":
            (track,) = unpack_from(">I", buf, at + (20 if buf[at] else 12))
        elif kind == b"mdhd":
            (scale,) = unpack_from(">I", buf, at + (20 if buf[at] else 12))
        elif kind == b"hdlr":
            (handler,) = unpack_from(">4s", buf, at + 8)
        elif kind == b"stsd":
            entry = at + 8
        elif kind in (b"mdia", b"minf", b"stbl"):
            parts += children(buf, at, stop, left)
    return track, scale, handler, _properties(buf, entry, handler) if entry >= 0 else {}


def _properties(buf: bytes, entry: int, handler: bytes) -> dict[str, str]:
    """Returns the properties in a sample entry, which begins at `entry`."""
    if handler == _VIDEO:
        width, height = unpack_from(">HH", buf, entry + 32)
        return {"frame_size": f"{width} x {height}"}
    if handler != _AUDIO:
        return {}
    channels, _, _, _, rate, _ = unpack_from(">6H", buf, entry + 24)
    return {"audio_channels": str(channels)} | ({"audio_samplerate": str(rate)} if rate else {})


def _read_fragment(moof: bytes, movie: Movie) -> Fragment:
    left, parts = [MAX_BOXES], dict[int | None, Fragment]()
    for kind, _, content, end in children(moof, 8, len(moof), left):
        if kind == b"traf":
            track, part = _read_part(moof, content, end, left, movie)
            # A decoder begins with the first part of a track.
            parts.setdefault(track, part)
    # The video decides, if there is any.
    is_join = movie.video_track is None
    if not is_join and movie.video_track in parts:
        is_join = parts[movie.video_track].is_join
        parts = {movie.video_track: parts[movie.video_track], **parts}
    return Fragment(next((part.time_s for part in parts.values() if part.time_s is not None), None), is_join)


def _read_part(moof: bytes, content: int, end: int, left: list[int], movie: Movie) -> tuple[int, Fragment]:
    """Returns the track of a part of a fragment, the time at which the part begins, and whether its first sample is a
    key frame."""
    track, flags, ticks, runs = 0, 0, None, 0
    for kind, _, at, _ in children(moof, content, end, left):
        if kind == b"tfhd":
            track, flags = _read_head(moof, at, movie)
        elif kind == b"tfdt":
            (ticks,) = unpack_from(">Q" if moof[at] else ">I", moof, at + 4)
        elif kind == b"trun":
            # There may be more of them, with the samples after those.
            flags = flags if runs else _first_flags(moof, at, flags)
            runs += 1
    scale = movie.timescales.get(track, 0)
    return track, Fragment(ticks / scale if ticks is not None and scale else None, not flags & _NOT_SYNC)


def _read_head(buf: bytes, at: int, movie: Movie) -> tuple[int, int]:
    """Returns the track of a fragment, and the flags of its samples if they have none of their own."""
    present, track = unpack_from(">II", buf, at)
    if not present & 0x20:
        return track, movie.defaults.get(track, 0)
    # Base offset, description, duration and size stand before them, if they are there.
    skipped = 8 * bool(present & 1) + sum(4 for bit in (0x2, 0x8, 0x10) if present & bit)
    return track, unpack_from(">I", buf, at + 8 + skipped)[0]


def _first_flags(buf: bytes, at: int, flags: int) -> int:
    """Returns the flags of the first sample of a run; `flags` if it has none of its own."""
    present, _ = unpack_from(">II", buf, at)
    pos = at + 8 + 4 * bool(present & 0x1)
    if present & 0x4:
        return int(unpack_from(">I", buf, pos)[0])
    if not present & 0x400:
        return flags
    return int(unpack_from(">I", buf, pos + sum(4 for bit in (0x100, 0x200) if present & bit))[0])
