"""Listeners that record what they receive: one to two thousand of them in a process of their own.

`Crowd` is the test's handle; the listeners live in `python -m tests.cluster_e2e.crowd`, in one epoll loop. They come
back like players do, after a wait and at the next address, or not at all. Invariant: each report comes from a check of
every byte (`hearing`), with the times at which the bytes were read from the socket.
"""

import heapq
import itertools
import re
import resource
import select
import socket
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.cluster_e2e.encoder import Address
from tests.cluster_e2e.hearing import Hearing, Report
from tests.cluster_e2e.remote import Commands, Remote
from tests.e2e.deadline import until

CONNECT_S = 5.0
CHUNK = 1 << 16
_METAINT = re.compile(rb"\r\nicy-metaint: *(\d+)", re.IGNORECASE)


class Crowd:
    """`with Crowd() as crowd: ids = crowd.add([("127.0.0.1", port)], "/live.mp3", 5)`.

    Made inside a host of a `Network`, its listeners are on that host.
    """

    def __init__(self) -> None:
        self._remote = Remote("tests.cluster_e2e.crowd")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Disconnects all listeners."""
        self._remote.stop()

    @property
    def pid(self) -> int:
        """The process of the listeners."""
        return self._remote.pid

    def add(
        self,
        addresses: Sequence[Address],
        mount: str,
        count: int = 1,
        *,
        icy: bool = False,
        reconnect_s: float | None = None,
        silence_s: float | None = None,
        connect_s: float = CONNECT_S,
    ) -> list[int]:
        """Adds listeners, spread over `addresses`. Returns their ids.

        One that has lost its connection waits `reconnect_s` and takes the next address; None: it stays away. One that
        hears nothing for `silence_s` hangs up by itself, as a player whose buffer is empty; so does one that has no
        answer after `connect_s`.
        """
        asked: dict[str, Any] = {"addresses": list(addresses), "mount": mount, "count": count, "icy": icy}
        asked["connect_s"] = connect_s
        ids: list[int] = self._remote.ask("add", reconnect_s=reconnect_s, silence_s=silence_s, **asked)["ids"]
        return ids

    def report(self, which: int) -> Report:
        """Returns what one listener has received so far."""
        return self.reports([which])[0]

    def reports(self, ids: Sequence[int] | None = None) -> list[Report]:
        """Returns what these listeners, or all, have received so far."""
        values = self._remote.ask("reports", ids=ids)["reports"]
        return [Report.from_json(value) for value in values]

    def playing(self, within_s: float = 1.0) -> int:
        """Returns how many are connected and received audio within this time."""
        return int(self._remote.ask("playing", within_s=within_s)["count"])

    def wait_playing(self, count: int, timeout: float = 15.0) -> None:
        """Waits until so many are connected and have audio."""
        until(lambda: self.playing() == count, f"{count} listeners to play", timeout)

    def wait_heard(self, ids: Sequence[int], programme: int, seq: int = 0, timeout: float = 15.0) -> None:
        """Waits until each of `ids` receives this programme, at frame `seq` or a later one."""
        until(lambda: self._have_heard(ids, programme, seq), f"listeners to hear {programme} from {seq} on", timeout)

    def hang_up(self, ids: Sequence[int]) -> None:
        """Disconnects these listeners for good."""
        self._remote.ask("hang_up", ids=ids)

    def _have_heard(self, ids: Sequence[int], programme: int, seq: int) -> bool:
        positions = self._remote.ask("positions", ids=ids)["positions"]
        return all(at[0] == programme and at[1] >= seq for at in positions)


class _Listener:
    """One listener: its addresses, its socket if it has one, its `Hearing`."""

    def __init__(self, addresses: Sequence[Address], turn: int, asked: dict[str, Any]) -> None:
        self.ear = Hearing()
        self.sock: socket.socket | None = None
        self.deadline = 0.0
        self.reconnect_s: float | None = asked["reconnect_s"]
        self.silence_s: float | None = asked["silence_s"]
        self._connect_s: float = asked["connect_s"]
        self._addresses = addresses
        self._turn = turn
        icy = "Icy-MetaData: 1\r\n" if asked["icy"] else ""
        self._request = f"GET {asked['mount']} HTTP/1.0\r\nHost: radio\r\nUser-Agent: crowd\r\n{icy}\r\n".encode()
        self._head = bytearray()
        self._has_asked = False
        self._is_head_read = False

    def connect(self, now: float) -> socket.socket:
        host, port = self._addresses[self._turn % len(self._addresses)]
        self._turn += 1
        self._head.clear()
        self._has_asked = self._is_head_read = False
        self.ear.connected(f"{host}:{port}", now)
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.connect_ex((host, port))
        self.deadline = now + self._connect_s
        return self.sock

    def ask(self) -> bool:
        """Sends the request once connected. Returns whether it was sent. Raises OSError."""
        if self._has_asked or self.sock is None:
            return False
        if error := self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(error, "cannot connect")
        self.sock.sendall(self._request)
        self._has_asked = True
        return True

    def read(self, now: float) -> str:
        """Reads what has arrived. Returns why the connection has ended, or "". Raises OSError."""
        assert self.sock is not None
        data = self.sock.recv(CHUNK)
        if not data:
            return "closed"
        if not self._is_head_read:
            self._head += data
            head, end, data = bytes(self._head).partition(b"\r\n\r\n")
            if not end:
                return ""
            if reason := self._take_head(head):
                return reason
        if data:
            self.ear.feed(data, now)
        self.deadline = now + self.silence_s if self.silence_s is not None else float("inf")
        return ""

    def close(self, reason: str, now: float) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None
            self.ear.disconnected(reason, now)

    def _take_head(self, head: bytes) -> str:
        self._is_head_read = True
        status = int(head.split()[1])
        metaint = _METAINT.search(head)
        self.ear.accepted(status, int(metaint[1]) if metaint else 0)
        return "" if status == 200 else f"status {status}"


class _Hall:
    """The loop of the process."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._listeners: list[_Listener] = []
        self._by_socket: dict[int, _Listener] = {}
        self._returns: list[tuple[float, int, _Listener]] = []
        self._order = itertools.count()
        self._poll = select.epoll()
        self._poll.register(commands.fileno(), select.EPOLLIN)

    def run(self) -> None:
        self._commands.answer()
        next_look = 0.0
        while not self._commands.is_over:
            for number, events in self._poll.poll(self._wait_s()):
                if number == self._commands.fileno():
                    self._obey()
                elif listener := self._by_socket.get(number):
                    self._serve(listener, events)
            now = time.monotonic()
            self._bring_back(now)
            if now >= next_look:
                self._end_overdue(now)
                next_look = now + 0.1

    def add(self, addresses: list[list[Any]], count: int, **asked: Any) -> dict[str, Any]:
        places = [(host, port) for host, port in addresses]
        first = len(self._listeners)
        for turn in range(count):
            self._listeners.append(_Listener(places, turn, asked))
            self._connect(self._listeners[-1])
        return {"ids": list(range(first, first + count))}

    def reports(self, ids: list[int] | None) -> dict[str, Any]:
        now = time.monotonic()
        return {"reports": [listener.ear.report(now).to_json() for listener in self._chosen(ids)]}

    def positions(self, ids: list[int]) -> dict[str, Any]:
        return {"positions": [listener.ear.position for listener in self._chosen(ids)]}

    def playing(self, within_s: float) -> dict[str, Any]:
        since = time.monotonic() - within_s
        return {"count": sum(one.sock is not None and one.ear.last_audio >= since for one in self._listeners)}

    def hang_up(self, ids: list[int]) -> None:
        for listener in self._chosen(ids):
            listener.reconnect_s = None
            self._end(listener, "hung up")

    def _chosen(self, ids: list[int] | None) -> list[_Listener]:
        return self._listeners if ids is None else [self._listeners[one] for one in ids]

    def _obey(self) -> None:
        for command in self._commands.read():
            do = getattr(self, command.pop("do"))
            self._commands.answer(**(do(**command) or {}))

    def _wait_s(self) -> float:
        later = self._returns[0][0] - time.monotonic() if self._returns else 0.1
        return min(0.1, max(0.0, later))

    def _connect(self, listener: _Listener) -> None:
        sock = listener.connect(time.monotonic())
        self._by_socket[sock.fileno()] = listener
        self._poll.register(sock, select.EPOLLOUT)

    def _serve(self, listener: _Listener, events: int) -> None:
        assert listener.sock is not None
        try:
            if listener.ask():
                self._poll.modify(listener.sock, select.EPOLLIN)
                return
            reason = listener.read(time.monotonic())
        except BlockingIOError:
            return
        except OSError as error:
            reason = type(error).__name__ if type(error) is not OSError else str(error)
        if reason:
            self._end(listener, reason)

    def _end(self, listener: _Listener, reason: str) -> None:
        if listener.sock is not None:
            del self._by_socket[listener.sock.fileno()]
            now = time.monotonic()
            listener.close(reason, now)  # epoll forgets a closed socket
            if listener.reconnect_s is not None:
                heapq.heappush(self._returns, (now + listener.reconnect_s, next(self._order), listener))

    def _bring_back(self, now: float) -> None:
        while self._returns and self._returns[0][0] <= now:
            listener = heapq.heappop(self._returns)[2]
            if listener.reconnect_s is not None:
                self._connect(listener)

    def _end_overdue(self, now: float) -> None:
        for listener in list(self._by_socket.values()):
            if now > listener.deadline:
                self._end(listener, "silence")


def main() -> None:
    """Runs the process."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    _Hall(Commands()).run()


if __name__ == "__main__":
    main()
