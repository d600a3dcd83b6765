"""WebM and Matroska streams: whole elements in, whole elements and marks out, through any number of chained files.

Segment and Cluster are entered: only their heads are units, so a cluster passes through block by block whether its size
is known or not. A listener gets the bytes before the first cluster (EBML head, Segment, Tracks …) and starts at a
cluster; with video only at one whose first video block is a key frame, so such a cluster is held back until that block
has arrived. The one invariant: out, joined, is what came in, less the last incomplete element and an undecided cluster.

The header for listeners differs from the stream in one respect: a Segment of known size (somebody streams a file)
becomes one of unknown size there, because a listener does not get all of it.
"""

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.clock import BitrateMeter, MediaClock
from pycast.formats.ebml import Element, read_element, unsigned, with_unknown_size
from pycast.formats.marks import Header, Info, Join, Mark
from pycast.formats.matroska import Block, Properties

MAX_HEADER = 1024 * 1024
"""Bytes before the first cluster. Icecast allows 128 KiB; attachments may need more."""

MAX_UNIT = 4 * 1024 * 1024
"""Bytes of one element. A key frame of 4K video has about 1 MB."""

MAX_HELD = 64 * 1024
"""Bytes that a cluster waits for its first video block: 4 s of audio, where an encoder interleaves within a fraction of
one. After that the video has stopped, and the audio must not stop with it."""

_MAGIC = matroska.EBML.to_bytes(4)


class WebM:
    """Matroska elements. Raises FormatError for a stream that is not Matroska, or is broken."""

    family = "webm"

    def __init__(self, base: int = 0) -> None:
        self.warning = ""
        self._buf = bytearray()
        self._need = len(_MAGIC)
        self._is_started = False
        self._offset = base
        self._out: list[bytes] = []
        self._marks: list[Mark] = []
        self._chain = _Chain(base, 0.0)
        self._held: list[bytes] = []
        self._held_size = 0
        self._meter = BitrateMeter(base, 0.0, None)

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Return whole elements and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        self._buf += data
        if len(self._buf) >= self._need:
            buf = bytes(self._buf)
            del self._buf[: self._walk(buf)]
        return b"".join(self._out), self._marks

    def _walk(self, buf: bytes) -> int:
        """Take all units in `buf`; returns where the first incomplete one begins and sets `_need` to its size."""
        if not self._is_started and not buf.startswith(_MAGIC):
            raise FormatError("not a WebM or Matroska stream")
        self._is_started = True
        pos = 0
        while True:
            element = read_element(buf, pos)
            if element is None:
                self._need = len(buf) - pos + 1
                return pos
            size = self._unit_size(element, pos)
            if pos + size > len(buf):
                self._need = size
                return pos
            self._take(element.id, buf[pos : pos + size], element.content - pos)
            pos += size

    def _unit_size(self, element: Element, pos: int) -> int:
        """Bytes of the unit that begins with `element` at `pos`."""
        head_size = element.content - pos
        if element.id in (matroska.SEGMENT, matroska.CLUSTER):
            return head_size
        if element.size is None:
            raise FormatError("a Matroska element that must have a size has none")
        if head_size + element.size > MAX_UNIT:
            raise FormatError("a Matroska element that is too large")
        return head_size + element.size

    def _take(self, element_id: int, unit: bytes, content: int) -> None:
        """One unit: an element whose content begins at `content`, or the head of a Segment or Cluster."""
        chain = self._chain
        if element_id == matroska.EBML:
            self._reconcile(is_join=False)
            chain = self._chain = _Chain(self._offset, chain.end_s())
            self._marks += (Header(self._offset, b""), Join(self._offset, chain.time_s))
        if element_id == matroska.CLUSTER:
            self._begin_cluster(unit)
        elif not chain.has_header:
            chain.add_header(element_id, unit, content)
            self._emit(unit)
        elif self._held:
            self._hold(element_id, unit, content)
        else:
            chain.note_block(element_id, unit, content)
            self._emit(unit)

    def _begin_cluster(self, unit: bytes) -> None:
        self._reconcile(is_join=False)
        chain = self._chain
        if not chain.has_header:
            chain.has_header = True
            self._marks += (Info(chain.offset, None, chain.properties.stats), Header(self._offset, chain.header()))
            self._meter = BitrateMeter(self._offset, chain.time_s, None)
        self._held = [unit]
        self._held_size = len(unit)

    def _hold(self, element_id: int, unit: bytes, content: int) -> None:
        """An element of a cluster of which it is not decided yet whether listeners may start there."""
        chain = self._chain
        self._held.append(unit)
        self._held_size += len(unit)
        block = chain.note_block(element_id, unit, content)
        video_track = chain.properties.video_track
        if element_id == matroska.TIMESTAMP:
            chain.advance(unsigned(unit[content:]))
        if video_track is None:
            if element_id == matroska.TIMESTAMP or block is not None:
                self._reconcile(is_join=True)
        elif block is not None and block.track == video_track:
            self._reconcile(is_join=block.is_key)
        if self._held_size > MAX_HELD:
            self._reconcile(is_join=False)

    def _reconcile(self, *, is_join: bool) -> None:
        """Let go of the cluster that is held back, if there is one."""
        if not self._held:
            return
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
        self._offset += len(unit)


class _Chain:
    """One EBML document: its header, its properties and its clock."""

    def __init__(self, offset: int, time_s: float) -> None:
        self.offset = offset
        self.has_header = False
        """All bytes before the first cluster are in."""
        self.properties = Properties()
        self._header: list[bytes] = []
        self._header_size = 0
        self._clock = MediaClock(time_s)
        self._cluster_ticks = 0
        self._last_block: Block | None = None

    @property
    def time_s(self) -> float:
        """Media time at which the present cluster begins."""
        return self._clock.time_s

    def end_s(self) -> float:
        """Media time that the last block has reached."""
        if self._last_block is not None:
            self._clock.advance((self._cluster_ticks + self._last_block.ticks) * self.properties.tick_s)
        return self._clock.time_s

    def header(self) -> bytes:
        """What a listener needs before its first cluster."""
        return b"".join(self._header)

    def add_header(self, element_id: int, unit: bytes, content: int) -> None:
        """Take an element before the first cluster. Raises FormatError."""
        if element_id == matroska.INFO:
            self.properties = matroska.with_info(self.properties, unit[content:])
        elif element_id == matroska.TRACKS:
            self.properties = matroska.with_tracks(self.properties, unit[content:])
        elif element_id == matroska.SEGMENT:
            unit = with_unknown_size(unit, 4)
        self._header.append(unit)
        self._header_size += len(unit)
        if self._header_size > MAX_HEADER:
            raise FormatError("no cluster in the first MiB of the Matroska stream")

    def advance(self, ticks: int) -> None:
        """A cluster tells its time."""
        self._cluster_ticks = ticks
        self._clock.advance(ticks * self.properties.tick_s)

    def note_block(self, element_id: int, unit: bytes, content: int) -> Block | None:
        """Remember a block, for the time at which the chain ends. Raises FormatError."""
        if element_id == matroska.SIMPLE_BLOCK:
            self._last_block = matroska.read_simple_block(unit[content:])
        elif element_id == matroska.BLOCK_GROUP:
            self._last_block = matroska.read_block_group(unit[content:])
        else:
            return None
        return self._last_block
