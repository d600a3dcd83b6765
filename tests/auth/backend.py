"""A server that is asked about listeners and sources: it keeps the forms, and answers as a test chooses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from pycast.testing.ports import Ports

YES = "icecast-auth-user: 1"

Asked = dict[str, str]


class Backend:
    """`answer` returns the header lines for a form, with the status line if they begin with "HTTP/"; None: it closes
    the connection without an answer.
    """

    def __init__(self) -> None:
        self._ports = Ports()
        """Its port, which is nobody else's while it does not listen."""
        self.answer: Callable[[Asked], str | None] = lambda asked: YES
        self.asked: list[Asked] = []
        self.bodies: list[bytes] = []
        self.heads: list[str] = []
        self.open = self.most = 0
        self.connections = 0
        self.delay = 0.0
        self.body = b"ok"
        """The body of each answer."""
        self.is_closing = False
        """Whether it keeps no connection."""
        self._server = StreamServer(("127.0.0.1", self._ports.take()), self._serve, spawn=Pool())

    def start(self, port: int = 0) -> None:
        """Listens, on the port that it had before if that is given."""
        if port:
            self._server = StreamServer(("127.0.0.1", port), self._serve, spawn=Pool())
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0)

    def close(self) -> None:
        """Stops it for good."""
        self.stop()
        self._ports.release()

    @property
    def port(self) -> int:
        return int(self._server.address[1])

    def url(self, path: str = "/auth") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def of(self, action: str) -> list[Asked]:
        return [one for one in self.asked if one["action"] == action]

    def _serve(self, sock: Any, address: object) -> None:
        self.connections += 1
        with sock.makefile("rb") as file:
            while line := file.readline():
                head = line.decode()
                while (more := file.readline()).strip():
                    head += more.decode()
                length = next(
                    int(one.partition(":")[2]) for one in head.lower().split("\r\n") if "content-length" in one
                )
                body = file.read(length)
                asked = dict(parse_qsl(body.decode(), keep_blank_values=True))
                self.heads.append(head)
                self.bodies.append(body)
                self.asked.append(asked)
                self.open += 1
                self.most = max(self.most, self.open)
                gevent.sleep(self.delay)
                self.open -= 1
                lines = self.answer(asked)
                if lines is None:
                    return
                status, rest = ("HTTP/1.1 200 OK", lines) if not lines.startswith("HTTP/") else lines.split("\r\n", 1)
                rest = f"{rest}\r\n" if rest else ""
                rest += "Connection: close\r\n" * self.is_closing
                sock.sendall(f"{status}\r\n{rest}Content-Length: {len(self.body)}\r\n\r\n".encode() + self.body)
                if self.is_closing:
                    return


@contextmanager
def running() -> Iterator[Backend]:
    """Runs one for a test."""
    backend = Backend()
    backend.start()
    try:
        yield backend
    finally:
        backend.close()
