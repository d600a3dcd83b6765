"""Response heads and error pages, byte for byte as Icecast 2.4.4 writes them.

The standard block has one order: Server, Connection, Date, Content-Type, WWW-Authenticate, the three that forbid
caching. One line of it is not Icecast's: nosniff, without which a browser may take what a source sends for a page. It
is where Icecast has the operator's headers, so every client knows lines there. After the block come the operator's
configured headers, then the response's own, then Content-Length. Icecast leaves that out on errors; here it is given,
because libshout cannot read the body of an error without it. Answers are HTTP/1.0 and close the connection; only 206 is
HTTP/1.1, as in Icecast. So the end of a body whose length is not known is the end of the connection, for a client of
HTTP/1.1 too (RFC 9112 6.3).

The standard block is cached: in a storm of players all heads of one second are the same.

Invariant: no header value can end its line, whatever a source or the configuration put into it.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import BinaryIO, NamedTuple

Pair = tuple[str, str]

SOURCE_OK = b"HTTP/1.0 200 OK\r\n\r\n"
"""The answer to a SOURCE or PUT that is admitted. Old encoders compare exactly these bytes. Also the bare head."""

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
"""Sent first to a PUT with `Expect: 100-continue`. Icecast 2.4 adds a Content-Length, which RFC 9110 8.6 forbids."""

HTML = "text/html; charset=utf-8"
# As `html.escape`, whose module loads a table of 2,000 names when it is imported.
_HTML_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
PLAIN = "text/plain; charset=utf-8"

# Icecast 2.4.4's texts for 401, 404 and 416, 2.5's for 501; the others are the standard's.
REASONS = {
    100: "Continue",
    101: "Switching Protocols",
    200: "OK",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    305: "Use Proxy",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Authentication Required",
    403: "Forbidden",
    404: "File Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    416: "Request Range Not Satisfiable",
    417: "Expectation Failed",
    422: "Unprocessable Entity",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Unimplemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LINE_ENDS = str.maketrans({"\r": " ", "\n": " ", "\0": " "})


class FileRange(NamedTuple):
    """`length` bytes of an open file, from `start` on. The code that sends the answer closes the file."""

    file: BinaryIO
    start: int
    length: int


class FileParts(NamedTuple):
    """Several parts of an open file with bytes between them. The code that sends the answer closes the file."""

    file: BinaryIO
    parts: tuple[bytes | tuple[int, int], ...]
    """Bytes as they are, or a start and a length in the file."""

    @property
    def length(self) -> int:
        """The length of all of them."""
        return sum(len(one) if isinstance(one, bytes) else one[1] for one in self.parts)


ResponseBody = bytes | FileRange | FileParts | Iterator[bytes]
"""Bytes, parts of a file, or an iterator that makes the body while it is sent. Its pieces should be small, as the time
limit for a write holds for each. An iterator that has a `close` is closed when the answer ends."""


class Response(NamedTuple):
    """A complete answer. An empty `content_type` sends none; `headers` come after the configured ones."""

    status: int
    body: ResponseBody = b""
    content_type: str = ""
    headers: tuple[Pair, ...] = ()
    may_be_stored: bool = False
    """Whether a browser or proxy may store it, and ask each time whether it is still good. Otherwise it may not."""
    is_own: bool = False
    """Whether it is the station's own content, which is not restricted in a browser as the server's pages are."""
    is_bare: bool = False
    """Whether its head is the status line alone, as readers of Icecast's STATS know it."""
    again: Callable[[], bool] | None = None
    """Returns whether another request of the same bytes gets the same answer now, and counts that it does. None if that
    is not known. Never switches."""
    stream: str = ""
    """If set, the client gets the stream of this mount, for another server, and nothing else of this counts."""


def render_head(
    status: int,
    *,
    server: str,
    now: float,
    content_type: str = "",
    headers: Iterable[Pair] = (),
    lines: bytes = b"",
    version: str = "1.0",
    may_be_stored: bool = False,
) -> bytes:
    """Returns a head: status line, standard block, `headers`, `lines` as they are (the icy block, each with its CRLF),
    empty line.

    `now` is in seconds since the epoch, `server` the configured server id.
    """
    block = _standard_block(status, server, int(now), content_type, version, may_be_stored)
    return b"".join((block, header_lines(headers), lines, b"\r\n"))


