"""WebM and Matroska streams: whole elements in, whole elements and marks out, through any number of chained files.

Of a Segment or a Cluster only the head is a unit: so a cluster passes block by block, whether its size is known or not.
A listener gets the bytes before the first cluster (EBML head, Segment, Tracks …) and starts at a cluster. With video it
starts only at a cluster whose first video block is a key frame, so the beginning of each cluster is held back until
that block has arrived. The one invariant: what comes out, joined, is what came in, without the last incomplete element
and the cluster that is held back.

The header for listeners differs from the stream in one respect: a Segment of known size (a file is streamed) becomes
one of unknown size there, because a listener does not get all of it.
"""

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.clock import BitrateMeter, MediaClock
from pycast.formats.ebml import Element, read_element, unsigned, with_unknown_size
from pycast.formats.marks import Header, Info, Join, Mark
from pycast.formats.matroska import Block, Properties

MAX_HEADER = 1024 * 1024
"""Most bytes before the first cluster. Icecast allows 128 KiB; attachments may need more."""

MAX_UNIT = 4 * 1024 * 1024
"""Most bytes of one element. A key frame of 4K video has about 1 MB."""

MAX_HELD = 64 * 1024
"""Most bytes held back for a first video block. They are 4 s of audio, and encoders interleave within a fraction of a
second: after that many the video has stopped, and the audio must not stop with it."""

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
        """Returns whole elements and the marks in them. Raises FormatError."""
        self._out, self._marks = [], []
        self._buf += data
        if len(self._buf) >= self._need:
            buf = bytes(self._buf)
            del self._buf[: self._walk(buf)]
        return b"".join(self._out), self._marks

    def _walk(self, buf: bytes) -> int:
        """Takes all units in `buf`; returns where the first incomplete one begins and sets `_need` to its size."""
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
        """Returns the size of the unit that begins with `element` at `pos`. Raises FormatError."""
        head_size = element.content - pos
        if element.id in (matroska.SEGMENT, matroska.CLUSTER):
            return head_size
        if element.size is None:
            raise FormatError("a Matroska element that must have a size has none")
        size = head_size + element.size
        if size > MAX_UNIT:
            raise FormatError("a Matroska element that is too large")
        if element.id != matroska.EBML:
            self._chain.check_room(size)
        return size

    def _take(self, element_id: int, unit: bytes, content: int) -> None:
        """Takes one unit: an element whose content begins at `content`, or the head of a Segment or Cluster."""
        chain = self._chain
        # The head of another document: it brings its own header, and listeners may start at it.
        if element_id == matroska.EBML:
            self._release_held(is_join=False)
            chain = self._chain = _Chain(self._offset, chain.end_s())
            self._marks += (Header(self._offset, b""), Join(self._offset, chain.time_s))
        if element_id == matroska.CLUSTER:
            self._begin_cluster(unit)
        # All before the first cluster is the header for listeners.
        elif not chain.has_header:
            chain.add_header(element_id, unit, content)
            self._emit(unit)
        # The beginning of a cluster: held back until it is decided.
        elif self._held:
            self._hold(element_id, unit, content)
        # The rest of a cluster.
        else:
            chain.note_block(element_id, unit, content)
            self._emit(unit)

    def _begin_cluster(self, unit: bytes) -> None:
        # The cluster before, if it is still undecided, is no join.
        self._release_held(is_join=False)
        # With the first cluster the header is complete.
        chain = self._chain
        if not chain.has_header:
            chain.has_header = True
            self._marks += (Info(chain.offset, None, chain.properties.stats), Header(self._offset, chain.header()))
            self._meter = BitrateMeter(self._offset, chain.time_s, None)
        # The head is held back until the time and, with video, the first video block are there.
        self._held = [unit]
        self._held_size = len(unit)

    def _hold(self, element_id: int, unit: bytes, content: int) -> None:
        """Holds back an element of a cluster until it is decided whether listeners may start at that cluster."""
        chain = self._chain
        self._held.append(unit)
        self._held_size += len(unit)
        block = chain.note_block(element_id, unit, content)
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
        """Whether all bytes before the first cluster have come."""
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
        """Returns the media time of the last block; the document ends there. Advances the clock to it."""
        if self._last_block is not None:
            self._clock.advance((self._cluster_ticks + self._last_block.ticks) * self.properties.tick_s)
        return self._clock.time_s

    def header(self) -> bytes:
        """Returns what a listener needs before its first cluster."""
        return b"".join(self._header)

    def check_room(self, size: int) -> None:
        """Raises FormatError if an element of this size is too much for the header. Before it is read, not after."""
        if not self.has_header and self._header_size + size > MAX_HEADER:
            raise FormatError("no cluster in the first MiB of the Matroska stream")

    def add_header(self, element_id: int, unit: bytes, content: int) -> None:
        """Adds an element before the first cluster. Raises FormatError."""
        if element_id == matroska.INFO:
            self.properties = matroska.with_info(self.properties, unit[content:])
        elif element_id == matroska.TRACKS:
            self.properties = matroska.with_tracks(self.properties, unit[content:])
        elif element_id == matroska.SEGMENT:
            unit = with_unknown_size(unit, 4)
        self._header.append(unit)
        self._header_size += len(unit)

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
