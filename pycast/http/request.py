"""Request heads: bytes in, one `Request` out.

Clients of streaming servers are older than the RFCs, so the head is found and its lines are split here, by Icecast
2.4's rules: a head ends at the first empty line, where a line ends with LF and any CRs before it; `ICE/1.0` is a
protocol; STATS and PLAY are methods. The header fields then go through httptools (llhttp), behind a fixed request line,
because llhttp refuses those old ones. Where it refuses a field that Icecast ignores (a line without a colon: a
station's description with a line break in it), that line is left out and the rest parsed again. That cannot smuggle a
request: a connection has one request, then it closes. The two fields that frame a body never go through llhttp and are
never left out: they are kept as they were sent, however wrong, and body.py decides what becomes of the request.

Not here: what a method or path means, the body (body.py), the time limit for a slow head.

Invariant: the result depends on the bytes, not on how they were cut; never more than `max_bytes` + one `feed` is
held.
"""

import re
from contextlib import suppress
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from pycast.errors import HeadTooLarge, RequestError
from pycast.http.charset import decode
from pycast.http.headers import Fields, Headers
from pycast.http.query import NO_PAIRS, Pairs, parse_form
from pycast.http.target import parse_target
from pycast.patterns import pattern

__all__ = ["MAX_HEAD", "MAX_LINES", "NO_PAIRS", "HeadReader", "Headers", "Pairs", "Request", "parse_form"]

# Icecast 2.4 takes 4,095 bytes and 32 lines. Browsers behind single sign-on proxies send 8 KiB of cookies; nginx
# and Apache allow 8 KiB a line and 100 lines.
MAX_HEAD = 16384
MAX_LINES = 100

# `\r\n\r\n`, `\n\n`, and `\r\r\n\r\r\n`, which old NSV encoders send. At most four bytes long, so a search
# may resume three bytes back.
_END = pattern(rb"\n\r?\r?\n")
_FIELD = pattern(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\x00]*\Z")
# With the lines that continue it (obs-fold, RFC 9112, 5.2). A blank before the colon stays, and makes the value wrong.
_FRAMING = pattern(
    rb"^(content-length|transfer-encoding)([ \t]*:[^\n]*(?:\n[ \t][^\n]*)*)\r\n", re.IGNORECASE | re.MULTILINE
)
_VERSION = pattern(rb"[0-9](?:\.[0-9])?\Z")
_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_NEWLINES = frozenset(b"\r\n")


class Request(NamedTuple):
    """One request head. `path` is decoded and safe to look up (see target.py); `target` is what was sent, for logs."""

    method: str
    """Upper case."""
    target: str
    path: str
    query: Pairs
    protocol: str
    """"HTTP" or "ICE"."""
    version: str
    """As sent, "1.0"."""
    headers: Headers
    scheme: str = ""
    """`http` or `https`, as the client uses it. It is not in the head; the code that knows the connection sets it."""
    proxied_host: str = ""
    """The host and port that the client asked a trusted proxy for; empty if none passed the request on. Set like
    `scheme`."""
    is_cross_site: bool = False
    """Whether a browser sent it for a page of another site (cross_site.py). Set like `scheme`."""


TLS_HANDSHAKE = 0x16
"""The first byte that a client of TLS sends (RFC 8446, 5.1); no request begins with it."""

_TLS_HERE = "a client of TLS, but this port takes plain HTTP: its URL should begin with http://"


