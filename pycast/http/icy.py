"""Titles inside the audio: ICY blocks, written and read.

A block follows every `metaint` bytes of audio: one length byte L and 16 x L bytes, `StreamTitle='…';StreamUrl='…';`
padded with NULs. There is no escaping: readers end the title at the first `';`. Icecast always leaves at least one
NUL, so L = P // 16 + 1 for P bytes of text (a text of 16 bytes takes L = 2), and some players rely on that end. L = 0
means nothing new.

Which block a listener gets, and where, is decided in `stream/views.py`.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from pycast.errors import BodyError
from pycast.http.charset import decode_damaged, encode
from pycast.http.titles import cut
from pycast.patterns import pattern

EMPTY_BLOCK = b"\0"
"""The block that says that the title has not changed."""

BLANK_TITLE_BLOCK = b"\x01StreamTitle='';\0"
"""What a stream without a title sends at its first boundary."""

_LONGEST_TEXT = 255 * 16 - 1
_KEYS = (b"StreamTitle='", b"StreamUrl='")
_KEY = pattern(rb"\s*Stream[A-Za-z]{1,20}\s*=", re.IGNORECASE)

LONGEST_METAINT = 1 << 24
"""As for `mp3_metadata_interval`."""


def title_block(text: str, url: str = "", charset: str = "UTF-8") -> bytes:
    """Returns the block for a title. It holds 4,079 bytes with the syntax: if both do not fit, the URL is left out, as
    it would lead nowhere if it were cut; a title that is too long is cut at a whole character.
    """
    if b"\0" in encode("StreamTitle", charset):  # UTF-16 and the like: a reader would take the first NUL for the end
        charset = "UTF-8"
    raw = _payload(text, url, charset)
    if len(raw) > _LONGEST_TEXT:
        room = _LONGEST_TEXT - len(_payload("", "", charset))
        raw = _payload(cut(text, room, lambda part: len(encode(part, charset))), "", charset)
    units = len(raw) // 16 + 1
    return bytes((units,)) + raw.ljust(units * 16, b"\0")


def _payload(text: str, url: str, charset: str) -> bytes:
    payload = f"StreamTitle='{text}';" + (f"StreamUrl='{url}';" if url else "")
    return encode(payload.replace("\0", ""), charset)


def decode_title(raw: bytes, charset: str | None = None) -> str:
    """Returns the text of a title from an encoder: in the charset it names, else UTF-8, else Latin-1."""
    return decode_damaged(raw, charset).replace("\0", "")


class IcyTitle(NamedTuple):
    """A block that is not empty. `raw` is its text with the padding, as it is in the stream."""

    text: str
    url: str
    raw: bytes


class InlineTitles:
    """Takes the titles out of a source's audio. Of what is fed at once only the last title counts, and only if it is
    another one than before: a source that sends a block after each byte costs no more than any other.
    """

    __slots__ = ("_charset", "_reader", "_title")

    def __init__(self, metaint: int, charset: str = "") -> None:
        self._reader = IcyReader(metaint)
        self._charset = charset or None
        self._title = ("", "")

    def feed(self, data: bytes) -> list[bytes | IcyTitle]:
        """Returns the audio, cut where a new title begins, and that title. Raises BodyError if where a block should be
        there is something else: the source is out of step, and what follows is no audio.
        """
        before, after, title = bytearray(), bytearray(), None
        for part in self._reader.feed(data):
            if isinstance(part, bytes):
                after += part
            elif part.raw.strip(b"\0"):
                title = self._checked(part)
                before += after
                after.clear()
        if title is None or (title.text, title.url) == self._title:
            return [bytes(before + after)]
        self._title = (title.text, title.url)
        return [part for part in (bytes(before), title, bytes(after)) if part]

    def _checked(self, block: IcyTitle) -> IcyTitle:
        raw = block.raw.rstrip(b"\0")
        if not _KEY.match(raw):
            raise BodyError("no title where icy-metaint says", cause=f"a block of {len(raw)} bytes that is no title")
        title, url = (decode_title(_value(raw, key), self._charset) for key in _KEYS)
        return IcyTitle(title, url, block.raw)


def source_metaint(headers: Iterable[tuple[str, str]]) -> int:
    """Returns after how many bytes of audio each a source says that it sends a title; 0 if it does not."""
    text = dict(headers).get("icy-metaint", "").strip()
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return value if value <= LONGEST_METAINT else 0


class IcyReader:
    """A parser of streams with title blocks. Holds at most one block."""

    __slots__ = ("_audio_left", "_block", "_block_left", "_metaint")

    def __init__(self, metaint: int) -> None:
        if metaint < 1:
            raise ValueError("metaint must be at least 1")
        self._metaint = metaint
        self._audio_left = metaint
        self._block = bytearray()
        self._block_left = 0

    def feed(self, data: bytes) -> list[bytes | IcyTitle]:
        """Returns audio and titles in the order of the stream."""
        found: list[bytes | IcyTitle] = []
        at = 0
        while at < len(data):
            if self._audio_left:
                audio = data[at : at + self._audio_left]
                self._audio_left -= len(audio)
                at += len(audio)
                found.append(audio)
            elif self._block_left:
                at = self._read_block(data, at, found)
            else:
                self._block_left = data[at] * 16
                self._audio_left = 0 if self._block_left else self._metaint
                at += 1
        return found

    def _read_block(self, data: bytes, at: int, found: list[bytes | IcyTitle]) -> int:
        piece = data[at : at + self._block_left]
        self._block += piece
        self._block_left -= len(piece)
        if not self._block_left:
            found.append(_parse_block(bytes(self._block)))
            self._block.clear()
            self._audio_left = self._metaint
        return at + len(piece)


def _parse_block(raw: bytes) -> IcyTitle:
    text = raw.rstrip(b"\0")
    title, url = (decode_title(_value(text, key)) for key in _KEYS)
    return IcyTitle(title, url, raw)


def _value(text: bytes, key: bytes) -> bytes:
    """Returns what is between `key` and the next `';`, or up to the end if there is none."""
    start = text.find(key)
    if start < 0:
        return b""
    start += len(key)
    end = text.find(b"';", start)
    return text[start:end] if end >= 0 else text[start:].removesuffix(b"'")
