"""A source and a listener made of plain sockets, for what neither a real program nor the test kit does on purpose:
malformed bytes, sockets that are cut, stalled or counted by the hundred, servers that are not of the kit.

Knows as much HTTP as a test needs and shares no code with the server, so that a mistake there is not repeated
here. Invariant: every read and write has a deadline.
"""

import base64
import socket
import ssl
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

DEADLINE_S = 10.0
FRAME_BYTES = 417


def frames(first: int, count: int) -> bytes:
    """Returns MPEG-1 layer III frames (128 kbit/s, 44.1 kHz, 26 ms each); a number in each makes it unique."""
    return b"".join(
        b"\xff\xfb\x90\x64" + b"%032d" % number + bytes(FRAME_BYTES - 36) for number in range(first, first + count)
    )


def basic(user: str, password: str) -> str:
    """Returns a head line with credentials."""
    return f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}\r\n"


def assert_run_of(heard: bytes, sent: bytes) -> int:
    """Asserts that `heard` stands in `sent` as one piece, byte by byte. Returns where it begins."""
    assert heard, "nothing was heard"
    start = sent.find(heard[:1024])
    assert start >= 0, f"the first of {len(heard)} bytes heard were never sent: {heard[:64]!r}"
    expected = sent[start : start + len(heard)]
    if heard != expected:
        wrong = next((i for i, (a, b) in enumerate(zip(heard, expected, strict=False)) if a != b), len(expected))
        raise AssertionError(f"byte {wrong} of {len(heard)} heard is not what was sent (run starts at {start})")
    return start


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a server, read to its end."""

    status_line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status(self) -> int:
        return int(self.status_line.split()[1])

    def header(self, name: str, default: str = "") -> str:
        """Returns the first header of that name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), default)


def parse(raw: bytes) -> Reply:
    """Parses an answer from all its bytes. A server that closed without an answer gives an empty status line."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return Reply(status_line, tuple((name, value.strip()) for name, _, value in pairs), body)


@dataclass(slots=True)
class Wire:
    """A connection with deadlines and a buffer of what came and was not read yet."""

    port: int
    host: str = "127.0.0.1"
    tls: bool = False
    receive_buffer: int = 0
    sock: socket.socket = field(init=False)
    _pending: bytearray = field(init=False, default_factory=bytearray)

    def __post_init__(self) -> None:
        raw = socket.socket()
        raw.settimeout(DEADLINE_S)
        try:
            if self.receive_buffer:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
            raw.connect((self.host, self.port))
            if self.tls:
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                raw = context.wrap_socket(raw, server_hostname="localhost")
        except BaseException:
            raw.close()
            raise
        self.sock = raw

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def send(self, data: bytes | str) -> Self:
        self.sock.sendall(data.encode() if isinstance(data, str) else data)
        return self

    def read(self, size: int, timeout: float = DEADLINE_S) -> bytes:
        """Returns exactly `size` bytes. Fails if they do not arrive in time or the connection ends."""
        deadline = time.monotonic() + timeout
        while len(self._pending) < size:
            if not self._receive(deadline):
                raise AssertionError(
                    f"connection ended after {len(self._pending)} of {size} bytes: {bytes(self._pending[:200])!r}"
                )
        return self._take(size)

    def read_some(self, timeout: float = DEADLINE_S) -> bytes:
        """Returns what has arrived, at least one byte."""
        if not self._pending and not self._receive(time.monotonic() + timeout):
            raise AssertionError("connection ended")
        return self._take(len(self._pending))

    def read_to(self, mark: bytes, timeout: float = DEADLINE_S) -> bytes:
        """Reads all up to and including `mark`."""
        deadline = time.monotonic() + timeout
        while (found := self._pending.find(mark)) < 0:
            if not self._receive(deadline):
                raise AssertionError(f"connection ended before {mark!r}: {bytes(self._pending[-200:])!r}")
        return self._take(found + len(mark))

    def read_all(self, timeout: float = DEADLINE_S) -> bytes:
        """Reads all until the server closes (or resets) the connection, which must happen in time."""
        deadline = time.monotonic() + timeout
        while self._receive(deadline):
            pass
        return self._take(len(self._pending))

    def read_head(self) -> Reply:
        """Reads an answer's head, but not its body."""
        return parse(self.read_to(b"\r\n\r\n"))

    def hang_up(self) -> None:
        """Ends the connection with a reset, as a crashed machine's kernel does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def cut(self) -> None:
        """Ends both directions; wakes a thread that reads or writes. To be closed afterwards."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.sock.close()

    def _take(self, size: int) -> bytes:
        data = bytes(self._pending[:size])
        del self._pending[:size]
        return data

    def _receive(self, deadline: float) -> bool:
        left = deadline - time.monotonic()
        if left <= 0:
            raise AssertionError(f"the server sent nothing more in time; last: {bytes(self._pending[-200:])!r}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            return False
        except TimeoutError:
            raise AssertionError(f"the server sent nothing in time; last: {bytes(self._pending[-200:])!r}") from None
        finally:
            self.sock.settimeout(DEADLINE_S)
        self._pending += data
        return bool(data)


def ask(
    port: int, head: str | bytes, *, tls: bool = False, timeout: float = DEADLINE_S, host: str = "127.0.0.1"
) -> Reply:
    """Sends raw bytes and reads the answer until the server closes."""
    with Wire(port, host, tls=tls) as wire:
        wire.send(head)
        return parse(wire.read_all(timeout))


def get(port: int, path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1") -> Reply:
    """Sends a plain request and returns the answer; `headers` are lines with their line ends, as `basic` gives them."""
    return ask(port, f"{method} {path} HTTP/1.0\r\n{''.join(headers)}\r\n", host=host)


def source(
    port: int,
    mount: str,
    password: str,
    *,
    content_type: str = "audio/mpeg",
    user: str = "source",
    headers: str = "",
    tls: bool = False,
    host: str = "127.0.0.1",
) -> Wire:
    """Returns a SOURCE that was accepted: what is sent from now on is the stream."""
    wire = Wire(port, host, tls=tls)
    try:
        wire.send(f"SOURCE {mount} HTTP/1.0\r\n{basic(user, password)}Content-Type: {content_type}\r\n{headers}\r\n")
        answer = wire.read_to(b"\r\n\r\n")
        assert answer == b"HTTP/1.0 200 OK\r\n\r\n", answer
    except BaseException:
        wire.close()
        raise
    return wire


def listen(
    port: int, mount: str, *headers: str, tls: bool = False, receive_buffer: int = 0, host: str = "127.0.0.1"
) -> tuple[Wire, Reply]:
    """Returns a listener that was accepted, and the head of its answer."""
    wire = Wire(port, host, tls=tls, receive_buffer=receive_buffer)
    try:
        reply = wire.send(f"GET {mount} HTTP/1.0\r\n{''.join(headers)}\r\n").read_head()
        assert reply.status == 200, reply
    except BaseException:
        wire.close()
        raise
    return wire, reply