class HeadReader:
    """A parser of one head. Must not be fed again after it returned a Request or raised."""

    __slots__ = ("_buffer", "_end", "_max_bytes", "_max_lines", "_searched", "_start", "_started")

    def __init__(self, max_bytes: int = MAX_HEAD, max_lines: int = MAX_LINES) -> None:
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._buffer = bytearray()
        self._start = 0
        self._started = False
        self._searched = 0
        self._end = 0

    def feed(self, data: bytes) -> Request | None:
        """Returns the request once its head is complete, else None. Raises RequestError, HeadTooLarge or BadPath."""
        buffer = self._buffer
        buffer += data
        if not self._started and not self._find_start():
            return None
        match = _END.search(buffer, max(self._start, self._searched - 3))
        self._searched = len(buffer)
        if match is None:
            if len(buffer) >= self._max_bytes:
                raise self._too_large()
            return None
        self._end = match.end()
        if self._end > self._max_bytes:
            raise self._too_large()
        return self._parse(bytes(buffer[self._start : match.start() + 1]))

    @property
    def rest(self) -> bytes:
        """What came after the head: the first bytes of the body."""
        return bytes(self._buffer[self._end :])

    def _find_start(self) -> bool:
        """Skips empty lines before the request (RFC 9112 2.2). Returns whether the request has begun.

        Raises RequestError if it does not begin with a letter (TLS, a scan).
        """
        stop = min(len(self._buffer), self._max_bytes)
        while self._start < stop and self._buffer[self._start] in _NEWLINES:
            self._start += 1
        if self._start == stop:
            if stop == self._max_bytes:
                raise self._too_large()
            return False
        if self._buffer[self._start] not in _LETTERS:
            first = self._buffer[self._start]
            cause = _TLS_HERE if first == TLS_HANDSHAKE else f"request begins with byte {first}"
            raise RequestError("this is not an HTTP request", cause=cause)
        self._started = True
        return True

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge("request head too large", cause=f"request head over {self._max_bytes} bytes")

    def _parse(self, head: bytes) -> Request:
        """Returns the request of `head`, which is all its lines with their line ends, without the empty one."""
        count = head.count(b"\n")
        if count > self._max_lines:
            raise HeadTooLarge("too many header lines", cause=f"request head of {count} lines")
        if head.count(b"\r\n") != count or head.count(b"\r") != count:
            head = b"".join(line.rstrip(b"\r") + b"\r\n" for line in head.split(b"\n")[:-1])
        line, _, fields = head.partition(b"\r\n")
        method, target, protocol, version = _request_line(line)
        path, query = parse_target(method, target)
        return Request(method, decode(target), path, query, protocol, version, Headers.of_lower(_parse_fields(fields)))


def _request_line(line: bytes) -> tuple[str, bytes, str, str]:
    """Returns method, target, protocol, version. Splits at blanks, and ignores a fourth part as Icecast does."""
    parts = line.split(b" ")
    if len(parts) != 3:
        parts = [part for part in parts if part]
    # The line is not quoted: the first line of a SHOUTcast source is its password.
    if len(parts) < 3:
        raise RequestError("bad request line", cause=_no_request(parts))
    method, target, third = parts[:3]
    protocol, _, version = third.partition(b"/")
    protocol = protocol.upper()
    if not method.isalpha() or protocol not in (b"HTTP", b"ICE") or not _VERSION.match(version):
        raise RequestError("bad request line", cause=_no_request(parts))
    return method.upper().decode("ascii"), target, protocol.decode("ascii"), version.decode("ascii")


def _no_request(parts: list[bytes]) -> str:
    size = sum(map(len, parts)) + len(parts) - 1
    hint = " (a SHOUTcast source needs a port with shoutcast_mount)" if len(parts) == 1 else ""
    return f"its first line, of {size} bytes in {len(parts)} words, is no request{hint}"


class _Collector:
    """The callbacks of httptools: keep the fields that have a value."""

    __slots__ = ("fields",)

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if value:
            self.fields.append((name.lower().decode("ascii"), decode(value)))


def _parse_fields(lines: bytes) -> Fields:
    """Returns the fields in `lines`, each of which ends with CRLF. Raises RequestError."""
    framing = _FRAMING.findall(lines)
    if framing:
        lines = _FRAMING.sub(b"", lines)
        return _other_fields(lines) + tuple(_framing_field(name, rest) for name, rest in framing)
    return _other_fields(lines)


def _framing_field(name: bytes, rest: bytes) -> tuple[str, str]:
    """Returns the field. What a value cannot hold becomes "?", as an empty value does: that is wrong, too."""
    value = rest.removeprefix(b":").strip(b" \t").replace(b"\r\n", b" ")
    return name.lower().decode("ascii"), decode(re.sub(rb"[\r\n\0]", b"?", value) or b"?")


def _other_fields(lines: bytes) -> Fields:
    try:
        return _llhttp_fields(lines, is_lenient=False)
    except HttpParserError:
        pass
    kept = b"".join(line + b"\r\n" for line in lines.split(b"\r\n") if _FIELD.match(line))
    try:
        return _llhttp_fields(kept, is_lenient=True)
    except HttpParserError as error:
        raise RequestError("bad request headers", cause=f"header fields: {error}") from error


def _llhttp_fields(lines: bytes, *, is_lenient: bool) -> Fields:
    collector = _Collector()
    parser = HttpRequestParser(collector)
    if is_lenient:
        parser.set_dangerous_leniencies(lenient_headers=True)  # control characters in a value
    with suppress(HttpParserUpgrade):  # libshout asks `Upgrade: TLS/1.0`; the fields are complete
        parser.feed_data(b"GET / HTTP/1.0\r\n" + lines + b"\r\n")
    return tuple(collector.fields)
