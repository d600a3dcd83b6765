"""The source side of SHOUTcast v1 ("ICY"): a password line, `OK2`, a block of icy headers, then audio.

    C: password␍␊
    S: OK2␍␊icy-caps:11␍␊␍␊
    C: icy-name:My station␍␊ content-type:audio/mpeg␍␊ ␍␊
    C: audio

Some encoders do not wait for the answer, so the reader does not wait for the caller either: the caller handles the
events in order, and stops at the first that it refuses. As in icecast-kh several mounts can share a port, with
`/mount:password` as password, and an HTTP request on this port (metadata updates of some DSP plug-ins) is recognised.
libshout first makes a connection that begins with `!POKE` and expects no answer.

The header block is parsed as if it followed `SOURCE /mount HTTP/1.0`. The caller checks passwords: after a wrong one
Icecast closes the connection without an answer.
"""

from dataclasses import dataclass, field
from enum import Enum, auto
from re import compile as pattern
from urllib.parse import quote

from pycast.errors import HandshakeError, PeerError
from pycast.http.charset import decode
from pycast.http.mount_names import is_mount_name
from pycast.http.request import MAX_HEAD, MAX_LINES, TLS_HANDSHAKE, HeadReader, Request

REPLY_OK = b"OK2\r\nicy-caps:11\r\n\r\n"
"""The answer to a right password: exactly these 20 bytes. Audio may follow at once."""

DEFAULT_CONTENT_TYPE = "audio/mpeg"

_REQUEST_LINE = pattern(rb"[A-Za-z]+ +\S+ +(?:HTTP|ICE)/[0-9]")


@dataclass(frozen=True, slots=True)
class Password:
    """The first line. `text` is all of it; for `/mount:password` its parts, else the reader's mount and `text`."""

    text: str = field(repr=False)
    mount: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SourceHead:
    """A complete header block: a SOURCE request for the mount, with a content type. The audio starts at `rest`."""

    request: Request


@dataclass(frozen=True, slots=True)
class Http:
    """An HTTP client. `rest` (all bytes so far) is for a HeadReader."""


_TLS_HERE = "a client of TLS, but SHOUTcast sources speak plain TCP: turn TLS (SSL) off in the encoder"


@dataclass(frozen=True, slots=True)
class Poke:
    """A test connection of libshout, to be closed without logging a failure."""


Event = Password | SourceHead | Http | Poke


class _State(Enum):
    PASSWORD = auto()
    HEAD = auto()
    END = auto()


class ShoutcastReader:
    """A parser of one handshake for `mount`. Must not be fed again after SourceHead, Http, Poke or an error."""

    __slots__ = ("_buffer", "_error", "_head", "_max_bytes", "_max_lines", "_mount", "_state")

    def __init__(self, mount: str, max_bytes: int = MAX_HEAD, max_lines: int = MAX_LINES) -> None:
        self._mount = mount
        self._max_bytes = max_bytes
        self._max_lines = max_lines
        self._buffer = bytearray()
        self._error: PeerError | None = None
        self._head: HeadReader | None = None
        self._state = _State.PASSWORD

    def feed(self, data: bytes) -> list[Event]:
        """Returns the events that `data` completes. Raises HandshakeError, or RequestError for a bad header block.

        An error behind a password in the same `data` is raised by the next call: the password comes out first, as it
        does when they come apart.
        """
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # the exception keeps this frame
        if self._state is _State.PASSWORD:
            self._buffer += data
            return self._read_password()
        if self._state is _State.HEAD:
            return self._read_head(data)
        raise AssertionError("fed after the end of the handshake")

    @property
    def rest(self) -> bytes:
        """After SourceHead the first bytes of audio, after Http all bytes received."""
        return self._head.rest if self._head is not None else bytes(self._buffer)

    def _read_password(self) -> list[Event]:
        if self._buffer and self._buffer[0] == TLS_HANDSHAKE:
            raise HandshakeError("no password", cause=_TLS_HERE)
        if self._buffer and self._buffer[0] < 0x20:
            raise HandshakeError("no password", cause=f"handshake begins with byte {self._buffer[0]}")
        line, newline, after = self._buffer.partition(b"\n")
        if len(line) > self._max_bytes:
            raise HandshakeError("password too long", cause=f"no line end in {self._max_bytes} bytes")
        if not newline:
            return []
        line = line.rstrip(b"\r")
        if line.startswith(b"!POKE"):
            self._state = _State.END
            return [Poke()]
        if _REQUEST_LINE.match(line):
            self._state = _State.END
            return [Http()]
        self._buffer.clear()
        password = _password(decode(bytes(line)), self._mount)
        self._start_head(password.mount)
        try:
            return [password, *self._read_head(bytes(after))]
        except PeerError as error:
            self._error = error.with_traceback(None)
            return [password]

    def _start_head(self, mount: str) -> None:
        self._state = _State.HEAD
        line = f"SOURCE {quote(mount)} HTTP/1.0\r\n".encode()
        self._head = HeadReader(self._max_bytes + len(line), self._max_lines + 1)
        self._head.feed(line)

    def _read_head(self, data: bytes) -> list[Event]:
        assert self._head is not None
        request = self._head.feed(data)
        if request is None:
            return []
        self._state = _State.END
        if "content-type" not in request.headers:
            request = request._replace(headers=request.headers.adding("content-type", DEFAULT_CONTENT_TYPE))
        return [SourceHead(request)]


def _password(text: str, mount: str) -> Password:
    name, colon, password = text.partition(":")
    if colon and is_mount_name(name):
        return Password(text, name, password)
    return Password(text, mount, text)
