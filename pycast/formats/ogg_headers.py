"""The header packets of one logical Ogg stream, read as they arrive, without what is too large for listeners.

Comments may hold a cover picture of many megabytes, and so may a metadata block of FLAC. A listener would fall behind
for it, and a mount would have to keep it, so a stream with such headers is sent on with small ones, on pages of their
own. The one invariant: what is kept has at most `MAX_HEADER_PACKETS` bytes, however much is sent or claimed.
"""

from pycast.formats.comments import CommentReader
from pycast.formats.ogg_codecs import FLAC_BLOCK_HEAD, BrokenHeaders, Codec
from pycast.formats.tags import artist_and_title

MAX_HEADER_PACKETS = 256 * 1024
"""Most bytes of header packets: half of what a listener may be behind by default. Setup headers have some kilobytes."""

MOST_PACKETS = 300
"""Header packets. Kate may have 255, FLAC 129."""

_FLAC_LAST = 0x80
_FLAC_PADDING = 1


class HeaderPackets:
    """Reads the header packets after the first one."""

    def __init__(self, codec: Codec) -> None:
        self.is_complete = codec.header_packets == 1
        """Whether the last one has come."""
        self.is_within = False
        """Whether a packet has begun and not ended yet."""
        self.tags = ("", "")
        """Artist and title."""
        self.packets: list[bytes] = []
        """Those that have ended. Comments are without what is too long."""
        self._codec = codec
        self._count = 1
        self._kept = 0
        self._begin = b""
        self._parts: list[bytes] = []
        self._parts_size = 0
        self._comments: CommentReader | None = None
        self._is_left_out = False

    def feed(self, piece: bytes, *, is_end: bool) -> None:
        """Takes part of a packet. Raises BrokenHeaders if there is too much that cannot be left out."""
        if not self.is_within:
            # Packets without a byte are none.
            if not piece:
                return
            self._open(piece)
        elif self._comments is not None:
            self._comments.feed(piece)
        else:
            self._add(piece)
        if is_end:
            self._close()

    def _open(self, piece: bytes) -> None:
        self._count += 1
        if self._count > MOST_PACKETS:
            raise BrokenHeaders(f"too many headers of {self._codec.name or 'an unknown codec'} in the Ogg stream")
        self.is_within, self._begin = True, piece
        at = self._codec.comments_at(piece, self._count)
        if at is None:
            self._add(piece)
            return
        self._comments = CommentReader()
        self._comments.feed(piece[at:])

    def _add(self, piece: bytes) -> None:
        """Keeps a part of a packet that is no comment."""
        self._parts_size += len(piece)
        self._parts.append(piece)
        if self._kept + self._parts_size > MAX_HEADER_PACKETS:
            # FLAC's decoders need only the first packet; all others need all but the comments.
            if self._codec.name != "FLAC":
                raise BrokenHeaders(f"too large a header of {self._codec.name or 'an unknown codec'} in the Ogg stream")
            self._is_left_out, self._parts = True, []

    def _close(self) -> None:
        if self._comments is not None:
            packet = self._comments_packet(self._comments.block())
        elif self._is_left_out:
            # A block in its place: the first packet may have their number.
            packet = flac_block(self._begin[0] & _FLAC_LAST | _FLAC_PADDING, b"")
        else:
            packet = b"".join(self._parts)
        self.packets.append(packet)
        self._kept += len(packet)
        self.is_complete = self.is_complete or self._codec.is_last_header(self._begin, self._count)
        self.is_within, self._is_left_out, self._comments = False, False, None
        self._parts, self._parts_size = [], 0

    def _comments_packet(self, block: bytes) -> bytes:
        """Returns a packet like the one that begins with `_begin`, with `block` as comments, and notes the tags."""
        if self.tags == ("", ""):
            self.tags = artist_and_title(block)
        codec = self._codec
        if codec.name == "FLAC":
            return flac_block(self._begin[0], block)
        framing = b"\x01" if codec.name == "Vorbis" else b""
        return codec.comment_head + block + framing


def flac_block(kind: int, content: bytes) -> bytes:
    """Returns a metadata block of FLAC."""
    return bytes([kind]) + len(content).to_bytes(FLAC_BLOCK_HEAD - 1) + content
