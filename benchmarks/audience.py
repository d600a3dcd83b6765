"""Players that reconnect: thousands of listeners in one thread, which reconnect when they lose their stream.

Each does as ExoPlayer does by default: it reconnects at once after the first error, a second after the next, then two,
up to five, and disconnects if it receives nothing for eight seconds. Every listener's stream is checked for gaps and
repeats with one search in each read: from the number of the last frame follows how many bytes must be between it and
the last one of the read before (`frames.offset_of`).

The one invariant: it never waits for one listener. Those that wait for audio are served within milliseconds, those that
play within a quarter of a second; a lost connection is detected at once.
"""

import errno
import heapq
import select
import socket
import time
from dataclasses import dataclass, field

from benchmarks.frames import offset_of

CONNECT_S = SILENCE_S = 8.0
LONGEST_BACK_OFF_S = 5

_READ = 1 << 18
_PASS_S, _PASS_READS = 0.02, 300
_SOURCE_ADDRESSES = 200
_IP_BIND_ADDRESS_NO_PORT = 24
_AT_ONCE, _IN_FLIGHT = 4, 300

_MARK = b"frame "
_SEQ_SIZE = 8
_STAMP_AT = len(_MARK) + _SEQ_SIZE + len(b" mount 0000 at ")
_STAMP_SIZE = 16
_LEFT_OVER = _STAMP_AT + _STAMP_SIZE - 1  # the most of a frame's text that may still be incomplete
_BYTES_PER_FRAME = 20_480 / 49


def last_frame(data: bytes) -> tuple[int, int, int] | None:
    """Returns the offset, number and sending time (ns) of the last frame whose text is complete in `data`."""
    at = data.rfind(_MARK, 0, max(0, len(data) - _LEFT_OVER - 1 + len(_MARK)))
    if at < 0:
        return None
    stamp = data[at + _STAMP_AT : at + _STAMP_AT + _STAMP_SIZE]
    return at, int(data[at + len(_MARK) : at + len(_MARK) + _SEQ_SIZE], 16), int(stamp, 16)


@dataclass(frozen=True, slots=True)
class Jump:
    """A gap of so many frames (negative: a repeat) within one connection."""

    frames: int
    at: float


class Ear:
    """The stream of one connection, checked for jumps."""

    def __init__(self) -> None:
        self.jumps: list[Jump] = []
        self.stamp_ns = 0
        """When the last frame was sent that has come; 0 before the first."""
        self._left = b""
        self._count = 0
        self._seq = -1
        self._at = 0

    def feed(self, data: bytes, now: float) -> None:
        """Takes the next bytes of the stream."""
        data = self._left + data
        found = last_frame(data)
        if found is not None:
            at, seq, self.stamp_ns = found
            at += self._count
            if self._seq >= 0:
                missing = offset_of(seq) - offset_of(self._seq) - (at - self._at)
                if missing:
                    self.jumps.append(Jump(round(missing / _BYTES_PER_FRAME), now))
            self._seq, self._at = seq, at
        self._left = data[-_LEFT_OVER:]
        self._count += len(data) - len(self._left)


@dataclass(slots=True)
class Listener:
    """One listener. Moments are `time.monotonic()` seconds."""

    sock: socket.socket | None = None
    ear: Ear = field(default_factory=Ear)
    head: bytearray | None = None
    """None once its end was seen."""
    has_heard: bool = False
    is_steady: bool = False
    deadline: float = 0.0
    errors: int = 0
    lost_at: list[float] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    """When the first frame of each connection came."""
    fresh_at: float = 0.0
    """When the first frame came that was sent later than `Audience.mark` says."""
    jumps: list[Jump] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


