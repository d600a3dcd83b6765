"""Players over TLS: each makes its handshake, asks for a mount, and decrypts what it gets until it has enough to play.

From then on the kernel throws away what comes, as for `load.Crowd`: to decrypt it would cost this process as much as
the server. A sample goes on, and every frame of it is checked. The invariant: nothing waits for one player.
"""

import select
import socket
import ssl
import time
from collections import Counter

from benchmarks.frames import FrameReader
from benchmarks.light_tls import LightTls
from benchmarks.load import ENOUGH_BYTES

_READ, _DISCARD = 65_536, 1 << 20
_ADDRESSES = 200
_IP_BIND_ADDRESS_NO_PORT = 24
_AT_ONCE = 50
_SWEEP_S = 1.0
_HEAD_END = b"\r\n\r\n"


def client_context() -> ssl.SSLContext:
    """Returns a context that trusts anybody: the certificate is signed by itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class TlsPlayer:
    """One player. Its moments are `time.monotonic()` seconds. Without a `path` it only makes the handshake."""

    def __init__(
        self, path: str = "", *, enough: int = ENOUGH_BYTES, is_sample: bool = False, is_light: bool = False
    ) -> None:
        head = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nUser-Agent: pycast-bench\r\n\r\n"
        self.request = head.encode() if path else b""
        self.checker = FrameReader(0) if is_sample else None
        self.is_light = is_light
        self.audio = 0
        self.enough_at = 0.0
        self.error = ""
        self._enough = enough
        self._head: bytes | None = b""

    @property
    def is_playing(self) -> bool:
        """Whether it had enough audio, and nothing was wrong since."""
        return self.enough_at > 0 and not self.error

    def note_handshake(self) -> None:
        """Notes that the handshake is made."""
        if not self.request:
            self.enough_at = time.monotonic()

    def take(self, data: bytes) -> None:
        """Takes what was decrypted."""
        if self._head is not None:
            head, end, data = (self._head + data).partition(_HEAD_END)
            self._head = None if end else head
            if end and b" 200 " not in head[:20]:
                self.error = head[:40].decode("latin-1")
            if not end:
                return
        self.audio += len(data)
        if self.checker is not None:
            self.checker.feed(data, time.monotonic_ns())
        if self.audio >= self._enough and not self.enough_at:
            self.enough_at = time.monotonic()


class _SslEnd:
    """A player's end of TLS, by Python's `ssl`."""

    def __init__(self, player: TlsPlayer, context: ssl.SSLContext) -> None:
        self._player = player
        self._arrived, self._said = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._end = context.wrap_bio(self._arrived, self._said)
        self._is_shaken = False

    def hello(self) -> bytes:
        """Returns the first words."""
        return self.take(b"")

    def take(self, data: bytes) -> bytes:
        """Takes what has come, and returns what is to be sent. Raises OSError."""
        self._arrived.write(data)
        try:
            if not self._is_shaken:
                self._end.do_handshake()
                self._is_shaken = True
                self._player.note_handshake()
                self._end.write(self._player.request)
            while True:
                self._player.take(self._end.read(_READ))
        except ssl.SSLWantReadError:
            pass
        return self._said.read()


class _LightEnd:
    """A player's end of TLS that costs the generator little."""

    def __init__(self, player: TlsPlayer) -> None:
        self._player = player
        self._end = LightTls(player.request)
        self.hello = self._end.hello

    def take(self, data: bytes) -> bytes:
        """Takes what has come, and returns what is to be sent. Raises OSError."""
        said, audio = self._end.take(data)
        if audio:
            self._player.take(audio)
        return said


class TlsCrowd:
    """All players of one server."""

    def __init__(self, port: int) -> None:
        self.players: list[TlsPlayer] = []
        self._port = port
        self._context = client_context()
        self._epoll = select.epoll()
        self._open: dict[int, tuple[TlsPlayer, socket.socket, _SslEnd | _LightEnd]] = {}
        self._busy = 0
        """How many of those have not enough yet."""
        self._swept: list[tuple[TlsPlayer, socket.socket]] = []
        self._sweep_at = 0.0
        self._buffer = bytearray(_DISCARD)

    def connect(self, players: list[TlsPlayer], timeout_s: float, *, at_once: int = _AT_ONCE) -> float:
        """Connects players, so many at once, and returns when each has enough, has failed, or the time is over; the
        seconds that it took.
        """
        began, waiting = time.monotonic(), list(reversed(players))
        self.players += players
        while (waiting or self._busy) and time.monotonic() < began + timeout_s:
            while waiting and self._busy < at_once:
                self._begin(waiting.pop())
            self._turn(0.005)
        for player in players:
            if not player.enough_at:
                player.error = player.error or "no audio in time"
        return time.monotonic() - began

    def run(self, seconds: float) -> None:
        """Reads for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._turn(min(0.05, left))

    def errors(self) -> Counter[str]:
        """Returns what was wrong with players, and how many of them."""
        return Counter(player.error for player in self.players if player.error)

    def frame_errors(self) -> int:
        """Returns how many frames of the sample were wrong, missing or repeated."""
        return sum(player.checker.errors for player in self.players if player.checker is not None)

    def close(self) -> None:
        """Closes all sockets, with a reset."""
        for sock in (*(sock for _, sock, _ in self._open.values()), *(sock for _, sock in self._swept)):
            sock.close()
        self._epoll.close()

    def _begin(self, player: TlsPlayer) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((f"127.0.0.{2 + (len(self._swept) + len(self._open)) % _ADDRESSES}", 0))
        sock.connect(("127.0.0.1", self._port))  # on loopback it is over at once, unless the server's queue is full
        sock.setblocking(False)
        end = _LightEnd(player) if player.is_light else _SslEnd(player, self._context)
        self._open[sock.fileno()] = (player, sock, end)
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        self._busy += 1
        sock.send(end.hello())

    def _turn(self, timeout_s: float) -> None:
        for fd, _ in self._epoll.poll(timeout_s, 256):
            self._read(fd, *self._open[fd])
        if time.monotonic() - self._sweep_at > _SWEEP_S:
            self._sweep_at = time.monotonic()
            for player, sock in self._swept:
                self._discard(player, sock)

    def _read(self, fd: int, player: TlsPlayer, sock: socket.socket, end: _SslEnd | _LightEnd) -> None:
        was_busy = not player.enough_at
        try:
            data = sock.recv(_READ)
            if not data:
                raise ConnectionAbortedError("closed by the server")
            if said := end.take(data):
                sock.send(said)  # less than what a new connection takes
        except BlockingIOError:
            return
        except OSError as error:
            player.error = str(error)
        if was_busy and (player.enough_at or player.error):
            self._busy -= 1
        if player.error or (player.enough_at and player.checker is None):
            del self._open[fd]
            self._epoll.unregister(fd)
            if player.error:
                sock.close()
            else:
                self._swept.append((player, sock))

    def _discard(self, player: TlsPlayer, sock: socket.socket) -> None:
        if player.error:
            return
        try:
            if not sock.recv_into(self._buffer, _DISCARD, socket.MSG_TRUNC):
                player.error = "closed by the server"
        except BlockingIOError:
            return
        except OSError as error:
            player.error = str(error)
