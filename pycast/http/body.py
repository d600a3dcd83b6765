"""Bodies: what follows a head, without its framing.

`new_body(request)` chooses one of three classes with the same interface. A source without framing sends until it
closes: that is the body Icecast knows. libshout sends `Content-Length: 0` with an endless SOURCE, so there a zero means
no length. Chunks go through httptools (llhttp); their sizes are checked, extensions and trailers are skipped and never
kept, so memory is bounded whatever a peer sends. They are counted, too: a peer that sends only framing is refused.

Invariant: the bytes that come out depend on the bytes that went in, not on how they were cut. What came before a
broken chunk size is therefore returned, and the error is raised by the next call. (A line that is too long is found
after `MAX_SIZE_LINE` bytes, or up to as many later.)
"""

import re
from typing import Protocol

from httptools import HttpParserError, HttpRequestParser

from pycast.errors import BodyError
from pycast.http.headers import Headers
from pycast.http.request import MAX_HEAD, Request

# Bytes of the line with a chunk's size and its extension. Those that are in use, signatures of parts of an upload, take
# under 200.
MAX_SIZE_LINE = 1024

# Bytes of the fields after the last chunk: as many as those before the body may have.
MAX_TRAILERS = MAX_HEAD

_DIGITS = re.compile(r"[0-9]{1,18}\Z")


class Body(Protocol):
    """A parser: framed bytes in, the body's bytes out."""

    @property
    def done(self) -> bool:
        """Whether the framing says that the body has ended. What is fed after that is ignored."""

    def feed(self, data: bytes) -> bytes:
        """Returns the body's part of `data`. Raises BodyError."""


class RawBody:
    """A body without framing: all bytes until the peer closes."""

    __slots__ = ()

    @property
    def done(self) -> bool:
        return False

    def feed(self, data: bytes) -> bytes:
        return data


class LengthBody:
    """A body of exactly `length` bytes."""

    __slots__ = ("_left",)

    def __init__(self, length: int) -> None:
        self._left = length

    @property
    def done(self) -> bool:
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        piece = data[: self._left]
        self._left -= len(piece)
        return piece


class ChunkedBody:
    """A body with `Transfer-Encoding: chunked`."""

    __slots__ = ("_chunks", "_error", "_framing", "_parser")

    def __init__(self) -> None:
        self._chunks = _Chunks()
        self._parser = HttpRequestParser(self._chunks)
        self._error = ""
        """What is wrong; not the exception, which would keep the frames that it passed."""
        self._framing = 0
        # Without "close" llhttp would take what follows the last chunk for the next request.
        self._parser.feed_data(b"PUT / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")

    @property
    def done(self) -> bool:
        return self._chunks.is_complete

    def feed(self, data: bytes) -> bytes:
        self._check()
        if self._chunks.is_complete:
            return b""
        for start in range(0, len(data), MAX_SIZE_LINE):
            if not self._parse(data[start : start + MAX_SIZE_LINE]):
                break
        out = self._chunks.take()
        if not out:
            self._check()
        return out

    def _check(self) -> None:
        if self._error:
            raise BodyError("bad chunk", cause=self._error)

    def _parse(self, piece: bytes) -> bool:
        """Takes at most `MAX_SIZE_LINE` bytes, so that what is counted as framing is right to within as many. Returns
        whether the body goes on.
        """
        chunks, moves = self._chunks, self._chunks.moves
        try:
            self._parser.feed_data(piece)
        except HttpParserError as error:
            if not chunks.is_complete:
                self._error = f"chunked body: {error}"
            return False
        if chunks.is_complete:
            return False
        # Only bytes of the body and the beginning of a chunk end a stretch of framing.
        self._framing = 0 if chunks.moves > moves else self._framing + len(piece)
        limit = MAX_TRAILERS if chunks.is_in_trailers else MAX_SIZE_LINE
        if self._framing > limit:
            what = "trailers" if chunks.is_in_trailers else "the line with a chunk's size"
            self._error = f"chunked body: {what} of over {limit} bytes"
        return not self._error


class _Chunks:
    """The callbacks of httptools. There is no on_header, so trailers are not collected."""

    __slots__ = ("_pieces", "is_complete", "is_in_trailers", "moves")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.is_complete = False
        self.is_in_trailers = False
        """Whether a chunk has begun that has no byte (yet): the last one has none, and what follows it are trailers."""
        self.moves = 0
        """Counts what is not framing: beginnings of chunks, and pieces of the body."""

    def on_chunk_header(self) -> None:
        self.moves += 1
        self.is_in_trailers = True

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)
        self.moves += 1
        self.is_in_trailers = False

    def on_message_complete(self) -> None:
        self.is_complete = True

    def take(self) -> bytes:
        out = b"".join(self._pieces)
        self._pieces.clear()
        return out


def new_body(request: Request, limit: int | None = None) -> Body:
    """Returns a parser for the body of `request`. Raises BodyError: with status 501 for an unknown Transfer-Encoding,
    413 for a length over `limit` bytes.
    """
    encoding = request.headers.get("transfer-encoding").lower()
    if encoding == "chunked":
        return ChunkedBody()
    if encoding not in ("", "identity"):
        raise BodyError("Unimplemented", status=501, cause=f"Transfer-Encoding {encoding!r}")
    length = request.headers.get("content-length")
    if length and not _DIGITS.match(length):
        raise BodyError("bad Content-Length", cause=f"Content-Length {length!r}")
    if limit is not None and int(length or 0) > limit:
        raise BodyError("the request's body is too long", status=413)
    is_source = request.method in ("SOURCE", "PUT")
    if is_source and (not length or (request.method == "SOURCE" and int(length) == 0)):
        return RawBody()
    return LengthBody(int(length or 0))


def expects_continue(headers: Headers) -> bool:
    """Whether the peer waits for `100 Continue` before it sends the body."""
    return "100-continue" in headers.get("expect").lower()
