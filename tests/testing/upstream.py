"""A server of a few lines behind a door: it answers every player with the same stream, and takes every source.

It knows exactly what it sent and got, so a test can say what the door did with it. Invariant: it is gone when its block
ends.
"""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from pycast.testing.faults import Fault, OrderedFault, Side
from pycast.testing.front_door import FrontDoor
from pycast.testing.lobby import Gate
from pycast.testing.ports import Ports
from pycast.testing.wire_heads import ServerAddress, read_head

MOUNT = "/live.mp3"
METAINT = 100
HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nServer: Upstream\r\n\r\n"
AUDIO = b"".join(b"\xff\xfb\x90\x44 frame %08d " % number + bytes(80) for number in range(200))
TITLE = b"\x01StreamTitle='X';"
TAKEN = b"HTTP/1.0 200 OK\r\n\r\n"


def with_titles(audio: bytes = AUDIO) -> bytes:
    """What a player gets that asks for titles: one at the first place for it."""
    parts = [audio[at : at + METAINT] for at in range(0, len(audio), METAINT)]
    return b"".join(part + (b"\0" if number else TITLE) for number, part in enumerate(parts))


class Upstream:
    """`with Upstream() as upstream`: the server, and the door in front at `upstream.port`."""

    def __init__(self, *, shoutcast_mount: str = "", stays: bool = True) -> None:
        self.got: list[bytes] = []
        """What each connection sent, with its head."""
        self.killed: list[str] = []
        self._stays = stays
        self._listening = socket.create_server(("127.0.0.2", 0))
        self._socks: list[socket.socket] = []
        self._changed = threading.Condition()
        self._ports = Ports()
        self.port = self._ports.take()
        self.door = FrontDoor(lambda mount: [("22/Nov/2025:07:01:00 +0000", f"A on {mount}")], self.killed.append)
        inner = ServerAddress(*self._listening.getsockname())
        self.gate = Gate(ServerAddress("127.0.0.1", self.port), inner, shoutcast_mount)

    def __enter__(self) -> Self:
        self.door.open([self.gate])
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.door.close("the test is over")
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for sock in self._socks:
            sock.close()
        self._ports.release()

    def fault(self, fault: Fault, *, on: Side = "both", times: int | None = None) -> OrderedFault:
        return OrderedFault(self.door, MOUNT, fault, on=on, times=times)

    def wait_for(self, data: bytes, timeout: float = 10.0) -> None:
        """Returns once a connection has sent `data`, at its end."""
        with self._changed:
            assert self._changed.wait_for(lambda: any(one.endswith(data) for one in self.got), timeout), self.got

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self._socks.append(sock)
            threading.Thread(target=self._serve, args=(sock, len(self._socks) - 1), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        self.got += [b""] * (number + 1 - len(self.got))
        with suppress(OSError), sock:
            head, rest = read_head(sock, 10)
            self._take(number, head.raw + rest)
            sock.settimeout(None)
            if head.word == "GET":
                wants = "icy-metadata" in head.headers
                metaint = b"icy-metaint: %d\r\n\r\n" % METAINT if wants else b"\r\n"
                sock.sendall(HEAD[:-2] + metaint + (with_titles() if wants else AUDIO))
            else:
                sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * (head.word == "PUT") + TAKEN)
            if not self._stays:
                sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                self._take(number, data)

    def _take(self, number: int, data: bytes) -> None:
        with self._changed:
            self.got[number] += data
            self._changed.notify_all()
