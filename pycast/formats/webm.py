"""WebM and Matroska streams: whole elements in, whole elements and marks out, through any number of chained files.

Of a Segment or a Cluster only the head is a unit: so a cluster passes block by block, whether its size is known or not.
A listener gets the bytes before the first cluster (EBML head, Segment, Tracks …) and starts at a cluster. With video it
starts only at a cluster whose first video block is a key frame, so the beginning of each cluster is held back until
that block has arrived. Where no element is, bytes are dropped up to the next cluster or document; a document is passed
on only once its first cluster is there. The one invariant: what comes out, joined, is what came in, without junk,
without attachments and the like that are too large, without the last incomplete element and the cluster that is held
back; and but for two things that players go by. A Segment of known size (a file is streamed) becomes one of unknown
size, because a listener does not get all of it. A cluster of which the rest is lost is filled up to its size.
"""

import re

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.clock import BitrateMeter, MediaClock
from pycast.formats.ebml import Element, read_element, unsigned, void, with_unknown_size
from pycast.formats.marks import Header, Info, Join, Mark
from pycast.formats.matroska import Block, Properties
from pycast.patterns import pattern

MAX_HEADER = 1024 * 1024
"""Most bytes before the first cluster that are kept. Icecast allows 128 KiB."""

MAX_EXTRA = 256 * 1024
"""Most bytes of the header if it has attachments, tags and the like: more are left out, there and between clusters. A
cover picture can be larger than what a listener may be behind."""

MAX_UNIT = 4 * 1024 * 1024
"""Most bytes of one element. A key frame of 4K video has about 1 MB."""

MAX_HELD = 64 * 1024
"""Most bytes held back for a first video block. They are 4 s of audio, and encoders interleave within a fraction of a
second: after that many the video has stopped, and the audio must not stop with it."""

MAX_LOST = 32 * 1024 * 1024
"""Most bytes in a row that are dropped or left out, and so the largest attachment."""

_DOCUMENT = pattern(re.escape(matroska.EBML.to_bytes(4)))
_DOCUMENT_OR_CLUSTER = pattern(b"%b|%b" % tuple(re.escape(id.to_bytes(4)) for id in (matroska.EBML, matroska.CLUSTER)))
_ID_TAIL = 3
# A document's head within another element: the encoder began again, and the element will never be complete. A chance
# match of the id alone would come about once in four gigabytes.
_CUT_OFF = pattern(
    rb"\x1aE\xdf\xa3(?:[\x80-\xfe]|[\x40-\x7f].|\x10.{3}|\x01.{7})B[\x82\x85-\x87\xf2\xf3\xf7]", re.DOTALL
)
_CUT_OFF_SIZE = 14


class NothingToPlay(FormatError):
    """A stream that has had nothing to play for too long."""


