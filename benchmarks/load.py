"""The load generator: a crowd of players on plain sockets, in one thread.

Most players are only counted: about once a second `recv_into(buffer, 1 << 20, MSG_TRUNC)` has the kernel throw away
what has come, without a copy. What they count is exact all the same: the first frame is read for real, so the stream
offset of each player's first byte is known, and with the source's position so is the byte that it must have reached. A
sample of players is read for real, at once, and checked byte by byte (`frames.FrameReader`), which gives the latency.

Rejected: a process or greenlet per player (the generator would need more CPU than the server), a proxy or a second
machine (the issue is the server's cost, and loopback keeps both ends' clocks the same).

The invariant: it never waits for one player; the longest it looks away from the sample is one slice of a sweep.
"""

import errno
import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence

from benchmarks.frames import BYTES_PER_S, IcySplitter, find_frame, offset_of
from benchmarks.players import Outcome, Player

ENOUGH_BYTES = 16_000
"""The audio with which a player starts to play; the storm's bar has the same number."""

_SWEEP_S = 1.0
_SLICE = 64  # players swept between two looks at the sample: under a millisecond, so latencies stay exact to that
_DISCARD = 1 << 20
_READ = 32_768
_SOURCE_ADDRESSES = 200  # 127.0.0.2 and up: 28,000 local ports each, so TIME_WAIT of earlier runs never matters
# icecast2 has a backlog of five: a gentle crowd must connect more slowly than it accepts, but in seconds, not minutes.
_AT_ONCE = 4
_IN_FLIGHT = 400
_PATIENCE_S = 3.0
_BATCH_GAP_S = 0.004  # reads closer together than this came from one write of the server
_IP_BIND_ADDRESS_NO_PORT = 24
_MAX_HEAD = 16_384

Position = Callable[[int], int]


