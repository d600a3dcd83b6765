"""A server to relay from, in the test's own process: it answers each request as the test says.

Helpers only. Invariant: after `close` nothing of it is left.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool
from gevent.server import StreamServer
from gevent.ssl import SSLContext

from pycast.http.icy import title_block
from pycast.relay.place import Place
from tests.e2e.wire import frames

Play = Callable[[socket.socket, bytes], None]

ICY = b"ICY 200 OK\r\nicy-name:Far away\r\ncontent-type:audio/mpeg\r\n"
HTTP = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name:Far away\r\n"
METAINT = 4170
BURST = 40
"""Frames that a server sends at once."""


class Upstream:
    """The server. `play` gets each connection and the head of its request."""

    def __init__(self, play: Play, tls: SSLContext | None = None) -> None:
        self.play = play
        self.heads: list[bytes] = []
        self._pool = Pool()
        options: dict[str, Any] = {"ssl_context": tls} if tls else {}
        self._server = StreamServer(("127.0.0.1", 0), self._serve, spawn=self._pool, **options)
        self._server.start()

    @property
    def port(self) -> int:
        return int(self._server.address[1])

    @property
    def connections(self) -> int:
        return len(self._pool)

    def place(self, path: str = "/live.mp3") -> Place:
        return Place("127.0.0.1", self.port, path)

    def hang_up(self) -> None:
        """Ends all connections, and goes on."""
        self._pool.kill()

    def close(self) -> None:
        self._server.stop(timeout=0)
        self._pool.kill()

    def _serve(self, sock: socket.socket, _: object) -> None:
        with sock, suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                data = sock.recv(4096)
                if not data:
                    return
                head += data
            self.heads.append(head)
            self.play(sock, head)


def plays(head: bytes = HTTP, *, first: int = 0, step_s: float = 0.02) -> Play:
    """Returns what sends frames for ever: a burst, then one every 20 ms."""

    def play(sock: socket.socket, _: bytes) -> None:
        sock.sendall(head + b"\r\n" + frames(first, BURST))
        number = first + BURST
        while True:
            gevent.sleep(step_s)
            sock.sendall(frames(number, 1))
            number += 1

    return play


def plays_titles(title: Callable[[], str], charset: str = "UTF-8") -> Play:
    """Returns what sends frames with a title block every `METAINT` bytes."""

    def play(sock: socket.socket, head: bytes) -> None:
        assert b"Icy-MetaData: 1\r\n" in head
        sock.sendall(ICY + b"icy-metaint:%d\r\n\r\n" % METAINT)
        number = 0
        while True:
            count = METAINT // 417
            sock.sendall(frames(number, count) + title_block(title(), "", charset))
            number += count
            gevent.sleep(0.02)

    return play


def answers(head: bytes, body: bytes = b"", *, then_s: float = 0.0) -> Play:
    """Returns what sends this and, after a while, closes."""

    def play(sock: socket.socket, _: bytes) -> None:
        sock.sendall(head + b"\r\n" + body)
        if then_s:
            gevent.sleep(then_s)

    return play


def silent(sock: socket.socket, _: bytes) -> None:
    """Accepts, and never answers."""
    gevent.sleep(60)


def comes(is_so: Callable[[], object], seconds: float = 10.0) -> bool:
    """Lets greenlets run until the condition holds. Returns whether it came."""
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        gevent.sleep(0.005)
    return bool(is_so())
