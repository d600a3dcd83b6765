"""Fragmented MP4: `ftyp` and `moov` first, then fragments; any number of files after each other (ISO/IEC 14496-12).

A listener gets `ftyp` and `moov`, and starts at a fragment: a `moof` with the boxes that belong to it (`styp`, `sidx`,
`emsg` …) before it and its `mdat` after it. With video only fragments that begin with a key frame are such places. A
cover picture is a video of one frame, or of none: where a video has not been there for a while, any fragment is such a
place. A fragment is one unit. An MP4 file that is not fragmented has its samples in one place and their index in
another: nobody could join it, and it is refused with the reason. Where no box is, bytes are dropped up to the next
fragment or file.

The one invariant: what comes out is whole files, or their beginnings: `ftyp`, `moov`, then whole fragments.
"""

import re

from pycast.errors import FormatError
from pycast.formats.clock import BitrateMeter, MediaClock
from pycast.formats.marks import Header, Info, Join, Mark
from pycast.formats.mp4_boxes import Box, Movie, has_part, read_box, read_fragment, read_movie, relative, without
from pycast.patterns import pattern

MAX_MOVIE = 8 * 1024 * 1024
"""Most bytes of a `moov` box, which may have a cover picture."""

MAX_HEADER = 256 * 1024
"""Most bytes of `ftyp` and `moov` with their descriptions: of larger ones, pictures and texts are left out."""

MAX_FRAGMENT = 16 * 1024 * 1024
"""Most bytes of a fragment: ten seconds of 12 Mbit/s."""

WITHOUT_VIDEO_S = 3.0
"""After so long without a fragment of the video there is none to wait for."""

MOST_BOXES = 64
"""Boxes of a fragment."""

MAX_LOST = 32 * 1024 * 1024
"""Most bytes in a row that are dropped."""

_BEFORE = frozenset((b"styp", b"sidx", b"ssix", b"prft", b"emsg"))
"""Boxes that belong to the fragment after them."""

_LEFT_OUT = frozenset((b"free", b"skip", b"wide", b"mfra", b"meta", b"udta", b"uuid", b"pdin", b"bloc"))
"""Boxes that nobody needs who plays a live stream."""

_KNOWN = _BEFORE | _LEFT_OUT | {b"ftyp", b"moov", b"moof", b"mdat"}
_BEGIN = pattern(rb"\x00[\x00-\x7f]..(?:ftyp|styp|sidx|moov|moof)", re.DOTALL)
_TAIL = 7
# A file or a fragment within another box: the encoder began again, or bytes are lost, and the box will never be
# complete.
_CUT_OFF = pattern(rb"\x00\x00\x00[\x10-\x40]ftyp|\x00[\x00-\x7f]..moof\x00\x00\x00\x10mfhd", re.DOTALL)
_CUT_OFF_SIZE = 16
# Without a duration ffmpeg keeps sound back until it ends, for one fragment.
_FRAGMENTED = "-movflags +frag_keyframe+empty_moov -frag_duration 1000000"
_NOT_FRAGMENTED = f"an MP4 file that is not fragmented cannot be streamed (ffmpeg: {_FRAGMENTED})"


class Mp4Refused(FormatError):
    """A stream that nobody could join, now or later."""


