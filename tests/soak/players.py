"""The players of a soak: up to a few dozen at a time, in one thread, and every byte that they get is looked at.

A player stays for its time, as long as nothing that is known (`excuse`) ends it earlier. The one invariant: whatever a
player got that it should not have got, or did not get, is one line in `Audience.faults`.
"""

import re
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Self

from tests.cluster_e2e.hearing import Hearing, Report

CONNECT_S = 10.0
SILENCE_S = 20.0
"""How long a player that reads may hear nothing: several times what the worst failure takes on a busy machine."""
MOST_FAULTS = 50
RECENT = 12
"""How many happenings are told with a fault."""
CHUNK = 1 << 16
_METAINT = re.compile(rb"\r\nicy-metaint: *(\d+)", re.IGNORECASE)
_RESET = struct.pack("ii", 1, 0)

Judge = Callable[["Player", Report], Iterable[str]]
"""Says what is wrong with what a player has heard."""


class Wish(NamedTuple):
    """What a player asks for, where, and how long it stays."""

    number: int
    node: str
    port: int
    mount: str
    is_icy: bool
    login: str
    """A head line with its end, or ""."""
    stays_s: float

    @property
    def agent(self) -> str:
        """Its User-Agent, by which a list of listeners can be searched for it."""
        return f"soak/{self.number}"

    def request(self) -> bytes:
        """Returns its request."""
        icy = "Icy-MetaData: 1\r\n" if self.is_icy else ""
        head = f"GET {self.mount} HTTP/1.0\r\nUser-Agent: {self.agent}\r\n{icy}{self.login}\r\n"
        return head.encode()


class Player:
    """One player and what it has heard."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.ear = Hearing()
        self.excuse = ""
        """Why it may be cut off; empty if nothing may."""
        self.began = self.reads_since = time.monotonic()
        self.sock = socket.create_connection(("127.0.0.1", wish.port), CONNECT_S)
        self.sock.sendall(wish.request())
        self.sock.setblocking(False)
        self.resumes_at = 0.0
        """Until when it does not read."""
        self._head: bytes | None = b""
        self.ear.connected(f"127.0.0.1:{wish.port}", self.began)

    def read(self, now: float) -> str:
        """Takes what has arrived. Returns why it is over, or ""."""
        try:
            data = self.sock.recv(CHUNK)
        except BlockingIOError:
            return ""
        except OSError as error:
            return type(error).__name__
        if not data:
            return "cut off"
        if self._head is not None:
            head, end, data = (self._head + data).partition(b"\r\n\r\n")
            self._head = None if end else head
            if not end:
                return ""
            if b" 200 " not in head[:16]:
                return f"refused: {head[:40]!r}"
            metaint = _METAINT.search(head)
            self.ear.accepted(200, int(metaint[1]) if metaint else 0)
        if data:
            self.ear.feed(data, now)
        return ""

    def is_silent(self, now: float) -> bool:
        """Whether it has been reading, in vain, for too long."""
        return now - max(self.reads_since, self.ear.last_audio) > SILENCE_S


class Audience:
    """`with Audience(judge) as audience:`; `join` players, `excuse` some, `leave`."""

    def __init__(self, judge: Judge) -> None:
        self.faults: list[str] = []
        self._told = 0
        self._happened: deque[tuple[float, str]] = deque(maxlen=RECENT)
        self.joined = self.frames = self.blocks = 0
        """Totals of the players that have left."""
        self.players: dict[int, Player] = {}
        self._judge = judge
        self._lock = threading.RLock()
        self._selector = selectors.DefaultSelector()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audience", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join(10)
        self.leave()
        self._selector.close()

    def join(self, wish: Wish) -> None:
        """Adds a player, which has sent its request when this returns."""
        player = Player(wish)
        with self._lock:
            self.joined += 1
            self.players[wish.number] = player
            self._selector.register(player.sock, selectors.EVENT_READ, player)

    def excuse(self, why: str, is_meant: Callable[[Player], bool]) -> int:
        """Says why players may be cut off from now on. Returns how many."""
        with self._lock:
            found = [player for player in self.players.values() if is_meant(player)]
            for player in found:
                player.excuse = player.excuse or why
            return len(found)

    def stall(self, number: int, seconds: float) -> None:
        """Has a player read nothing for so long."""
        with self._lock:
            if player := self.players.get(number):
                player.resumes_at = time.monotonic() + seconds
                with suppress(KeyError):
                    self._selector.unregister(player.sock)

    def leave(self) -> None:
        """Has everybody leave."""
        with self._lock:
            for player in list(self.players.values()):
                self._end(player, "left")

    def new_faults(self) -> list[str]:
        """Returns those that this has not returned before."""
        with self._lock:
            told, self._told = self._told, len(self.faults)
            return self.faults[told:]

    def happened(self, what: str) -> None:
        """Remembers what happens now, to be told with a fault."""
        self._happened.append((time.monotonic(), what))

    def fault(self, text: str) -> None:
        """Notes what must not have happened, and what happened before."""
        with self._lock:
            if len(self.faults) < MOST_FAULTS:
                now = time.monotonic()
                before = ", ".join(f"{now - at:.1f} s: {what}" for at, what in list(self._happened))
                self.faults.append(f"{time.strftime('%H:%M:%S')} {text} [before it: {before}]")

    def _run(self) -> None:
        while not self._is_over.is_set():
            ready = self._selector.select(0.05)
            now = time.monotonic()
            with self._lock:
                for key, _ in ready:
                    if key.data.wish.number in self.players and now >= key.data.resumes_at:
                        self._read(key.data, now)
                for player in list(self.players.values()):
                    self._look_at(player, now)

    def _read(self, player: Player, now: float) -> None:
        if over := player.read(now):
            if not player.excuse:
                heard = player.ear.position
                self.fault(f"{_name(player)} after {now - player.began:.1f} s: {over}; it was at {heard}")
            self._end(player, over)

    def _look_at(self, player: Player, now: float) -> None:
        if player.resumes_at and now >= player.resumes_at:
            player.resumes_at = 0.0
            self._selector.register(player.sock, selectors.EVENT_READ, player)
            player.reads_since = now
        if now - player.began > player.wish.stays_s:
            self._end(player, "left")
        elif not player.resumes_at and player.is_silent(now):
            if not player.excuse:
                self.fault(f"{_name(player)} hears nothing for {SILENCE_S:g} s; it was at {player.ear.position}")
            self._end(player, "silence")

    def _end(self, player: Player, why: str) -> None:
        del self.players[player.wish.number]
        with suppress(KeyError):
            self._selector.unregister(player.sock)
        if player.wish.number % 3 == 0:  # as a machine that crashes
            with suppress(OSError):
                player.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        player.sock.close()
        report = player.ear.report(time.monotonic())
        player.ear.disconnected(why, time.monotonic())
        self.frames += report.frames
        self.blocks += report.blocks
        for text in self._judge(player, report):
            self.fault(f"{_name(player)}: {text}")


def _name(player: Player) -> str:
    wish = player.wish
    return f"player {wish.number} of {wish.mount} on {wish.node}{' (ICY)' if wish.is_icy else ''}"
