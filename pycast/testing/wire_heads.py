"""The heads of requests and answers as they are on the wire, and the ends of connections in words.

Used by the kit's own source and listener, and by the door that watches those of others. It reads what old encoders
send, and keeps what it read: names in the case that was sent, doubled headers. The one invariant: every wait has a
deadline.
"""

import re
import select
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple, Self
from urllib.parse import quote, unquote

MAX_HEAD = 65536
CLOSED = "the server closed the connection"
OWN_SOURCE = "pycast test source"
"""What the kit's own sources call themselves."""
_END = re.compile(rb"\r?\n\r?\n")
_SIZE_LINE = re.compile(rb"\s*([0-9A-Fa-f]+)[^\n]*\n")


class WireHeaders(Mapping[str, str]):
    """Header fields in the order they came in: `headers["Content-Type"]`, whatever the case of the letters."""

    def __init__(self, fields: tuple[tuple[str, str], ...] = ()) -> None:
        self.fields = fields
        """All of them as (name, value), as they were sent."""

    def __getitem__(self, name: str) -> str:
        values = self.all(name)
        if not values:
            raise KeyError(name)
        return values[-1]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.lower() for name, _ in self.fields))

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.fields})

    def __repr__(self) -> str:
        return f"<WireHeaders {', '.join(f'{name}: {value}' for name, value in self.fields)}>"

    def all(self, name: str) -> list[str]:
        """Returns all values of a name."""
        return [value for given, value in self.fields if given.lower() == name.lower()]


class WireHead(NamedTuple):
    """A first line and headers."""

    raw: bytes
    line: str
    headers: WireHeaders

    @classmethod
    def unknown(cls, raw: bytes) -> Self:
        """Returns the head of what is no HTTP."""
        return cls(raw, "", WireHeaders())

    @property
    def status(self) -> int:
        """The status of an answer; 0 if it is none."""
        words = self.line.split()
        return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0

    @property
    def word(self) -> str:
        """The method of a request."""
        return self.line.partition(" ")[0].upper()

    @property
    def target(self) -> str:
        """The path of a request, with its query."""
        words = self.line.split()
        return words[1] if len(words) > 1 else ""


def split_head(data: bytes) -> tuple[WireHead, bytes] | None:
    """Returns the head at the beginning of `data` and what follows it; None if it is not complete."""
    found = _END.search(data)
    if found is None:
        return None
    line, *lines = re.split(r"\r?\n", data[: found.start()].decode("utf-8", "replace"))
    pairs = (one.partition(":") for one in lines)
    fields = tuple((name.strip(), value.strip()) for name, _, value in pairs if name)
    return WireHead(data[: found.end()], line, WireHeaders(fields)), data[found.end() :]


def read_head(sock: socket.socket, timeout: float) -> tuple[WireHead, bytes]:
    """Reads a head; returns it and the bytes after it. Raises TimeoutError, or ConnectionError if it ends before."""
    deadline, data = time.monotonic() + timeout, b""
    while (found := split_head(data)) is None:
        left = deadline - time.monotonic()
        if left <= 0 or len(data) > MAX_HEAD:
            raise TimeoutError(f"no complete head within {timeout:g} s, but {data[:200]!r}")
        sock.settimeout(left)
        more = sock.recv(65536)
        if not more:
            raise ConnectionResetError(f"the connection ended after {data[:200]!r}")
        data += more
    return found


class ServerAddress(NamedTuple):
    """Where a server listens."""

    host: str
    port: int
    is_tls: bool = False

    def connect(self, timeout: float = 10.0) -> socket.socket:
        """Returns a connection. It takes any certificate. Raises OSError."""
        sock = socket.create_connection((self.host, self.port), timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.is_tls:
            return sock
        import ssl

        context = ssl._create_unverified_context()  # a test's own certificate, on loopback
        try:
            return context.wrap_socket(sock, server_hostname=self.host)
        except BaseException:
            sock.close()
            raise


def how_it_failed(error: OSError) -> str:
    """Returns how a connection to a server has ended."""
    if isinstance(error, BrokenPipeError):
        return CLOSED
    return "the server reset the connection" if isinstance(error, ConnectionResetError) else f"it failed: {error}"


def begins_tls(sock: socket.socket) -> bool:
    """Returns whether the first byte that waits to be read is that of a TLS handshake."""
    with suppress(OSError):
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"\x16"
    return False


def is_readable(sock: socket.socket, timeout: float) -> bool:
    """Whether there are bytes, or the other end has closed, within `timeout` seconds."""
    if getattr(sock, "pending", int)():
        return True
    poll = select.poll()  # unlike select(), it takes a descriptor of any number
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(1000 * timeout))


def as_target(mount: str) -> str:
    """Returns a mount, or an address with a query, as it stands in a request line: blanks and letters outside ASCII are
    escaped, and what is escaped already stays.
    """
    return quote(mount, safe="/%?#[]@!$&'()*+,;=:~")


def as_name(mount: str) -> str:
    """Returns the name that a mount has in the server, which undoes what is escaped."""
    return unquote(as_target(mount).partition("?")[0])


def reset(sock: socket.socket) -> None:
    """Closes a connection with RST, as a crashed machine's kernel does."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class ChunkReader:
    """Takes chunks off a body. What is no chunk ends it."""

    def __init__(self) -> None:
        self._buf = bytearray()
        self._left = 0
        self._is_done = False

    def feed(self, data: bytes) -> bytes:
        """Returns what is in the chunks, or the parts of them, that are there now."""
        self._buf += data
        out = bytearray()
        while self._buf and not self._is_done:
            if self._left:
                piece = self._buf[: self._left]
                del self._buf[: len(piece)]
                self._left -= len(piece)
                out += piece
                continue
            found = _SIZE_LINE.match(bytes(self._buf[:1001]))
            if found is None:
                self._is_done = len(self._buf) > 1000
                break
            del self._buf[: found.end()]
            self._left = int(found[1], 16)
            self._is_done = not self._left
        return bytes(out)