class Crowd:
    """Players of one server; every method works in the caller's thread and returns by its deadline."""

    def __init__(self, port: int, position: Position) -> None:
        """`position(mount)` is the number of bytes that the source has sent to that mount."""
        self._port = port
        self._position = position
        self._epoll = select.epoll()
        self._players: list[Player] = []
        self._by_fd: dict[int, Player] = {}
        self._swept: list[Player] = []
        self._sweep_began = time.monotonic()
        self._sweep_at = 0
        self._buffer = bytearray(_DISCARD)
        self._span_began: float | None = None
        self._span_s = 0.0
        self.retries = 0

    def add(
        self,
        paths: Sequence[str],
        count: int,
        *,
        is_icy: bool = False,
        sample: int = 40,
        head: str = "",
        agent: str = "pycast-bench",
    ) -> list[Player]:
        """Makes `count` players, not yet connected, spread over the mounts `paths`; `sample` of them read for real.
        `head` are more lines of their requests; `{}` in their agent becomes a number for each.
        """
        every = max(1, count // max(1, sample))
        made = []
        for i in range(count):
            mount = i % len(paths)
            is_sample = i % every == every - 1 and i // every < sample
            player = Player(
                self._socket(),
                paths[mount],
                mount,
                is_icy=is_icy,
                is_sample=is_sample,
                head=head,
                agent=agent.format(i),
            )
            made.append(player)
            self._players.append(player)
        return made

    def connect(self, players: Sequence[Player], timeout_s: float) -> None:
        """Connects the players gently, until each has enough audio or the time is over.

        Gently: so few at a time that no backlog overflows, and one that gets no answer tries again, as a person would.
        """
        deadline = time.monotonic() + timeout_s
        waiting = list(reversed(players))
        open_: list[Player] = []
        while time.monotonic() < deadline:
            for _ in range(min(_AT_ONCE, len(waiting), _IN_FLIGHT - len(open_))):
                player = waiting.pop()
                self._start(player)
                open_.append(player)
            self._turn(0.005)
            open_ = [player for player in open_ if not player.enough_at and not player.error]
            self._retry(open_)
            if not waiting and not open_:
                return
        for player in (*open_, *waiting):
            self._fail(player, "no audio in time")

    def storm(self, players: Sequence[Player], timeout_s: float) -> float:
        """Connects all players at once; returns the moment it began. Ends as `connect` does."""
        began = time.monotonic()
        for player in players:
            self._start(player)
            player.began = began
        deadline = began + timeout_s
        left = list(players)
        while left and time.monotonic() < deadline:
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                self._turn(0.005)
            left = [player for player in left if not player.enough_at and not player.error]
        for player in left:
            self._fail(player, "no audio in time")
        return began

    def run(self, seconds: float) -> None:
        """Runs all players for so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._turn(min(0.005, left))

    def begin_span(self) -> None:
        """Starts to count latencies, lags and the server's batches."""
        now_ns = time.monotonic_ns()
        self._span_began = now_ns / 1e9
        for player in self._players:
            player.worst_lag = player.gaps = 0
            if player.checker is not None:
                player.checker.record_from_ns = now_ns

    def end_span(self) -> None:
        """Ends the span; `drain` still waits for frames that were sent before."""
        assert self._span_began is not None
        self._span_s = time.monotonic() - self._span_began
        self._span_began = None

    def drain(self, timeout_s: float) -> None:
        """Runs, while the source is held, until all players have everything or the time is over."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._sweep(len(self._swept))
            self._turn(0.05)
            if not any(player.is_playing and player.seen_by(self._position(player.mount)) for player in self._players):
                return

    def outcome(self, without: Sequence[Player] = ()) -> Outcome:
        """Returns the figures of all players but `without` so far; `least_share` is exact after `drain`."""
        left_out = set(without)
        players = [player for player in self._players if player not in left_out]
        playing = [player for player in players if player.is_playing]
        sample = [player for player in playing if player.checker is not None]
        checkers = [player.checker for player in players if player.checker is not None]
        shares = [self._share(player) for player in players if player.first_offset >= 0]
        gaps = sum(player.gaps for player in sample)
        return Outcome(
            players=len(players),
            playing=len(playing),
            errors=dict(Counter(player.error for player in players if player.error)),
            least_share=min(shares, default=0.0) if len(shares) == len(players) else 0.0,
            worst_lag_s=max((player.worst_lag for player in playing), default=0) / BYTES_PER_S,
            sample=len(sample),
            frames=sum(checker.frames for checker in checkers),
            frame_errors=sum(checker.errors for checker in checkers),
            titles=sum(len(player.splitter.titles) for player in sample if player.splitter is not None),
            flush_s=self._span_s * len(sample) / gaps if gaps else float("nan"),
            latencies_s=tuple(sorted(x for checker in checkers for x in checker.latencies_s)),
        )

    def close(self) -> None:
        """Closes all sockets (with a reset: thousands of TIME_WAITs would follow into the next run)."""
        for player in self._players:
            player.sock.close()
        self._epoll.close()

    # -- connecting -----------------------------------------------------------------------------------------------

    def _socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.SOL_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.bind((f"127.0.0.{2 + len(self._players) % _SOURCE_ADDRESSES}", 0))
        return sock

    def _retry(self, players: Sequence[Player]) -> None:
        """Reconnects players that wait too long for the first byte of an answer."""
        now = time.monotonic()
        for player in players:
            if player.head is not None and not player.head and now - player.began > _PATIENCE_S:
                del self._by_fd[player.sock.fileno()]
                player.sock.close()
                player.sock = self._socket()
                self.retries += 1
                self._start(player)

    def _start(self, player: Player) -> None:
        sock = player.sock
        player.began = time.monotonic()
        self._by_fd[sock.fileno()] = player
        result = sock.connect_ex(("127.0.0.1", self._port))
        if result not in (0, errno.EINPROGRESS):
            self._fail(player, f"connect: {errno.errorcode.get(result, str(result))}")
            return
        try:
            # On loopback the handshake is over by now, unless the server's backlog is full.
            sock.send(player.request)
            self._epoll.register(sock.fileno(), select.EPOLLIN)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ENOTCONN):
                self._fail(player, f"request: {errno.errorcode.get(error.errno or 0)}")
                return
            self._epoll.register(sock.fileno(), select.EPOLLOUT)

    def _send_request(self, player: Player) -> None:
        try:
            player.sock.send(player.request)
        except OSError as error:
            self._fail(player, f"connect: {errno.errorcode.get(error.errno or 0)}")
            return
        self._epoll.modify(player.sock.fileno(), select.EPOLLIN)

    def _fail(self, player: Player, reason: str) -> None:
        if player.error:
            return
        player.error = reason
        fd = player.sock.fileno()
        if fd >= 0:
            self._by_fd.pop(fd, None)
            player.sock.close()  # this also removes it from the epoll

    # -- one turn -------------------------------------------------------------------------------------------------

    def _turn(self, timeout_s: float) -> None:
        """Serves what is ready, then the part of the sweep that is due. May wait `timeout_s`."""
        due = self._sweep_due()
        for fd, events in self._epoll.poll(0 if due >= _SLICE else timeout_s, 512):
            player = self._by_fd.get(fd)
            if player is None:
                continue
            if events & select.EPOLLOUT:
                self._send_request(player)
            else:
                self._read(player)
        if due:
            self._sweep(min(due, _SLICE))

    def _sweep_due(self) -> int:
        count = len(self._swept)
        if not count:
            return 0
        elapsed = time.monotonic() - self._sweep_began
        if self._sweep_at >= count and elapsed >= _SWEEP_S:
            self._sweep_at, self._sweep_began = 0, time.monotonic()
            self._swept = [player for player in self._swept if not player.error]
            return min(_SLICE, len(self._swept))
        return max(0, min(count, int(elapsed / _SWEEP_S * count)) - self._sweep_at)

    def _sweep(self, count: int) -> None:
        """Discards the received bytes of the next `count` players of the round."""
        swept, start, buffer = self._swept, self._sweep_at, self._buffer
        if start + count > len(swept):
            start = 0
        self._sweep_at = start + count
        tracks = self._span_began is not None
        for player in swept[start : start + count]:
            if player.error:
                continue
            try:
                size = player.sock.recv_into(buffer, _DISCARD, socket.MSG_TRUNC)
            except BlockingIOError:
                size = -1
            except OSError as error:
                self._fail(player, f"lost: {errno.errorcode.get(error.errno or 0)}")
                continue
            if size > 0:
                self._count(player, size)
            elif size == 0:
                self._fail(player, "closed by the server")
            if tracks:
                lag = player.seen_by(self._position(player.mount))
                if lag > player.worst_lag:
                    player.worst_lag = lag

    def _count(self, player: Player, size: int) -> None:
        """Counts `size` discarded bytes. Titles do not change under a swept player: its later blocks have one byte."""
        splitter = player.splitter
        if splitter is None:
            player.audio += size
            return
        blocks, phase = divmod(splitter.phase + size, player.metaint + 1)
        splitter.phase = phase
        player.audio += size - blocks

    # -- reading for real -----------------------------------------------------------------------------------------

    def _read(self, player: Player) -> None:
        try:
            if player.first_offset >= 0 and player.checker is None and player.splitter is None:
                size = player.sock.recv_into(self._buffer, _DISCARD, socket.MSG_TRUNC)
                player.audio += size
                data = b""
            else:
                data = player.sock.recv(_READ)
                size = len(data)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(player, f"lost: {errno.errorcode.get(error.errno or 0)}")
            return
        if not size:
            self._fail(player, "closed by the server" if player.first_offset >= 0 else "closed without an answer")
            return
        if data:
            self._take(player, data)
        if not player.enough_at and player.audio >= ENOUGH_BYTES and not player.error:
            self._enough(player)

    def _take(self, player: Player, data: bytes) -> None:
        if player.head is not None:
            player.head += data
            maybe_body = self._answer(player, player.head)
            if maybe_body is None:
                return
            data = maybe_body
            player.head = None
        if player.splitter is not None:
            data = player.splitter.feed(data)
        player.audio += len(data)
        if player.checker is not None:
            now = time.monotonic_ns()
            player.checker.feed(data, now)
            self._note_batch(player, now / 1e9)

    def _answer(self, player: Player, head: bytearray) -> bytes | None:
        """Returns the body so far, once the head is right and the first frame is found; None to wait for more."""
        end = head.find(b"\r\n\r\n") + 4
        if end < 4:
            if len(head) > _MAX_HEAD:
                self._fail(player, "no end of the head")
            return None
        if b" 200 " not in head[:20]:
            self._fail(player, "status " + head[9:12].decode("latin-1"))
            return None
        found = find_frame(head[end:])
        if found is None:
            if len(head) > end + _MAX_HEAD:
                self._fail(player, "no frame in the first 16 kB")
            return None
        player.first_offset = offset_of(found[1]) - found[0]
        fields = bytes(head[:end]).lower()
        if b"\r\nicy-metaint:" in fields:
            player.metaint = int(fields.partition(b"\r\nicy-metaint:")[2].split(b"\r\n")[0])
            player.splitter = IcySplitter(player.metaint)
        elif b"Icy-MetaData" in player.request:
            self._fail(player, "no icy-metaint")
            return None
        return bytes(head[end:])

    def _enough(self, player: Player) -> None:
        """Marks a player as playing. Unsampled ones go to the sweep, ICY ones after their first title block."""
        splitter = player.splitter
        if player.checker is None and splitter is not None and (not splitter.blocks or not splitter.is_between_blocks):
            return
        player.enough_at = time.monotonic()
        if player.checker is None:
            self._epoll.unregister(player.sock.fileno())
            self._swept.append(player)

    def _note_batch(self, player: Player, now: float) -> None:
        if self._span_began is not None and now - player.last_read > _BATCH_GAP_S:
            player.gaps += 1
        player.last_read = now

    def _share(self, player: Player) -> float:
        expected = self._position(player.mount) - player.first_offset
        return player.audio / expected if expected > 0 else 1.0
