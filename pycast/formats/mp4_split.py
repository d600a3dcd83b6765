"""Long fragments of sound in an MP4 file, cut into short ones.

ffmpeg puts a whole file of sound into one fragment unless it is told how long they may be. Nobody could join such a
stream in its middle, and it would come at once and then not for minutes. So a fragment of one track is written anew as
several, each with the next samples. The samples themselves stay as they are.

The one invariant: the parts have all samples of the fragment, in order, or it stays whole.
"""

from collections.abc import Iterator, Sequence
from struct import error, pack, unpack_from
from typing import NamedTuple

from pycast.errors import FormatError
from pycast.formats.mp4_boxes import MAX_BOXES, children, read_box

PART_S = 1.0
"""Longer fragments are cut into parts of this length."""

_BASE_IS_MOOF = 0x020000
_HAS_DURATION, _HAS_SIZE, _HAS_FLAGS, _HAS_SHIFT = 0x100, 0x200, 0x400, 0x800
_MOST_SAMPLES = 1_000_000


class Defaults(NamedTuple):
    """What holds for samples of a track that do not say it themselves."""

    duration: int = 0
    size: int = 0


class _Sample(NamedTuple):
    duration: int
    size: int
    more: bytes
    """Its flags and the shift of its time, if the run has them."""


class _Run(NamedTuple):
    begin: int | None
    """Where its first sample is, counted from the begin of the moof; None: behind the run before."""
    fields: int
    """Which fields its samples have in `more`."""
    samples: list[_Sample]


def split(moof: bytes, mdat: bytes, scale: int, defaults: Defaults) -> list[tuple[bytes, bytes]]:
    """Returns a fragment in parts, each a moof and an mdat; the fragment itself if it is short, or has what is not
    known here. `scale` is the ticks a second of its track.
    """
    try:
        return _split(moof, mdat, scale, defaults) or [(moof, mdat)]
    # A head that is missing, a time that no number holds.
    except (error, LookupError, OverflowError, FormatError):
        return [(moof, mdat)]


def _split(moof: bytes, mdat: bytes, scale: int, defaults: Defaults) -> list[tuple[bytes, bytes]]:
    boxes = list(children(moof, 8, len(moof), [MAX_BOXES]))
    if sorted(kind for kind, *_ in boxes) != [b"mfhd", b"traf"]:
        return []
    _, _, begin, end = boxes[-1]
    parts = list(children(moof, begin, end, [MAX_BOXES]))
    if {kind for kind, *_ in parts} - {b"tfhd", b"tfdt", b"trun", b"free"}:
        return []
    places = {kind: at for kind, _, at, _ in parts}
    head, defaults = _head(moof, places[b"tfhd"], defaults)
    ticks = _ticks(moof, places[b"tfdt"]) if b"tfdt" in places else None
    runs = [_run(moof, at, stop, defaults) for kind, _, at, stop in parts if kind == b"trun"]
    samples = [sample for run in runs for sample in run.samples]
    total = sum(sample.duration for sample in samples)
    if len({run.fields for run in runs}) != 1 or total <= 2 * PART_S * scale:
        return []
    data = _data(runs, mdat, len(moof))
    return list(_parts(samples, data, head, ticks, runs[0].fields, round(PART_S * scale))) if data else []


def _head(moof: bytes, at: int, defaults: Defaults) -> tuple[bytes, Defaults]:
    """Returns the `tfhd` of the parts, and the defaults of the fragment."""
    present, track = unpack_from(">II", moof, at)
    pos, fields = at + 8 + 8 * (present & 1), dict[int, bytes]()
    for bit in (0x2, 0x8, 0x10, 0x20):
        if present & bit:
            fields[bit] = moof[pos : pos + 4]
            pos += 4
    duration, size = (int.from_bytes(fields[bit]) if bit in fields else 0 for bit in (0x8, 0x10))
    kept = b"".join(fields.get(bit, b"") for bit in (0x2, 0x20))
    head = _box(b"tfhd", pack(">II", _BASE_IS_MOOF | present & 0x22, track) + kept)
    return head, Defaults(duration or defaults.duration, size or defaults.size)


def _ticks(moof: bytes, at: int) -> int:
    (ticks,) = unpack_from(">Q" if moof[at] else ">I", moof, at + 4)
    return int(ticks)


def _run(moof: bytes, at: int, stop: int, defaults: Defaults) -> _Run:
    present, count = unpack_from(">II", moof, at)
    pos = at + 8
    begin = None
    if present & 0x1:
        (begin,) = unpack_from(">i", moof, pos)
        pos += 4
    # What is said of the first sample is of no use for sound.
    pos += 4 * bool(present & 0x4)
    own = 4 * (bool(present & _HAS_DURATION) + bool(present & _HAS_SIZE))
    width = own + 4 * (bool(present & _HAS_FLAGS) + bool(present & _HAS_SHIFT))
    if count > _MOST_SAMPLES or pos + count * width > stop:
        raise FormatError("a broken moof box in the MP4 file")
    samples = []
    for one in range(pos, pos + count * width, width) if width else [pos] * count:
        duration, size = defaults
        if present & _HAS_DURATION:
            (duration,) = unpack_from(">I", moof, one)
        if present & _HAS_SIZE:
            (size,) = unpack_from(">I", moof, one + own - 4)
        samples.append(_Sample(duration, size, moof[one + own : one + width]))
    # The version says whether shifts have a sign.
    return _Run(begin, present & (_HAS_FLAGS | _HAS_SHIFT | 0xFF000000), samples)


def _data(runs: Sequence[_Run], mdat: bytes, before: int) -> bytes:
    """Returns the bytes of all samples; none if they are not what is in `mdat`, which is `before` bytes behind the
    begin of the moof.
    """
    box = read_box(mdat, 0)
    assert box is not None  # whole boxes come out of the parser
    pos = box.content
    for run in runs:
        if run.begin not in (None, before + pos):
            return b""
        pos += sum(sample.size for sample in run.samples)
    return mdat[box.content :] if pos == len(mdat) else b""


def _parts(
    samples: Sequence[_Sample], data: bytes, head: bytes, ticks: int | None, fields: int, length: int
) -> Iterator[tuple[bytes, bytes]]:
    pos, at = 0, 0
    while at < len(samples):
        first, lasts, size = at, 0, 0
        while at < len(samples) and lasts < length:
            lasts += samples[at].duration
            size += samples[at].size
            at += 1
        time = b"" if ticks is None else _box(b"tfdt", b"\1\0\0\0" + ticks.to_bytes(8))
        yield _moof(head + time, samples[first:at], fields), _box(b"mdat", data[pos : pos + size])
        pos += size
        ticks = None if ticks is None else ticks + lasts


def _moof(begin: bytes, samples: Sequence[_Sample], fields: int) -> bytes:
    flags = fields | 0x1 | _HAS_DURATION | _HAS_SIZE
    table = b"".join(pack(">II", sample.duration, sample.size) + sample.more for sample in samples)
    sizes = 8 + 16 + 8 + len(begin) + 8 + 12 + len(table)
    run = _box(b"trun", pack(">IIi", flags, len(samples), sizes + 8) + table)
    return _box(b"moof", _box(b"mfhd", bytes(8)) + _box(b"traf", begin + run))


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content
