"""Streams of 64 kbit/s to be relayed, and one listener for each of them, in one thread.

`RelayUpstream` answers like a master: with the list of its mounts, and each mount with numbered frames in real time.
`hear` connects a listener to each mount of the server that relays them, and checks what it gets. A frame is valid
MPEG-1 layer III, 64 kbit/s, 44.1 kHz: 208 bytes with its mount, its number and the moment at which it was sent.

The one invariant: it never waits for one connection; every method returns by its deadline.
"""

import select
import socket
import struct
import time
from dataclasses import dataclass, field

FRAME_BYTES = 208
FRAME_S = 1152 / 44_100

_HEAD = b"\xff\xfb\x50\x44" + bytes(32)
_MARK = b"frame"
_FIELDS = struct.Struct(">5sHIQ")
_BURST = 250
"""Frames that a listener of a server gets at once: 52 kB."""

_ANSWER = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Benchmark\r\nicy-br: 64\r\n\r\n"


def frame(mount: int, seq: int, sent_ns: int) -> bytes:
    """Returns frame `seq` of a mount."""
    # No byte of the numbers is 0xFF in practice, and a false sync word would only cost its reader a look.
    return (_HEAD + _FIELDS.pack(_MARK, mount, seq, sent_ns)).ljust(FRAME_BYTES, b"+")


@dataclass(slots=True)
class Heard:
    """What one listener has got so far."""

    mount: int
    data: bytearray = field(default_factory=bytearray)
    next_seq: int = -1
    frames: int = 0
    errors: int = 0
    last_at: float = 0.0
    longest_gap_s: float = 0.0
    worst_latency_s: float = 0.0

    def feed(self, data: bytes, now_ns: int) -> None:
        """Takes what has arrived."""
        self.longest_gap_s = max(self.longest_gap_s, now_ns / 1e9 - self.last_at)
        self.last_at = now_ns / 1e9
        self.data += data
        if self.next_seq < 0:
            at = self.data.find(_HEAD + _MARK)
            if at < 0:
                return
            del self.data[:at]
        while len(self.data) >= FRAME_BYTES:
            mark, mount, seq, sent_ns = _FIELDS.unpack_from(self.data, len(_HEAD))
            is_right = mark == _MARK and mount == self.mount and seq == max(self.next_seq, 0 if self.frames else seq)
            self.errors += not is_right
            self.frames += 1
            self.next_seq = seq + 1
            self.worst_latency_s = max(self.worst_latency_s, (now_ns - sent_ns) / 1e9)
            del self.data[:FRAME_BYTES]

    def begin_span(self) -> None:
        """Forgets what was before."""
        self.longest_gap_s = self.worst_latency_s = 0.0
        self.frames = 0
        self.last_at = time.monotonic()


class RelayUpstream:
    """The server of `mounts` streams, and the listeners of the server that relays them."""

    def __init__(self, mounts: int) -> None:
        self.paths = [f"/m{number}.mp3" for number in range(mounts)]
        self.listeners: list[Heard] = []
        self.broken = 0
        """Connections of the server that ended, or did not take a frame."""
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listening.setblocking(False)
        self.port = int(self._listening.getsockname()[1])
        self._poll = select.epoll()
        self._poll.register(self._listening, select.EPOLLIN)
        self._new: dict[int, socket.socket] = {}
        self._streams: dict[int, socket.socket] = {}
        self._heard: dict[int, tuple[socket.socket, Heard]] = {}
        self._seq = _BURST
        self._due = time.monotonic()

    @property
    def connected(self) -> int:
        """How many of its streams the server fetches."""
        return len(self._streams)

    def hear(self, port: int) -> None:
        """Connects a listener to each mount of the server at `port`."""
        for number, path in enumerate(self.paths):
            sock = socket.create_connection(("127.0.0.1", port), 5)
            sock.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            sock.setblocking(False)
            heard = Heard(number)
            self.listeners.append(heard)
            self._heard[sock.fileno()] = sock, heard
            self._poll.register(sock, select.EPOLLIN)
            self.run(0.002)

    def run(self, seconds: float) -> None:
        """Sends, and takes what arrives, for so long."""
        deadline = time.monotonic() + seconds
        while (now := time.monotonic()) < deadline:
            if now >= self._due:
                self._send()
                self._due += FRAME_S
            for fd, _ in self._poll.poll(max(0.0, min(self._due, deadline) - time.monotonic())):
                self._on_event(fd)

    def close(self) -> None:
        socks = [*self._new.values(), *self._streams.values(), *(sock for sock, _ in self._heard.values())]
        for sock in (self._listening, *socks):
            sock.close()
        self._poll.close()

    def _send(self) -> None:
        now_ns, seq = time.monotonic_ns(), self._seq
        for mount, sock in list(self._streams.items()):
            try:
                is_sent = sock.send(frame(mount, seq, now_ns)) == FRAME_BYTES
            except OSError:
                is_sent = False
            if not is_sent:
                self.broken += 1
                self._streams.pop(mount).close()
        self._seq += 1

    def _on_event(self, fd: int) -> None:
        if fd == self._listening.fileno():
            sock, _ = self._listening.accept()
            self._new[sock.fileno()] = sock
            self._poll.register(sock, select.EPOLLIN)
        elif fd in self._new:
            self._answer(self._new.pop(fd))
        elif fd in self._heard:
            sock, heard = self._heard[fd]
            data = sock.recv(1 << 18)
            if data:
                heard.feed(data, time.monotonic_ns())
            else:
                heard.errors += 1
                self._poll.unregister(fd)
        else:
            self._poll.unregister(fd)

    def _answer(self, sock: socket.socket) -> None:
        path = sock.recv(4096).split(b" ")[1].decode()
        self._poll.unregister(sock)
        if path in self.paths:
            mount, now_ns = self.paths.index(path), time.monotonic_ns()
            burst = b"".join(frame(mount, seq, now_ns) for seq in range(self._seq - _BURST, self._seq))
            sock.sendall(_ANSWER + burst)
            sock.setblocking(False)
            self._streams[mount] = sock
            return
        with sock:
            if path == "/admin/streamlist.txt":
                lines = "".join(f"{one}\r\n" for one in self.paths).encode()
                sock.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + lines)
            else:
                sock.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