def render(
    response: Response,
    *,
    server: str,
    now: float,
    extra_headers: Iterable[Pair] = (),
    head_only: bool = False,
    length: int | None = None,
) -> bytes:
    """Returns the answer's head, followed by the body if that is bytes and the request was no HEAD. Content-Length is
    given if the length is known (`length` if the body is sent separately), but not for 1xx, 204 and 304.
    """
    if response.is_bare:
        return SOURCE_OK
    body, headers = response.body, [*extra_headers, *response.headers]
    length = body_length(body) if length is None else length
    if length is not None and response.status >= 200 and response.status not in (204, 304):
        headers.append(("Content-Length", str(length)))
    head = render_head(
        response.status,
        server=server,
        now=now,
        content_type=response.content_type,
        headers=headers,
        may_be_stored=response.may_be_stored,
    )
    return head + body if isinstance(body, bytes) and not head_only else head


def body_length(body: ResponseBody) -> int | None:
    """Returns the body's length; None if it is not known before its end."""
    if isinstance(body, FileRange | FileParts):
        return body.length
    return len(body) if isinstance(body, bytes) else None


def error_response(status: int, message: str = "", headers: tuple[Pair, ...] = ()) -> Response:
    """Returns Icecast's page for an error: HTML for most, text for 401, 403, 416 and 500. Without a message it has the
    status's reason.
    """
    if status == 401:
        return Response(status, _utf8(f"{message or 'You need to authenticate'}\r\n"), PLAIN, headers)
    message = message or REASONS.get(status, "Error")
    if status == 403:
        return Response(status, _utf8(message), PLAIN, headers)
    if status == 416:
        return Response(status, _utf8(f"{message}\r\n"), PLAIN, headers)
    if status == 500:
        body = f"500 - Internal Server Error\n---------------------------\n{message}"
        return Response(status, _utf8(body), PLAIN, headers)
    title, text = f"Error {status}", f"{status} - {message.translate(_HTML_ESCAPES)}"
    page = f"<html><head><title>{title}</title></head><body><b>{text}</b></body></html>\r\n"
    return Response(status, _utf8(page), HTML, headers)


def options_response(allow: str, headers: tuple[Pair, ...] = ()) -> Response:
    """Returns 204 with `Allow`, and with `Content-Length: 0` although RFC 9110 8.6 forbids it: libshout needs it."""
    return Response(204, headers=(("Allow", allow), *headers, ("Content-Length", "0")))


def header_lines(headers: Iterable[Pair]) -> bytes:
    """Returns `Name: value` lines, each with its CRLF. Line ends inside a name or value become blanks."""
    lines = [f"{name}: {value}\r\n" for name, value in headers]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        text = "".join(f"{one_line(line[:-2])}\r\n" for line in lines)
    return _utf8(text)


def one_line(text: str) -> str:
    """Returns `text` with blanks for what would end a header line."""
    return text.translate(_LINE_ENDS)


@lru_cache(maxsize=4)
def http_date(second: int) -> str:
    """Returns `second` since the epoch as in `Date: Sat, 22 Nov 2025 07:00:00 GMT`, whatever the locale."""
    at = _EPOCH + timedelta(seconds=second)
    clock = f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {clock} GMT"


# One entry for each pair of status and content type in use within a second.
@lru_cache(maxsize=64)
def _standard_block(
    status: int, server: str, second: int, content_type: str, version: str, may_be_stored: bool
) -> bytes:
    """Returns Icecast 2.4.4's block and nosniff: the same lines in the same order for every answer."""
    lines = [
        f"HTTP/{'1.1' if status == 206 else version} {status} {REASONS.get(status, 'Unknown')}",
        f"Server: {server}",
        "Connection: Close",
        f"Date: {http_date(second)}",
    ]
    if content_type:
        lines.append(f"Content-Type: {content_type}")
    if status == 401:
        lines.append('WWW-Authenticate: Basic realm="Icecast2 Server"')
    lines += [
        "Cache-Control: no-cache" if may_be_stored else "Cache-Control: no-cache, no-store",
        "Expires: Mon, 26 Jul 1997 05:00:00 GMT",
        "Pragma: no-cache",
        "X-Content-Type-Options: nosniff",
    ]
    return _utf8("".join(f"{one_line(line)}\r\n" for line in lines))


def _utf8(text: str) -> bytes:
    # A lone surrogate can come from an environment variable in the configuration; a head must go out all the same.
    return text.encode("utf-8", "replace")
