"""Visitors of pages: they ask at a rate, all at once, or do not read. Each has a connection of its own, as in HTTP/1.0.

`python -m benchmarks.page_visitors PORT PATH RATE SECONDS` asks at that rate and prints one JSON object. The invariant:
it never waits for one visitor, and falls behind the rate only if its own core is full: the number of answers shows it.
"""

import json
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_PATIENCE_S = 30.0
_DISCARD = 1 << 20
_LINGER = b"\1\0\0\0\0\0\0\0"  # reset at close: thousands of TIME_WAITs would follow into the next run
_HEAD = len("HTTP/1.0 200")


@dataclass(slots=True)
class Answers:
    """What visitors got. `last_s` is when the last had all, since the first asked."""

    answers: int = 0
    wrong: int = 0
    bytes: int = 0
    last_s: float = 0.0


class Visitors:
    """Visitors of one path."""

    def __init__(self, port: int, path: str, *, takes_gzip: bool = False) -> None:
        self._address = ("127.0.0.1", port)
        encoding = "Accept-Encoding: gzip, deflate, br\r\n" if takes_gzip else ""
        head = f"GET {path} HTTP/1.1\r\nHost: radio.example:8000\r\nUser-Agent: pycast-bench\r\n{encoding}\r\n"
        self._request = head.encode()
        self._epoll = select.epoll()
        self._open: dict[int, tuple[socket.socket, bytearray]] = {}
        self._began = 0.0
        self._found = Answers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sock, _ in self._open.values():
            sock.close()
        self._epoll.close()

    def ask(self, count: int) -> float:
        """Asks at once on `count` connections. Returns how many seconds that took."""
        self._found, self._began = Answers(), time.monotonic()
        for _ in range(count):
            self._ask()
        return time.monotonic() - self._began

    def ask_slowly(self, count: int, measure: Callable[[], int]) -> int:
        """Asks on `count` connections within some seconds and reads nothing. Returns the most that was measured."""
        most = 0
        for number in range(count):
            self._ask()
            if number % 50 == 49:
                time.sleep(0.02)
                most = max(most, measure())
        for _ in range(20):
            time.sleep(0.1)
            most = max(most, measure())
        return most

    def ask_at(self, rate: float, seconds: float) -> Answers:
        """Asks `rate` times a second and reads."""
        self._found, self._began = Answers(), time.monotonic()
        asked = 0
        while (now := time.monotonic() - self._began) < seconds:
            while asked < now * rate:
                self._ask()
                asked += 1
            self._read(0.002)
        return self.read(_PATIENCE_S)

    def read(self, seconds: float) -> Answers:
        """Reads until all have their answers or the time is over: the others count as wrong."""
        until = time.monotonic() + seconds
        while self._open and time.monotonic() < until:
            self._read(0.05)
        self._found.wrong += len(self._open)
        return self._found

    def probe(self, path: str, enough: int) -> Callable[[], float]:
        """Asks for `path` on a thread. Returns a function that waits and returns after how many seconds `enough` bytes,
        or the end, were there.
        """
        took: list[float] = []

        def run() -> None:
            began = time.monotonic()
            with socket.create_connection(self._address, timeout=_PATIENCE_S) as sock:
                sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                size = 0
                while (data := sock.recv(65_536)) and (size := size + len(data)) < (enough or 1):
                    pass
            took.append(time.monotonic() - began)

        thread = threading.Thread(target=run)
        thread.start()

        def wait() -> float:
            thread.join()
            return took[0] if took else float("inf")

        return wait

    def _ask(self) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        sock.connect_ex(self._address)
        while True:
            try:
                sock.send(self._request)
                break
            except BlockingIOError:  # on loopback the handshake is over by now, unless the backlog is full
                time.sleep(0.001)
        self._open[sock.fileno()] = (sock, bytearray())
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _read(self, timeout_s: float) -> None:
        for fd, _ in self._epoll.poll(timeout_s, 256):
            sock, head = self._open[fd]
            try:
                data = sock.recv(_DISCARD)
            except OSError:
                data = b""
            self._found.bytes += len(data)
            head += data[: _HEAD - len(head)]
            if data:
                continue
            del self._open[fd]
            sock.close()
            self._found.answers += 1
            self._found.wrong += bytes(head[-3:]) != b"200"
            self._found.last_s = time.monotonic() - self._began


def main() -> int:
    """Asks until the time is over."""
    port, path, rate, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    with Visitors(port, path, takes_gzip=True) as visitors:
        found = visitors.ask_at(rate, seconds)
    print(json.dumps({"answers": found.answers, "wrong": found.wrong, "bytes": found.bytes}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