class Mp4:
    """Boxes of fragmented MP4. Raises FormatError for a stream that is not, or is broken beyond repair."""

    family = "mp4"

    def __init__(self, base: int = 0) -> None:
        self._offset = base
        self._buf = bytearray()
        self._need = 8
        self._skip = 0
        self._is_lost = True
        self._reason = "no box begins in it"
        self._lost = 0
        self._lost_in_row = 0
        self._left_out = 0
        self._out: list[bytes] = []
        self._marks: list[Mark] = []
        self._movie: Movie | None = None
        self._type = b""
        """The `ftyp` box."""
        self._held: list[bytes] = []
        """The boxes of a fragment that is not complete."""
        self._held_size = 0
        self._has_moof = False
        self._is_join = False
        self._video_s = 0.0
        """Media time of the last fragment with video."""
        self._clock = MediaClock()
        self._meter = BitrateMeter(base, 0.0, None)

    @property
    def dropped(self) -> int:
        """Bytes dropped so far: junk, parts of fragments, boxes that nobody needs."""
        return self._lost + self._left_out

    @property
    def warning(self) -> str:
        """How much was dropped, in words; empty if nothing. Boxes that nobody needs are not worth a word."""
        return f"{self._lost} bytes were no whole MP4 fragments, and are left out" if self._lost else ""

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole fragments and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        self._left_out += skipped
        before = len(self._buf)
        self._buf += data[skipped:]
        if len(self._buf) >= self._need or _CUT_OFF.search(self._buf, max(before - _CUT_OFF_SIZE, 1)):
            buf = bytes(self._buf)
            del self._buf[: self._walk(buf, before)]
        return b"".join(self._out), self._marks

    def _walk(self, buf: bytes, seen: int) -> int:
        """Takes all boxes in `buf`; returns where the first incomplete one begins and sets `_need` to its size. The
        first `seen` bytes were there before, and what cuts off has been looked for in them: a large one is not looked
        through twice.
        """
        pos = 0
        while True:
            if self._is_lost:
                pos = self._search(buf, pos)
            start = pos
            try:
                box = None if self._is_lost else read_box(buf, pos)
                if box is None:
                    self._need = len(buf) - pos + 1
                    return pos
                size = self._size(box)
                cut_off = _CUT_OFF.search(buf, max(pos + 1, seen - _CUT_OFF_SIZE), pos + size)
                if cut_off:
                    pos = cut_off.start()
                    raise FormatError("a file or fragment begins in the middle of an MP4 box")
                if self._is_left_out(box):
                    pos = self._leave_out(buf, pos, size)
                elif pos + size > len(buf):
                    self._need = size
                    return pos
                else:
                    pos += size
                    self._take(box.kind, buf[start:pos])
            except Mp4Refused:
                raise
            except FormatError as error:
                self._lose(error.public)
                pos = max(pos, start + 1)
                self._drop(pos - start)

    def _search(self, buf: bytes, pos: int) -> int:
        """Drops bytes up to the next fragment or file, or all but what may be the start of one; returns the end of what
        is dropped."""
        found = _BEGIN.search(buf, pos)
        self._is_lost = found is None
        end = found.start() if found else max(pos, len(buf) - _TAIL)
        self._drop(end - pos)
        return end

    def _size(self, box: Box) -> int:
        """Returns the size of a box. Raises FormatError."""
        if box.kind not in _KNOWN:
            raise FormatError("something that is no MP4 box")
        if box.kind == b"mdat" and not self._held:
            if self._movie is None:
                raise Mp4Refused(_NOT_FRAGMENTED)
            raise FormatError("samples without a fragment")
        if box.size is None:
            raise FormatError("a box of unknown size")
        limit = MAX_FRAGMENT - self._held_size
        if box.kind in (b"moov", b"ftyp"):
            limit = MAX_MOVIE
        if box.size > (MAX_LOST if self._is_left_out(box) else limit):
            raise FormatError("an MP4 box that is too large")
        return box.size

    def _is_left_out(self, box: Box) -> bool:
        """Whether nobody needs a box. Between a fragment and its samples all stay: it says how far away they are."""
        return box.kind in _LEFT_OUT and not self._has_moof

    def _leave_out(self, buf: bytes, pos: int, size: int) -> int:
        """Drops a box, of which the rest has still to come, maybe; returns where the next one begins in `buf`."""
        end = min(pos + size, len(buf))
        self._skip = size - (end - pos)
        self._left_out += end - pos
        self._count_in_row(size)
        return end

    def _take(self, kind: bytes, box: bytes) -> None:
        """Takes a whole box. Raises FormatError."""
        if kind == b"ftyp":
            self._drop_held()
            self._movie, self._type = None, box
        elif kind == b"moov":
            self._begin(box)
        elif self._movie is None:
            raise FormatError("a fragment before the first `moov` box")
        else:
            self._hold(kind, box, self._movie)

    def _begin(self, moov: bytes) -> None:
        """Takes a `moov` box: with it the header is complete."""
        self._drop_held()
        movie = read_movie(moov)
        if not movie.is_fragmented:
            raise Mp4Refused(_NOT_FRAGMENTED)
        small = moov if len(self._type) + len(moov) <= MAX_HEADER else without(moov, b"udta", b"meta")
        header, offset = self._type + small, self._offset
        if len(header) > 4 * MAX_HEADER:
            raise FormatError("a `moov` box that is too large")
        self._left_out += len(moov) - len(small)
        self._movie, self._type = movie, b""
        self._video_s = time_s = self._clock.time_s
        self._marks += (Header(offset, b""), Join(offset, time_s))
        self._emit(header)
        self._marks += (Info(offset, None, movie.stats), Header(self._offset, header))
        self._meter = BitrateMeter(self._offset, time_s, None)

    def _hold(self, kind: bytes, box: bytes, movie: Movie) -> None:
        """Takes a part of a fragment, which passes with its last one."""
        if kind != b"mdat":
            # A fragment has one of them, so another begins here, and the one before has lost its samples.
            if self._has_moof and kind not in _LEFT_OUT:
                self._drop_held()
            if len(self._held) >= MOST_BOXES:
                raise FormatError("too many MP4 boxes before a fragment")
            if kind == b"moof":
                self._has_moof = True
                box = relative(box)
                time_s, self._is_join = read_fragment(box, movie)
                if time_s is not None:
                    self._clock.advance(time_s)
                if not self._is_join:
                    self._is_join = self._is_without_video(box, movie)
            self._held.append(box)
            self._held_size += len(box)
            return
        if not self._has_moof:
            raise FormatError("samples without a fragment")
        time_s = self._clock.time_s
        if self._is_join:
            self._marks.append(Join(self._offset, time_s))
            bitrate = self._meter.measure(self._offset, time_s)
            if bitrate:
                self._marks.append(Info(self._offset, bitrate, movie.stats))
        self._emit(b"".join((*self._held, box)))
        self._held, self._held_size, self._has_moof = [], 0, False
        self._lost_in_row = 0

    def _is_without_video(self, moof: bytes, movie: Movie) -> bool:
        """Whether there is no video any more, of which a key frame has to be waited for."""
        now_s = self._clock.time_s
        if movie.video_track is None or has_part(moof, movie.video_track):
            self._video_s = now_s
        return now_s - self._video_s > WITHOUT_VIDEO_S

    def _lose(self, reason: str) -> None:
        """Looks for the next fragment or file from now on."""
        self._is_lost, self._reason = True, reason
        self._drop_held()
        if self._movie is None:
            self._drop(len(self._type))
            self._type = b""

    def _drop_held(self) -> None:
        size, self._held, self._held_size, self._has_moof = self._held_size, [], 0, False
        self._drop(size)

    def _drop(self, size: int) -> None:
        """Counts bytes that no decoder could use. Raises FormatError after too many."""
        self._lost += size
        self._count_in_row(size)

    def _count_in_row(self, size: int) -> None:
        self._lost_in_row += size
        if self._lost_in_row > MAX_LOST:
            raise Mp4Refused(f"nothing in {MAX_LOST >> 20} MiB of the MP4 stream can be played: {self._reason}")

    def _emit(self, data: bytes) -> None:
        self._out.append(data)
        self._offset += len(data)
