"""The metadata blocks of native FLAC, read as they arrive, without what is too large for listeners (RFC 9639).

The one invariant: what is kept has at most `MAX_BLOCKS` bytes and a comment block, however much is sent or claimed.
"""

from struct import Struct

from pycast.formats.comments import CommentReader
from pycast.formats.tags import artist_and_title

MAX_BLOCKS = 256 * 1024
"""Most bytes of blocks that are sent on: half of what a listener may be behind by default."""

MOST_BLOCKS = 300
"""Blocks that are kept. A file has some five."""

_MAGIC = b"fLaC"
_HEAD_SIZE = 4
_LAST = 0x80
_STREAMINFO, _COMMENTS, _PICTURE, _LARGEST_KIND = 0, 4, 6, 6
_PROPERTIES = Struct(">I")
_PROPERTIES_AT, _TOTAL_AT = 10, 13


class FlacMetadata:
    """Reads one file's blocks, from `fLaC` and STREAMINFO on, which have to be there."""

    def __init__(self) -> None:
        self.is_complete = False
        """Whether the last block has come."""
        self.is_broken = False
        """Whether there is something that is no block."""
        self.size = 0
        """Bytes so far."""
        self.tags = ("", "")
        """Artist and title."""
        self.rate = 0
        self.channels = 0
        self._held = bytearray()
        self._left = -len(_MAGIC)
        """Bytes of the present block that have not come yet; less than 0: so many of a head."""
        self._kind = 0
        self._parts: list[bytes] = []
        self._is_kept = False
        self._comments: CommentReader | None = None
        self._room = MAX_BLOCKS
        self._blocks: list[tuple[int, bytes]] = []

    def feed(self, data: bytes) -> bytes:
        """Takes the next bytes; returns those behind the last block, or behind what is none."""
        pos = 0
        while pos < len(data) and not (self.is_complete or self.is_broken):
            piece = data[pos : pos + abs(self._left)]
            pos += len(piece)
            if self._left < 0:
                self._take_head(piece)
            else:
                self._take_content(piece)
        self.size += pos
        return data[pos:]

    def blocks(self) -> bytes:
        """Returns all blocks that are not too large, with `fLaC` before them."""
        return _joined(self._blocks)

    def header(self) -> bytes:
        """Returns the blocks that a listener needs that comes later: of a part, neither length nor digest are right."""
        info = self._blocks[0][1]
        unknown = info[:_TOTAL_AT] + bytes([info[_TOTAL_AT] & 0xF0]) + bytes(len(info) - _TOTAL_AT - 1)
        others = [one for one in self._blocks[1:] if one[0] in (_COMMENTS, _PICTURE)]
        return _joined([(_STREAMINFO, unknown), *others])

    def _take_head(self, piece: bytes) -> None:
        self._held += piece
        self._left += len(piece)
        if self._left:
            return
        head, self._held = bytes(self._held), bytearray()
        if head == _MAGIC and not self._blocks:
            self._left = -_HEAD_SIZE
            return
        self._kind = head[0]
        self._left = int.from_bytes(head[1:])
        kind = self._kind & ~_LAST
        self.is_broken = kind > _LARGEST_KIND or (kind == _STREAMINFO) == bool(self._blocks)
        self._is_kept = self._left + _HEAD_SIZE <= self._room and len(self._blocks) < MOST_BLOCKS
        self._comments = CommentReader() if kind == _COMMENTS else None
        if not self._left and not self.is_broken:
            self._end_block()

    def _take_content(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._is_kept:
            self._parts.append(piece)
        if self._comments is not None:
            self._comments.feed(piece)
        if not self._left:
            self._end_block()

    def _end_block(self) -> None:
        content, self._parts = b"".join(self._parts), []
        if self._comments is not None:
            small = self._comments.block()
            if not self._is_kept:
                content, self._is_kept = small, len(self._blocks) < MOST_BLOCKS
            if self.tags == ("", ""):
                self.tags = artist_and_title(small)
        if not self._blocks:
            (packed,) = _PROPERTIES.unpack_from(content, _PROPERTIES_AT)
            self.rate, self.channels = packed >> 12, (packed >> 9 & 7) + 1
            self.is_broken = not self.rate
        if self._is_kept:
            self._blocks.append((self._kind & ~_LAST, content))
            self._room -= _HEAD_SIZE + len(content)
        self.is_complete = bool(self._kind & _LAST)
        self._left = -_HEAD_SIZE


def _joined(blocks: list[tuple[int, bytes]]) -> bytes:
    heads = [kind | (_LAST if at == len(blocks) - 1 else 0) for at, (kind, _) in enumerate(blocks)]
    pairs = zip(heads, blocks, strict=True)
    parts = [bytes([head]) + len(content).to_bytes(_HEAD_SIZE - 1) + content for head, (_, content) in pairs]
    return _MAGIC + b"".join(parts)
