"""A Vorbis comment block, read as it arrives: what is small in it is kept, what is large passes by.

A comment may hold a cover picture of many megabytes. Nothing of a long one is ever held in memory, so a block costs no
more than `MAX_KEPT`, however long it is or claims to be. The one invariant: `block` is a valid comment block.
"""

from struct import Struct

from pycast.characters import clean_line

MAX_FIELD = 16 * 1024
"""Most bytes of one comment that is kept: texts are shorter, lyrics included."""

MAX_KEPT = 64 * 1024
"""Most bytes that are kept of a block."""

MAX_FIELDS = 1000
"""Comments that are kept. Songs have some twenty; a block of 1 MiB could have a hundred thousand, and reading them
would take a second."""

MAX_TEXT = 4000
"""Characters of an artist or a title: no mount keeps more."""

_SIZE = Struct("<I")


_OF_THE_STATION = (b"ENCODER", b"SERVER", b"ORGANIZATION", b"R128_", b"REPLAYGAIN_", b"WAVEFORMATEXTENSIBLE_")
"""How comments begin that are not about a song."""


def with_song(block: bytes, artist: str, title: str) -> bytes:
    """Returns a block with another song in it. What `block` has about the one before, its album and cover too, is left
    out."""
    reader = CommentReader()
    reader.feed(block)
    reader.set_song(artist, title)
    return reader.block()


class CommentReader:
    """A parser: pieces of a block in, a small block out. What comes after the comments is left out."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._skip = 0
        self._vendor: bytes | None = None
        self._left: int | None = None
        self._fields: list[bytes] = []
        self._room = MAX_KEPT

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of the block."""
        # The rest of a long comment.
        skipped = min(self._skip, len(data))
        self._skip -= skipped
        if self._left == 0 or skipped == len(data):
            return
        self._held += data[skipped:]
        pos = 0
        while self._left != 0 and (end := self._next(pos)) > pos:
            pos = end
        self._skip = max(pos - len(self._held), 0)
        del self._held[:pos]

    def block(self) -> bytes:
        """Returns the comments that have come so far and are not too long, as a block without framing bit."""
        vendor = self._vendor or b""
        fields = [_SIZE.pack(len(field)) + field for field in self._fields]
        return b"".join((_SIZE.pack(len(vendor)), vendor, _SIZE.pack(len(fields)), *fields))

    def set_song(self, artist: str, title: str) -> None:
        """Replaces all that is about a song. The names are in small letters if those of the encoder are: they may be in
        any, but scripts (liquidsoap's `m["title"]`) look for the one that they saw before.
        """
        is_small = any(field.startswith((b"artist=", b"title=")) for field in self._fields)
        kept = [field for field in self._fields if field.upper().startswith(_OF_THE_STATION)]
        texts = ((b"ARTIST=", clean_line(artist)[:MAX_TEXT]), (b"TITLE=", clean_line(title)[:MAX_TEXT]))
        song = [(name, text.encode("utf-8", "replace")) for name, text in texts if text]
        self._fields = [(name.lower() if is_small else name) + text for name, text in song] + kept

    def _next(self, pos: int) -> int:
        """Reads the vendor's name, the number of comments, or a comment at `pos`. Returns its end, which is `pos` if it
        is not complete, and may be behind the bytes that are there."""
        held, begin = self._held, pos + _SIZE.size
        if begin > len(held):
            return pos
        (size,) = _SIZE.unpack_from(held, pos)
        if self._vendor is not None and self._left is None:
            self._left = min(size, MAX_FIELDS)
            return begin
        is_kept = size <= min(MAX_FIELD, self._room)
        if is_kept and begin + size > len(held):
            return pos
        text = bytes(held[begin : begin + size]) if is_kept else b""
        self._room -= len(text)
        if self._vendor is None:
            self._vendor = text
        else:
            assert self._left is not None
            self._left -= 1
            if is_kept:
                self._fields.append(text)
        return int(begin + size)
