"""The clusters of WebM and Matroska files that are played one after the other: one document whose time goes on.

A file begins at time 0, knows its length, and has an index of places. In a stream of many rounds none of that is true,
and a second document in the middle stops most players. So the header goes out once, without the length, and again only
if a file has other tracks; the clusters of each round get the times that follow those of the one before, and what
points to places is left out. Clusters become ones of unknown size, since their times may take more bytes. Long ones of
sound, as browsers record them, become several: nobody could join in one, and it would come at once and then not for as
long as it lasts.

The one invariant: the times of clusters never go back.
"""

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.ebml import Parts, children, read_element, read_vint, unsigned, void
from pycast.formats.webm import WebM

_DURATION, _BLOCK_DURATION, _CRC = 0x4489, 0x9B, 0xBF
_SEEK_HEAD, _CUES, _POSITION, _PREV_SIZE, _VOID = 0x114D9B74, 0x1C53BB6B, 0xA7, 0xAB, 0xEC
_LEFT_OUT = frozenset({_SEEK_HEAD, _CUES, _POSITION, _PREV_SIZE, _CRC, _VOID})
"""What says where something is in the file, and checksums of elements that change."""

_LATEST = (1 << 64) - 1

PART_S = 1.0
"""How long a cluster of sound may be."""

_CLUSTER_OF_UNKNOWN_SIZE = matroska.CLUSTER.to_bytes(4) + b"\x01" + b"\xff" * 7


class MatroskaFile:
    """Whole elements, with times that go on through all rounds."""

    def __init__(self) -> None:
        self.end_s = 0.0
        """Up to where the stream goes that has come out, in seconds."""
        self._webm = WebM()
        self._tracks = b""
        """What describes the tracks of the document that comes out."""
        self._tick_s = 0.0
        self._document_s = 0.0
        """Where that document began."""
        self._next = 0
        """The time of it at which the next file begins, in ticks; so are all others."""
        self._begin_document()

    def feed(self, data: bytes) -> bytes:
        """Raises FormatError."""
        out, _ = self._webm.feed(data)
        parts, pos = [], 0
        while pos < len(out):
            # Whole units come out of the parser: of a Segment and a Cluster the head.
            element = read_element(out, pos)
            assert element is not None
            is_head = element.id in (matroska.SEGMENT, matroska.CLUSTER)
            end = element.content + (0 if is_head else element.size or 0)
            parts.append(self._take(element.id, out[pos:end], element.content - pos))
            pos = end
        return b"".join(parts)

    def end_round(self) -> bytes:
        self._webm = WebM()
        self._begin_document()
        return b""

    def _begin_document(self) -> None:
        self._header: list[bytes] | None = []
        """The elements before the first cluster; None after that."""
        self._found = b""
        self._is_sound = False
        self._found_tick_s = matroska.Properties().tick_s
        self._shift: int | None = None
        """What is added to the times of clusters; None before the first one."""
        self._cluster = self._part = 0
        """When the present cluster begins, and its part."""
        self._last: dict[int, int] = {}
        """When the last block of each track begins."""

    def _take(self, kind: int, unit: bytes, content: int) -> bytes:
        """Returns what takes the place of an element. Raises FormatError."""
        if kind == matroska.EBML and self._header is None:  # several documents in one file
            self._begin_document()
        if kind == matroska.CLUSTER:
            return self._begin_clusters() + _CLUSTER_OF_UNKNOWN_SIZE
        if kind in _LEFT_OUT:
            return b""
        if self._header is not None:
            self._header.append(self._of_header(kind, unit, content))
            return b""
        if kind == matroska.TIMESTAMP:
            return self._timestamp(unsigned(unit[content:]))
        if kind in (matroska.SIMPLE_BLOCK, matroska.BLOCK_GROUP):
            return self._placed(kind, unit, content)
        return unit

    def _of_header(self, kind: int, unit: bytes, content: int) -> bytes:
        """Returns an element before the first cluster, without what is not true of a stream."""
        if kind == matroska.TRACKS:
            self._found = unit
            self._is_sound = matroska.with_tracks(matroska.Properties(), unit[content:]).video_track is None
        elif kind == matroska.INFO:
            self._found_tick_s = matroska.with_info(matroska.Properties(), unit[content:]).tick_s
            return _without_length(unit, content)
        return unit

    def _begin_clusters(self) -> bytes:
        """Returns the header before the first cluster of a file, if it is another one."""
        if self._header is None:
            return b""
        header, self._header = b"".join(self._header), None
        if (self._found, self._found_tick_s) == (self._tracks, self._tick_s):
            return b""
        self._tracks, self._tick_s = self._found, self._found_tick_s
        self._document_s, self._next = self.end_s, 0
        return header

    def _timestamp(self, ticks: int) -> bytes:
        """Returns the time of a cluster, which was `ticks` in the file. Raises FormatError."""
        if self._shift is None:
            self._shift = self._next - ticks
        self._cluster = self._part = max(ticks + self._shift, 0)
        return _timestamp(self._cluster)

    def _placed(self, kind: int, unit: bytes, content: int) -> bytes:
        """Returns a block, behind the head of a cluster of its own if the one before is long enough. Raises
        FormatError.
        """
        lasts = 0
        if kind == matroska.SIMPLE_BLOCK:
            block = matroska.read_simple_block(unit[content : content + matroska.BLOCK_HEAD])
        else:
            block = matroska.read_block_group(unit[content:])
            fields = dict(children(unit, content, len(unit), Parts()))
            lasts = unsigned(fields.get(_BLOCK_DURATION, b""))
        begin = self._cluster + block.ticks
        self._note_end(block.track, begin, lasts)
        before = b""
        if self._is_sound and (begin - self._part) * self._tick_s >= PART_S:
            self._part = begin
            before = _CLUSTER_OF_UNKNOWN_SIZE + _timestamp(begin)
        return before + (unit if self._part == self._cluster else _with_ticks(unit, kind, content, begin - self._part))

    def _note_end(self, track: int, begin: int, lasts: int) -> None:
        """Notes until when a block lasts: as long as the one before, unless it says so."""
        lasts = lasts or max(begin - self._last.get(track, begin), 0)
        self._last[track] = begin
        self._next = max(self._next, begin + lasts)
        self.end_s = self._document_s + self._next * self._tick_s


def _timestamp(ticks: int) -> bytes:
    if ticks > _LATEST:
        raise FormatError("a cluster of the WebM file has a time beyond all numbers")
    return b"\xe7\x88" + ticks.to_bytes(8)


def _with_ticks(unit: bytes, kind: int, content: int, ticks: int) -> bytes:
    """Returns a block with another time, counted from its cluster's."""
    if kind == matroska.BLOCK_GROUP:
        content = matroska.block_in_group(unit, content)
    _, at = read_vint(unit, content)
    return unit[:at] + max(ticks, -0x8000).to_bytes(2, signed=True) + unit[at + 2 :]


def _without_length(info: bytes, content: int) -> bytes:
    """Returns an Info element with empty elements in place of its length and its checksum."""
    parts, pos = [info[:content]], content
    while pos < len(info):
        element = read_element(info, pos)
        end = len(info) if element is None else min(element.content + (element.size or 0), len(info))
        is_wrong = element is not None and element.id in (_DURATION, _CRC) and end - pos >= 2
        parts.append(void(end - pos) if is_wrong else info[pos:end])
        pos = end
    return b"".join(parts)
