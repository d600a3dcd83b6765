"""The clusters of WebM and Matroska files that are played one after the other: one document whose time goes on.

A file begins at time 0, knows its length, and has an index of places. In a stream of many rounds none of that is true,
and a second document in the middle stops most players. So the header goes out once, without the length, and again only
if a file has other tracks; the clusters of each round get the times that follow those of the one before, and what
points to places is left out. Clusters become ones of unknown size, since their times may take more bytes.

The one invariant: the times of clusters never go back.
"""

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.ebml import Parts, children, read_element, unsigned, void
from pycast.formats.webm import WebM

_DURATION, _BLOCK_DURATION, _CRC = 0x4489, 0x9B, 0xBF
_SEEK_HEAD, _CUES, _POSITION, _PREV_SIZE, _VOID = 0x114D9B74, 0x1C53BB6B, 0xA7, 0xAB, 0xEC
_LEFT_OUT = frozenset({_SEEK_HEAD, _CUES, _POSITION, _PREV_SIZE, _CRC, _VOID})
"""What says where something is in the file, and checksums of elements that change."""

_LATEST = (1 << 64) - 1

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
        self._found_tick_s = matroska.Properties().tick_s
        self._shift: int | None = None
        """What is added to the times of clusters; None before the first one."""
        self._cluster = 0
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
        self._note(kind, unit, content)
        return unit

    def _of_header(self, kind: int, unit: bytes, content: int) -> bytes:
        """Returns an element before the first cluster, without what is not true of a stream."""
        if kind == matroska.TRACKS:
            self._found = unit
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
        self._cluster = max(ticks + self._shift, 0)
        if self._cluster > _LATEST:
            raise FormatError("a cluster of the WebM file has a time beyond all numbers")
        return b"\xe7\x88" + self._cluster.to_bytes(8)

    def _note(self, kind: int, unit: bytes, content: int) -> None:
        """Notes until when a block lasts: as long as the one before, unless it says so. Raises FormatError."""
        lasts = 0
        if kind == matroska.SIMPLE_BLOCK:
            block = matroska.read_simple_block(unit[content : content + matroska.BLOCK_HEAD])
        elif kind == matroska.BLOCK_GROUP:
            block = matroska.read_block_group(unit[content:])
            fields = dict(children(unit, content, len(unit), Parts()))
            lasts = unsigned(fields.get(_BLOCK_DURATION, b""))
        else:
            return
        begin = self._cluster + block.ticks
        lasts = lasts or max(begin - self._last.get(block.track, begin), 0)
        self._last[block.track] = begin
        self._next = max(self._next, begin + lasts)
        self.end_s = self._document_s + self._next * self._tick_s


def _without_length(info: bytes, content: int) -> bytes:
    """Returns an Info element with empty elements in place of its length and its checksum."""
    parts, pos = [info[:content]], content
    while pos < len(info):
        element = read_element(info, pos)
        end = len(info) if element is None else element.content + (element.size or 0)
        is_wrong = element is not None and element.id in (_DURATION, _CRC) and end - pos >= 2
        parts.append(void(end - pos) if is_wrong else info[pos:end])
        pos = end
    return b"".join(parts)
