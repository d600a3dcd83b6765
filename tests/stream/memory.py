"""A transport in memory: takes what its room allows and keeps it, as a socket's kernel buffer would."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from pycast.net.tls_session import TlsTransport
from pycast.stream.listener import Identity

WHO = Identity("127.0.0.9", "player", "", "", "GET", "/x", "HTTP/1.1")


class MemoryTransport:
    """A non-blocking socket. `room` is how many bytes it still takes; None: any number."""

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.got = bytearray()
        self.closed = False
        self.broken = False
        self.writes = 0

    def send(self, data: bytes | memoryview, /) -> int:
        self.writes += 1
        if self.broken or self.closed:
            raise ConnectionResetError
        size = len(data) if self.room is None else min(self.room, len(data))
        if not size and len(data):
            raise BlockingIOError
        if self.room is not None:
            self.room -= size
        self.got += data[:size]
        return size

    def sendmsg(self, buffers: Sequence[bytes | memoryview], /) -> int:
        return self.send(b"".join(buffers))

    def fileno(self) -> int:
        return 9

    def close(self) -> None:
        self.closed = True


def encrypting(transport: MemoryTransport) -> TlsTransport:
    """Returns a transport that keeps what its socket refuses, as one with TLS does; what it encrypts stays legible."""
    plain: Any = SimpleNamespace(encrypt=bytes, end=bytes)
    sock: Any = transport
    return TlsTransport(sock, plain)
