"""Listeners of whom it is known whether they were cut off, had to wait, or lost their place: title blocks come where an
ICY player counts them, Ogg pages follow each other and have their headers. Of plain ones the kernel throws the bytes
away.

The one invariant: `dry_s` is how long a player that plays from its first byte on had nothing to play at the worst
moment, this loop's own delays included. What it holds is counted from what it has got: 16 kB of MP3 are a second, and
so are five pages of Ogg. `gap_s` is the longest time between two reads, whatever the player holds.

This loop reads all listeners, and on a busy machine it may be what is late: `Ears.turn_s` is the longest time that one
turn over those who had something took. A server that sends on time has listeners who wait no longer than that.
"""

import select
import socket
import time

from benchmarks.frames import BYTES_PER_S
from pycast.formats.ogg import Ogg

_READ, _DISCARD = 1 << 18, 1 << 20
_ADDRESSES = 200
_IP_BIND_ADDRESS_NO_PORT = 24
_PAGES_A_SECOND = 5
_BLOCK = b"StreamTitle='"
_HEAD_END = b"\r\n\r\n"


class Ear:
    """One listener: what it asks for, and what was wrong with what it got."""

    def __init__(self, path: str, *, is_icy: bool) -> None:
        self.request = f"GET {path} HTTP/1.0\r\nUser-Agent: bench\r\n{'Icy-MetaData: 1' if is_icy else 'A: b'}\r\n\r\n"
        self.sock = socket.socket()
        self.received = self.blocks = 0
        self.error = ""
        self.began = self.dry_s = self.gap_s = self.audio_s = 0.0
        self._read_at = 0.0
        self._head: bytes | None = b""
        self._metaint = self._left = 0
        self._block = b""
        self._ogg = Ogg() if path.endswith(".ogg") else None

    @property
    def is_plain(self) -> bool:
        """Whether only the number of its bytes matters from now on."""
        return self._head is None and not self._metaint and self._ogg is None

    def note(self, size: int, now: float, audio_s: float) -> None:
        """Counts what was read at `now`, which has so many seconds of audio."""
        self.began = self.began or now
        self.gap_s = max(self.gap_s, now - (self._read_at or now))
        self._read_at = now
        self.dry_s = max(self.dry_s, now - self.began - self.audio_s)
        self.received += size
        self.audio_s += audio_s

    def take(self, data: bytes, now: float) -> None:
        """Takes what was read at `now`."""
        pages = data.count(b"OggS\0\0")
        self.note(len(data), now, pages / _PAGES_A_SECOND if self._ogg else len(data) / BYTES_PER_S)
        if self._head is not None:
            data = self._answer(self._head + data)
        if self._metaint:
            self._split(data)
        elif self._ogg is not None:
            self._ogg.feed(data)
            if self._ogg.dropped:
                self.error = "an Ogg page without its headers, or no page"

    def _answer(self, head: bytes) -> bytes:
        fields, end, rest = head.partition(_HEAD_END)
        self._head = None if end else head
        if end and b" 200 " not in fields[:20]:
            self.error = fields[:40].decode("latin-1")
        found = fields.lower().partition(b"icy-metaint:")[2]
        self._metaint = self._left = int(found.split(b"\r\n")[0]) if found else 0
        return rest

    def _split(self, data: bytes) -> None:
        """Skips audio, and looks at each title block."""
        at = 0
        while at < len(data):
            if self._left:
                skipped = min(self._left, len(data) - at)
                self._left -= skipped
                at += skipped
                continue
            size = 1 + 16 * (self._block[0] if self._block else data[at])
            taken = data[at : at + size - len(self._block)]
            self._block += taken
            at += len(taken)
            if len(self._block) == size:
                if size > 1 and not self._block[1:].startswith(_BLOCK):
                    self.error = "no title where icy-metaint says"
                self.blocks, self._left, self._block = self.blocks + 1, self._metaint, b""


class Ears:
    """All listeners of one server."""

    def __init__(self, port: int, ears: list[Ear]) -> None:
        self.ears = ears
        self.turn_s = 0.0
        """The longest time that one turn took."""
        self._port = port
        self._epoll = select.epoll()
        self._by_fd: dict[int, Ear] = {}
        self._buffer = bytearray(_DISCARD)

    def connect(self, timeout_s: float) -> None:
        """Connects all, some at a time, and waits until each has audio."""
        for number, ear in enumerate(self.ears):
            ear.sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            ear.sock.bind((f"127.0.0.{2 + number % _ADDRESSES}", 0))
            ear.sock.connect(("127.0.0.1", self._port))
            ear.sock.sendall(ear.request.encode())
            ear.sock.setblocking(False)
            self._by_fd[ear.sock.fileno()] = ear
            self._epoll.register(ear.sock.fileno(), select.EPOLLIN)
            if number % 20 == 0:
                self.run(0.0)
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not all(ear.received or ear.error for ear in self.ears):
            self.run(0.05)

    def run(self, seconds: float) -> None:
        """Reads for so long."""
        until = time.monotonic() + seconds
        while True:
            found = self._epoll.poll(max(min(until - time.monotonic(), 0.05), 0.0), len(self.ears))
            began = time.monotonic()
            for fd, _ in found:
                self._read(self._by_fd[fd])
            now = time.monotonic()
            self.turn_s = max(self.turn_s, now - began)
            if now >= until:
                return

    def _read(self, ear: Ear) -> None:
        try:
            if ear.is_plain:
                size = ear.sock.recv_into(self._buffer, _DISCARD, socket.MSG_TRUNC)
                ear.note(size, time.monotonic(), size / BYTES_PER_S)
            else:
                size = len(data := ear.sock.recv(_READ))
                ear.take(data, time.monotonic())
        except OSError as error:
            size, ear.error = 0, ear.error or str(error)
        if size:
            return
        ear.error = ear.error or "closed by the server"
        self._epoll.unregister(ear.sock.fileno())

    def close(self) -> None:
        """Closes all connections."""
        self._epoll.close()
        for ear in self.ears:
            ear.sock.close()
