"""Bodies: what follows a head, without its framing.

`new_body(request)` chooses one of three classes with the same interface. A source without framing sends until it
closes: that is the body Icecast knows. libshout sends `Content-Length: 0` with an endless SOURCE, so there a zero means
no length. Chunks go through httptools (llhttp); their sizes are checked, extensions and trailers are skipped and never
kept, so memory is bounded whatever a peer sends.

Invariant: the bytes that come out depend on the bytes that went in, not on how they were cut. What came before a
broken chunk size is therefore returned, and the error is raised by the next call.
"""

import re
from typing import Protocol

from httptools import HttpParserError, HttpRequestParser

from pycast.errors import BodyError
from pycast.http.headers import Headers
from pycast.http.request import Request

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

    __slots__ = ("_chunks", "_error", "_parser")

    def __init__(self) -> None:
        self._chunks = _Chunks()
        self._parser = HttpRequestParser(self._chunks)
        self._error: BodyError | None = None
        # Without "close" llhttp would take what follows the last chunk for the next request.
        self._parser.feed_data(b"PUT / HTTP/1.1\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")

    @property
    def done(self) -> bool:
        return self._chunks.is_complete

    def feed(self, data: bytes) -> bytes:
        if self._error is not None:
            raise self._error
        if not data or self._chunks.is_complete:
            return b""
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._chunks.is_complete:
                self._error = BodyError("bad chunk", cause=f"chunked body: {error}")
        out = self._chunks.take()
        if self._error is not None and not out:
            raise self._error
        return out


class _Chunks:
    """The callbacks of httptools. There is no on_header, so trailers are not collected."""

    __slots__ = ("_pieces", "is_complete")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

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
