"""Bodies: what follows a head, without its framing.

`new_body(request)` chooses one of three classes with the same interface. Chunks go through httptools (llhttp); their
sizes are checked, extensions and trailers are skipped and never kept, so memory is bounded whatever a peer sends. They
are counted, too: a peer that sends only framing is refused.

**The rule for framing that makes no sense.** It is dangerous where two programs read one connection differently: a
proxy takes the end of a body for the next request, of another client (request smuggling). Here a connection has one
request, and is closed after it, but the proxy in front may think otherwise. So for everything that is no source's the
framing has to be right, or the request is refused, before its path or password is looked at (`check_framing`): one
Content-Length, made of digits, or `Transfer-Encoding: chunked`, not both. A source (SOURCE, PUT) sends until it closes,
and nothing can follow it; Icecast 2.4.4 does not look at its framing at all, so encoders send what they like. There,
what makes sense is obeyed, and the rest ignored: chunks are undone if the last coding is "chunked", also beside a
length or another coding (what is in the chunks is passed on as it is); "identity" means nothing; a length that is no
number, too large for one, zero, or given twice with different values, means no length. Only a last coding that is not
known is refused. libshout sends `Content-Length: 0` with an endless SOURCE.

Invariant: the bytes that come out depend on the bytes that went in, not on how they were cut. What came before a
broken chunk size is therefore returned, and the error is raised by the next call. (A line that is too long is found
after `MAX_SIZE_LINE` bytes, or up to as many later.)
"""

from typing import Protocol

from httptools import HttpParserError, HttpRequestParser

from pycast.errors import BodyError
from pycast.http.headers import Headers
from pycast.http.request import MAX_HEAD, Request
from pycast.patterns import pattern

# Bytes of the line with a chunk's size and its extension. Those that are in use, signatures of parts of an upload, take
# under 200.
MAX_SIZE_LINE = 1024

# Bytes of the fields after the last chunk: as many as those before the body may have.
MAX_TRAILERS = MAX_HEAD

# No number of 19 digits or more: 2^63 is one.
_DIGITS = pattern(r"[0-9]{1,18}\Z")
_FRAMING = frozenset({"content-length", "transfer-encoding"})


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
        # Some encoders fill the size up with blanks.
        self._parser.set_dangerous_leniencies(lenient_spaces_after_chunk_size=True)
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
    413 for a length over `limit` bytes; for a request that is no source's also as `check_framing` does.
    """
    if is_source(request):
        return _body_of_source(request.headers)
    check_framing(request)
    if request.headers.get("transfer-encoding"):
        return ChunkedBody()
    length = int(request.headers.get("content-length") or 0)
    if limit is not None and length > limit:
        raise BodyError("the request's body is too long", status=413)
    return LengthBody(length)


def is_source(request: Request) -> bool:
    """Whether its body is a stream, without a length unless it gives one that makes sense."""
    return request.method in ("SOURCE", "PUT")


def check_framing(request: Request) -> None:
    """Raises BodyError if two readers of the connection could disagree about the end of this request: with status 501
    for a coding that is not known. A source may send what it likes.
    """
    if not request.headers.has_any(_FRAMING) or is_source(request):
        return
    encodings, lengths = request.headers.all("transfer-encoding"), request.headers.all("content-length")
    if encodings and lengths:
        raise BodyError("Transfer-Encoding together with Content-Length", cause="both framings in one request")
    if encodings and [one.lower() for one in encodings] != ["chunked"]:
        raise BodyError("Unimplemented", status=501, cause=f"Transfer-Encoding {', '.join(encodings)[:100]!r}")
    if lengths and not (len(lengths) == 1 and _DIGITS.match(lengths[0])):
        raise BodyError("bad Content-Length", cause=f"Content-Length {', '.join(lengths)[:100]!r}")


def _body_of_source(headers: Headers) -> Body:
    codings = [coding.strip().lower() for line in headers.all("transfer-encoding") for coding in line.split(",")]
    codings = [coding for coding in codings if coding not in ("", "identity")]
    if codings and codings[-1] == "chunked":
        return ChunkedBody()
    if codings:
        raise BodyError("Unimplemented", status=501, cause=f"Transfer-Encoding {', '.join(codings)[:100]!r}")
    lengths = {length.strip() for line in headers.all("content-length") for length in line.split(",")}
    length = lengths.pop() if len(lengths) == 1 else ""
    return LengthBody(int(length)) if _DIGITS.match(length) and int(length) else RawBody()


def expects_continue(headers: Headers) -> bool:
    """Whether the peer waits for `100 Continue` before it sends the body."""
    return "100-continue" in headers.get("expect").lower()
