"""The fragments of MP4 files that are played one after the other: one movie whose time goes on.

A file begins at time 0, may know its length, and numbers its fragments. Here `ftyp` and `moov` go out once, and again
only if a file has other tracks; each fragment gets the time and the number that follow those of the one before, and
what says where something is in the file is left out. Times have 64 bits, as 32 are over after a day of audio, so a
fragment's head grows by some bytes, and with it the distance to its samples. A fragment without a time gets one.

The one invariant: the times of fragments never go back.
"""

from collections.abc import Callable
from struct import pack, unpack_from
from typing import NamedTuple

from pycast.errors import FormatError
from pycast.formats.mp4 import MAX_MOVIE, Mp4
from pycast.formats.mp4_boxes import MAX_BOXES, children, read_box, read_movie
from pycast.formats.mp4_split import Defaults, split

_MOST_BOXES = 10_000
_LATEST = (1 << 64) - 1
_FURTHEST = (1 << 31) - 1
_BASE_IS_MOOF = 0x020000
_HAS_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_SAMPLE_FIELDS = (0x100, 0x200, 0x400, 0x800)
_LEFT_OUT = frozenset((b"sidx", b"ssix", b"prft"))
"""What names times or places of the file."""


def is_fragmented(read: Callable[[int, int], bytes]) -> bool:
    """Whether a file is a fragmented one. `read` returns bytes from an offset on, at most so many as its second
    argument says.
    """
    offset = 0
    for _ in range(_MOST_BOXES):
        try:
            box = read_box(read(offset, 16), 0)
            if box is None or box.size is None:
                return False
            if box.kind == b"moov":
                return box.size <= MAX_MOVIE and read_movie(read(offset, box.size)).is_fragmented
        except FormatError:
            return False
        offset += box.size
    return False


class Mp4File:
    """Whole fragments, with times that go on through all rounds."""

    def __init__(self) -> None:
        self.end_s = 0.0
        """Up to where the stream goes that has come out, in seconds."""
        self._header = b""
        self._scales: dict[int, int] = {}
        """Ticks a second, by track."""
        self._video: int | None = None
        """The track of the video, if there is one."""
        self._defaults: dict[int, Defaults] = {}
        """What holds for samples of a track that do not say it."""
        self._movie_s = 0.0
        """Where the movie that comes out began."""
        self._sequence = 0
        self._begin_file()

    def feed(self, data: bytes) -> bytes:
        """Raises FormatError."""
        out, _ = self._mp4.feed(data)
        parts, pos = [], 0
        while pos < len(out):
            box = read_box(out, pos)
            assert box is not None and box.size is not None  # whole boxes come out of the parser
            parts += self._take(box.kind, out[pos : pos + box.size])
            pos += box.size
        return b"".join(parts)

    def end_round(self) -> bytes:
        self._begin_file()
        return b""

    def _begin_file(self) -> None:
        self._mp4 = Mp4()
        self._type = self._moof = b""
        self._begun_s = self.end_s
        """Where the file begins in the stream."""
        self._first_s: float | None = None
        """The time of its first fragment."""
        self._next: dict[int, int] = {}
        """The time at which the next fragment of each track begins, as the file counts."""

    def _take(self, kind: bytes, box: bytes) -> list[bytes]:
        """Returns what takes the place of a box. Raises FormatError."""
        # The head of a fragment waits for what comes next, its samples.
        head, self._moof = self._moof, b""
        if kind == b"mdat" and head:
            return [part for moof, mdat in self._split(head, box) for part in (self._renewed(moof), mdat)]
        before = [self._renewed(head)] if head else []
        if kind == b"ftyp":
            self._type = box
        elif kind == b"moov":
            return [*before, self._begin_movie(box)]
        elif kind == b"moof":
            self._moof = box
        elif kind not in _LEFT_OUT:
            return [*before, box]
        return before

    def _split(self, moof: bytes, mdat: bytes) -> list[tuple[bytes, bytes]]:
        """Returns the fragment in parts if it is a long one of sound alone. Raises FormatError."""
        tracks = [_read_track(moof, content, end).track for kind, _, content, end in _parts(moof, 8) if kind == b"traf"]
        if len(tracks) != 1 or tracks[0] == self._video:
            return [(moof, mdat)]
        return split(moof, mdat, self._scale(tracks[0]), self._defaults.get(tracks[0], Defaults()))

    def _begin_movie(self, moov: bytes) -> bytes:
        """Returns the header of the stream, if it is another one than before."""
        header, self._type = self._type + _without_length(moov), b""
        if header == self._header:
            return b""
        self._header, self._movie_s = header, self.end_s
        movie = read_movie(moov)
        self._scales, self._video = dict(movie.timescales), movie.video_track
        self._defaults = _defaults(moov)
        return header

    def _renewed(self, moof: bytes) -> bytes:
        """Returns the head of a fragment with its place in the stream. Raises FormatError."""
        tracks = [_read_track(moof, content, end) for kind, _, content, end in _parts(moof, 8) if kind == b"traf"]
        starts = [self._next.get(one.track, 0) if one.ticks is None else one.ticks for one in tracks]
        if self._first_s is None:
            scaled = (ticks / self._scale(one.track) for one, ticks in zip(tracks, starts, strict=True))
            self._first_s = min(scaled, default=0.0)
        shift_s = self._begun_s - self._movie_s - self._first_s
        grows = sum(one.grows for one in tracks)
        self._sequence = self._sequence % 0xFFFFFFFF + 1
        out, at = [], iter(zip(tracks, starts, strict=True))
        is_first = True
        for kind, begin, content, end in _parts(moof, 8):
            if kind == b"mfhd":
                out.append(moof[begin : content + 4] + self._sequence.to_bytes(4))
            elif kind == b"traf":
                track, ticks = next(at)
                time = max(ticks + round(shift_s * self._scale(track.track)), 0)
                if time > _LATEST:
                    raise FormatError("a fragment of the MP4 file has a time beyond all numbers")
                moves = grows if is_first or track.is_from_moof else 0
                out.append(_with_time(moof, content, end, time, moves))
                self._note_end(track, ticks, time)
                is_first = False
            else:
                out.append(moof[begin:end])
        return _box(b"moof", b"".join(out))

    def _note_end(self, track: "_Track", ticks: int, time: int) -> None:
        lasts = sum(track.lasts) + track.plain * (track.default or self._defaults.get(track.track, Defaults()).duration)
        self._next[track.track] = ticks + lasts
        self.end_s = max(self.end_s, self._movie_s + (time + lasts) / self._scale(track.track))

    def _scale(self, track: int) -> int:
        return self._scales.get(track, 0) or 1