class Audience:
    """`count` listeners of one mount at one port of 127.0.0.1."""

    def __init__(self, port: int, path: str, count: int) -> None:
        self.listeners = [Listener() for _ in range(count)]
        self.attempts = 0
        self._port = port
        self._request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: pycast-bench\r\n\r\n".encode()
        self._by_fd: dict[int, Listener] = {}
        self._urgent = select.epoll()
        self._steady = select.epoll()
        self._returns: list[tuple[float, int, Listener]] = []
        self._next_pass = self._next_look = 0.0
        self._mark_ns: int | None = None

    def connect(self, timeout_s: float) -> None:
        """Connects all listeners gently; returns when each plays, or the time is over."""
        deadline = time.monotonic() + timeout_s
        waiting, open_ = list(reversed(self.listeners)), list[Listener]()
        while (waiting or open_) and time.monotonic() < deadline:
            for _ in range(min(_AT_ONCE, len(waiting), _IN_FLIGHT - len(open_))):
                open_.append(waiting.pop())
                self._start(open_[-1])
            self._turn(0.005)
            open_ = [one for one in open_ if not one.heard_at]

    def run(self, seconds: float, until_fresh: bool = False) -> None:
        """Runs all listeners for so long; with `until_fresh` only until all have fresh audio."""
        deadline = time.monotonic() + seconds
        left = list(self.listeners)
        while (now := time.monotonic()) < deadline:
            self._turn(min(0.005, deadline - now))
            if until_fresh:
                while left and left[-1].fresh_at:
                    left.pop()
                if not left:
                    return

    def mark(self, later_s: float) -> float:
        """Resets the counts of losses, jumps and attempts; audio sent `later_s` from now or later counts as fresh."""
        for one in self.listeners:
            one.lost_at, one.heard_at, one.jumps, one.fresh_at = [], [], [], 0.0
            one.ear.jumps.clear()
        self.attempts = 0
        now = time.monotonic()
        self._mark_ns = int((now + later_s) * 1e9)
        return now

    @property
    def playing(self) -> int:
        """Returns how many are connected and have had audio."""
        return sum(one.sock is not None and one.has_heard for one in self.listeners)

    def close(self) -> None:
        for one in self.listeners:
            if one.sock is not None:
                one.sock.close()
        self._urgent.close()
        self._steady.close()

    # -- connecting

    def _start(self, one: Listener) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        # A reset at the end, so that thousands of TIME_WAITs do not follow into the next run.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.bind((f"127.0.0.{2 + self.attempts % _SOURCE_ADDRESSES}", 0))
        self.attempts += 1
        one.sock, one.head, one.ear, one.has_heard, one.is_steady = sock, bytearray(), Ear(), False, False
        one.deadline = time.monotonic() + CONNECT_S
        self._by_fd[sock.fileno()] = one
        self._urgent.register(sock.fileno(), select.EPOLLOUT)
        result = sock.connect_ex(("127.0.0.1", self._port))
        if result not in (0, errno.EINPROGRESS):
            self._lose(one, errno.errorcode.get(result, str(result)))

    def _lose(self, one: Listener, reason: str) -> None:
        """Handles a lost or failed connection: schedules the next attempt."""
        now, sock = time.monotonic(), one.sock
        assert sock is not None
        del self._by_fd[sock.fileno()]
        sock.close()  # leaves both epolls by itself
        one.sock = None
        one.jumps += one.ear.jumps
        if one.has_heard:
            one.lost_at.append(now)
            one.errors = 0
        one.reasons.append(reason)
        wait = min(one.errors, LONGEST_BACK_OFF_S)
        one.errors += 1
        heapq.heappush(self._returns, (now + wait, id(one), one))

    # -- one turn

    def _turn(self, timeout_s: float) -> None:
        for fd, events in self._urgent.poll(timeout_s, 512):
            one = self._by_fd.get(fd)
            if one is None:
                continue
            if events & select.EPOLLOUT and not events & select.EPOLLERR:
                self._ask(one)
            else:
                self._read(one)
        now = time.monotonic()
        while self._returns and self._returns[0][0] <= now:
            self._start(heapq.heappop(self._returns)[2])
        if now >= self._next_pass:
            self._next_pass = now + _PASS_S
            for fd, _ in self._steady.poll(0, _PASS_READS):
                if fd in self._by_fd:
                    self._read(self._by_fd[fd])
        if now >= self._next_look:
            self._next_look = now + 0.25
            for one in [one for one in self._by_fd.values() if one.deadline < now]:
                self._lose(one, "silence")

    def _ask(self, one: Listener) -> None:
        assert one.sock is not None
        try:
            one.sock.send(self._request)
        except OSError as error:
            self._lose(one, errno.errorcode.get(error.errno or 0, "?"))
            return
        self._urgent.modify(one.sock.fileno(), select.EPOLLIN)

    def _read(self, one: Listener) -> None:
        assert one.sock is not None
        try:
            data = one.sock.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(one, errno.errorcode.get(error.errno or 0, "?"))
            return
        if not data:
            self._lose(one, "closed")
            return
        now = time.monotonic()
        one.deadline = now + SILENCE_S
        if one.head is not None:
            one.head += data
            head, end, data = bytes(one.head).partition(b"\r\n\r\n")
            if not end:
                return
            if b" 200 " not in head[:16]:
                self._lose(one, f"status {head[9:12].decode('latin-1')}")
                return
            one.head = None
        one.ear.feed(data, now)
        if one.ear.stamp_ns:
            self._note(one, now)

    def _note(self, one: Listener, now: float) -> None:
        """Notes that a listener has audio. It is steady once that is fresh; until then each read is checked at once."""
        if not one.has_heard:
            one.has_heard = True
            one.heard_at.append(now)
        if self._mark_ns is not None and not one.fresh_at:
            if one.ear.stamp_ns <= self._mark_ns:
                return
            one.fresh_at = now
        if not one.is_steady:
            assert one.sock is not None
            one.is_steady = True
            self._urgent.modify(one.sock.fileno(), select.EPOLLRDHUP)
            self._steady.register(one.sock.fileno(), select.EPOLLIN)