class WebM:
    """Matroska elements. Raises FormatError for a stream that is not Matroska, or is broken beyond repair."""

    family = "webm"

    def __init__(self, base: int = 0) -> None:
        self._buf = bytearray()
        self._need = 1
        self._is_lost = True
        self._lost = 0
        self._lost_in_row = 0
        self._reason = "its first document has no beginning"
        self._skip = 0
        self._left_out = 0
        self._offset = base
        self._out: list[bytes] = []
        self._marks: list[Mark] = []
        self._chain = _Chain(base, 0.0)
        self._held: list[bytes] = []
        self._held_size = 0
        self._cluster_left = 0
        """Bytes of the present cluster that have not come out yet, if its size is known."""
        self._meter = BitrateMeter(base, 0.0, None)

    @property
    def dropped(self) -> int:
        """Bytes dropped so far: junk, what no decoder could use, large attachments."""
        return self._lost + self._left_out

    @property
    def warning(self) -> str:
        """How much was dropped, in words; empty if nothing."""
        large = self._left_out
        texts = (
            f"{self._lost} bytes were no Matroska elements, or without their header, and are left out"
            if self._lost
            else "",
            f"{large} bytes of large attachments or tags are left out" if large else "",
        )
        return "; ".join(filter(None, texts))

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole elements and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        # The rest of an element that is left out: nothing is held then.
        skipped = min(self._skip, len(data))
        if skipped:
            self._skip -= skipped
            self._left_out += skipped
            data = data[skipped:]
        before = len(self._buf)
        self._buf += data
        if len(self._buf) >= self._need or _CUT_OFF.search(self._buf, max(before - _CUT_OFF_SIZE, 1)):
            buf = bytes(self._buf)
            del self._buf[: self._walk(buf)]
        return b"".join(self._out), self._marks

    def _walk(self, buf: bytes) -> int:
        """Takes all units in `buf`; returns where the first incomplete one begins and sets `_need` to its size."""
        pos = 0
        while True:
            if self._is_lost:
                pos = self._search(buf, pos)
            start = pos
            try:
                element = None if self._is_lost else read_element(buf, pos)
                if element is None:
                    self._need = len(buf) - pos + 1
                    return pos
                size = self._unit_size(element, pos)
                if self._is_left_out(element, size):
                    pos = self._leave_out(buf, pos, size)
                    if pos == len(buf):
                        return pos
                    continue
                cut_off = _CUT_OFF.search(buf, pos + 1, pos + size)
                if cut_off:
                    pos = cut_off.start()
                    raise FormatError("a document begins in the middle of an element")
                if pos + size > len(buf):
                    self._need = size
                    return pos
                pos += size
                self._take(element, buf[start:pos], element.content - start)
            except NothingToPlay:
                raise
            except FormatError as error:
                self._lose(error.public)
                # A unit that is broken inside is dropped as a whole.
                pos = max(pos, start + 1)
                self._drop(pos - start)

    def _search(self, buf: bytes, pos: int) -> int:
        """Drops bytes up to the next document, or cluster if its header has come, or all but what may be the start of
        one; returns the end of what is dropped."""
        found = (_DOCUMENT_OR_CLUSTER if self._chain.has_header else _DOCUMENT).search(buf, pos)
        self._is_lost = found is None
        end = found.start() if found else max(pos, len(buf) - _ID_TAIL)
        self._drop(end - pos)
        return end

    def _lose(self, reason: str) -> None:
        """Looks for the next cluster or document from now on."""
        self._is_lost, self._reason = True, reason
        self._release_held(is_join=False)
        # Players go by the size of a cluster.
        if 2 <= self._cluster_left <= MAX_EXTRA:
            self._emit(void(self._cluster_left))
        self._cluster_left = 0
        chain = self._chain
        if not chain.has_header:
            self._chain = _Chain(self._offset, chain.time_s)
            self._drop(chain.header_size)

    def _drop(self, size: int) -> None:
        """Counts bytes that no decoder could use. Raises FormatError after too many."""
        self._lost += size
        self._count_in_row(size)

    def _count_in_row(self, size: int) -> None:
        self._lost_in_row += size
        if self._lost_in_row > MAX_LOST:
            raise NothingToPlay(f"nothing in {MAX_LOST >> 20} MiB of the Matroska stream can be played: {self._reason}")

    def _unit_size(self, element: Element, pos: int) -> int:
        """Returns the size of the unit that begins with `element` at `pos`. Raises FormatError."""
        if element.id not in matroska.LEVELS:
            raise FormatError("something that is no Matroska element")
        head_size = element.content - pos
        if element.id in (matroska.SEGMENT, matroska.CLUSTER):
            return head_size
        if element.size is None:
            raise FormatError("a Matroska element that must have a size has none")
        size = head_size + element.size
        if size > (MAX_LOST if element.id in matroska.EXTRAS else MAX_UNIT):
            raise FormatError("a Matroska element that is too large")
        return size

    def _is_left_out(self, element: Element, size: int) -> bool:
        """Whether a unit is left out because of its size. Raises FormatError if a header is too large without it."""
        chain = self._chain
        before = 0 if chain.has_header or element.id == matroska.EBML else chain.header_size
        if element.id in matroska.EXTRAS:
            return before + size > MAX_EXTRA
        if before and before + size > MAX_HEADER:
            raise FormatError(f"no cluster in the first {MAX_HEADER >> 20} MiB")
        return False

    def _leave_out(self, buf: bytes, pos: int, size: int) -> int:
        """Drops a unit, of which the rest has still to come, maybe; returns where the next one begins in `buf`."""
        end = min(pos + size, len(buf))
        self._skip = size - (end - pos)
        self._left_out += end - pos
        if not self._chain.has_header:
            self._reason = "no cluster follows its header"
        self._count_in_row(size)
        self._need = 1
        return end

    def _take(self, element: Element, unit: bytes, content: int) -> None:
        """Takes one unit: an element whose content begins at `content`, or the head of a Segment or Cluster."""
        chain, element_id = self._chain, element.id
        # The head of another document: it brings its own header, and listeners may start at it.
        if element_id == matroska.EBML:
            self._release_held(is_join=False)
            self._chain = _Chain(self._offset, chain.end_s())
            if not chain.has_header:
                self._drop(chain.header_size)
            chain = self._chain
        if element_id == matroska.CLUSTER:
            self._begin_cluster(unit, element.size)
        # All before the first cluster is the header for listeners.
        elif not chain.has_header:
            chain.add_header(element_id, unit, content)
        # The beginning of a cluster: held back until it is decided.
        elif self._held:
            self._hold(element_id, unit, content)
        # The rest of a cluster.
        else:
            chain.note_block(element_id, unit, content)
            self._lost_in_row = 0
            self._emit(unit)

    def _begin_cluster(self, unit: bytes, size: int | None) -> None:
        # The cluster before, if it is still undecided, is no join.
        self._release_held(is_join=False)
        # With the first cluster the header is complete.
        chain = self._chain
        if not chain.has_header:
            chain.has_header = True
            self._marks += (Header(self._offset, b""), Join(self._offset, chain.time_s))
            self._emit(chain.header())
            self._marks += (Info(chain.offset, None, chain.properties.stats), Header(self._offset, chain.header()))
            self._meter = BitrateMeter(self._offset, chain.time_s, None)
        # The head is held back until the time and, with video, the first video block are there.
        self._held = [unit]
        self._held_size = len(unit)
        self._cluster_left = len(unit) + size if size is not None else 0

    def _hold(self, element_id: int, unit: bytes, content: int) -> None:
        """Holds back an element of a cluster until it is decided whether listeners may start at that cluster."""
        chain = self._chain
        block = chain.note_block(element_id, unit, content)
        self._held.append(unit)
        self._held_size += len(unit)
        video_track = chain.properties.video_track
        if element_id == matroska.TIMESTAMP:
            chain.advance(unsigned(unit[content:]))
        # Without video, any cluster is a join, once its time is known or its first block shows that it has none.
        if video_track is None:
            if element_id == matroska.TIMESTAMP or block is not None:
                self._release_held(is_join=True)
        # With video, the first video block decides.
        elif block is not None and block.track == video_track:
            self._release_held(is_join=block.is_key)
        # The video has stopped.
        if self._held_size > MAX_HELD:
            self._release_held(is_join=False)

    def _release_held(self, *, is_join: bool) -> None:
        """Puts out what is held back of a cluster, if anything, with a join at its start if `is_join`."""
        if not self._held:
            return
        self._lost_in_row = 0
        if is_join:
            self._join(self._chain.time_s)
        self._emit(b"".join(self._held))
        self._held, self._held_size = [], 0

    def _join(self, time_s: float) -> None:
        self._marks.append(Join(self._offset, time_s))
        bitrate = self._meter.measure(self._offset, time_s)
        if bitrate:
            self._marks.append(Info(self._offset, bitrate, self._chain.properties.stats))

    def _emit(self, unit: bytes) -> None:
        self._out.append(unit)
        self._cluster_left = max(self._cluster_left - len(unit), 0)
        self._offset += len(unit)