class _Track(NamedTuple):
    """What a fragment says of one track."""

    track: int
    ticks: int | None
    """When it begins; None if it does not say."""
    grows: int
    """How many bytes a time of 64 bits takes more."""
    is_from_moof: bool
    """Whether its samples are found from the beginning of the fragment."""
    default: int
    """How long samples last that do not say it; 0 if that is not said here."""
    plain: int
    """How many samples do not say it."""
    lasts: list[int]


def _read_track(moof: bytes, content: int, end: int) -> _Track:
    track = _Track(0, None, 20, is_from_moof=False, default=0, plain=0, lasts=[])
    for kind, _, at, stop in _parts(moof, content, end):
        if kind == b"tfhd":
            present, number = _unpack(">II", moof, at)
            skipped = 8 * (present & 1) + 4 * bool(present & 2)
            default = _unpack(">I", moof, at + 8 + skipped)[0] if present & 0x8 else 0
            is_from_moof = bool(present & _BASE_IS_MOOF)
            track = track._replace(track=number, default=default, is_from_moof=is_from_moof)
        elif kind == b"tfdt":
            is_long = moof[at] == 1
            (ticks,) = _unpack(">Q" if is_long else ">I", moof, at + 4)
            track = track._replace(ticks=ticks, grows=0 if is_long else 4)
        elif kind == b"trun":
            plain, lasts = _lengths(moof, at, stop)
            track.lasts.extend(lasts)
            track = track._replace(plain=track.plain + plain)
    return track


def _lengths(moof: bytes, at: int, end: int) -> tuple[int, list[int]]:
    """Returns how many samples of a run do not say how long they last, and how long the others do."""
    present, count = _unpack(">II", moof, at)
    width = 4 * sum(bool(present & bit) for bit in _SAMPLE_FIELDS)
    begin = at + 8 + 4 * bool(present & _HAS_OFFSET) + 4 * bool(present & _FIRST_FLAGS)
    if begin + count * width > end:
        raise FormatError("a broken moof box in the MP4 file")
    if not present & _SAMPLE_FIELDS[0]:
        return count, []
    return 0, [int.from_bytes(moof[one : one + 4]) for one in range(begin, begin + count * width, width)]


def _with_time(moof: bytes, content: int, end: int, time: int, moves: int) -> bytes:
    """Returns a track's part of a fragment with its time, and its samples `moves` bytes further away."""
    out = []
    for kind, begin, at, stop in _parts(moof, content, end):
        if kind == b"tfdt":
            continue
        box = bytearray(moof[begin:stop])
        if kind == b"trun" and moof[at + 3] & _HAS_OFFSET:
            place = at - begin + 8
            (offset,) = unpack_from(">i", box, place)
            if offset + moves > _FURTHEST:
                raise FormatError("a fragment of the MP4 file has its samples beyond all numbers")
            box[place : place + 4] = pack(">i", offset + moves)
        out.append(bytes(box))
        if kind == b"tfhd":
            out.append(_box(b"tfdt", b"\1\0\0\0" + time.to_bytes(8)))
    return _box(b"traf", b"".join(out))


def _defaults(moov: bytes) -> dict[int, Defaults]:
    """Returns what holds for samples that do not say it, by track."""
    found = {}
    for kind, _, content, end in _parts(moov, 8):
        for inner, _, at, _ in _parts(moov, content, end) if kind == b"mvex" else ():
            if inner == b"trex":
                track, _, *values = _unpack(">IIII", moov, at + 4)
                found[track] = Defaults(*values)
    return found


def _without_length(moov: bytes) -> bytes:
    """Returns a moov box with an empty box in place of the one that says how long all fragments last."""
    changed = bytearray(moov)
    for kind, _, content, end in _parts(moov, 8):
        for inner, begin, _, _ in _parts(moov, content, end) if kind == b"mvex" else ():
            if inner == b"mehd":
                changed[begin + 4 : begin + 8] = b"free"
    return bytes(changed)


def _parts(buf: bytes, pos: int, end: int | None = None) -> list[tuple[bytes, int, int, int]]:
    return list(children(buf, pos, len(buf) if end is None else end, [MAX_BOXES]))


def _unpack(form: str, buf: bytes, at: int) -> tuple[int, ...]:
    try:
        return unpack_from(form, buf, at)
    except Exception as raised:
        raise FormatError("a broken box in the MP4 file") from raised


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4) + kind + content