class _Chain:
    """One EBML document: its header, its properties and its clock."""

    def __init__(self, offset: int, time_s: float) -> None:
        self.offset = offset
        self.has_header = False
        """Whether all bytes before the first cluster have come."""
        self.properties = Properties()
        self._header: list[bytes] = []
        self.header_size = 0
        self._clock = MediaClock(time_s)
        self._cluster_ticks = 0
        self._last_block: Block | None = None

    @property
    def time_s(self) -> float:
        """Media time at which the present cluster begins."""
        return self._clock.time_s

    def end_s(self) -> float:
        """Returns the media time of the last block; the document ends there. Advances the clock to it."""
        if self._last_block is not None:
            self._clock.advance((self._cluster_ticks + self._last_block.ticks) * self.properties.tick_s)
        return self._clock.time_s

    def header(self) -> bytes:
        """Returns what a listener needs before its first cluster."""
        return b"".join(self._header)

    def add_header(self, element_id: int, unit: bytes, content: int) -> None:
        """Adds an element before the first cluster. Raises FormatError."""
        if element_id == matroska.INFO:
            self.properties = matroska.with_info(self.properties, unit[content:])
        elif element_id == matroska.TRACKS:
            self.properties = matroska.with_tracks(self.properties, unit[content:])
        elif element_id == matroska.SEGMENT:
            unit = with_unknown_size(unit, 4)
        self._header.append(unit)
        self.header_size += len(unit)

    def advance(self, ticks: int) -> None:
        """Sets the time of the present cluster."""
        self._cluster_ticks = ticks
        self._clock.advance(ticks * self.properties.tick_s)

    def note_block(self, element_id: int, unit: bytes, content: int) -> Block | None:
        """Keeps the head of a block, for the time at which the document ends, and returns it; None for other elements.
        Raises FormatError.
        """
        if element_id == matroska.SIMPLE_BLOCK:
            self._last_block = matroska.read_simple_block(unit[content : content + matroska.BLOCK_HEAD])
        elif element_id == matroska.BLOCK_GROUP:
            self._last_block = matroska.read_block_group(unit[content:])
        else:
            return None
        return self._last_block
