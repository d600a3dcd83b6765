"""A TCP proxy that fails on purpose, in front of one address: for what happens between a node and its peers.

`Chaos` is the test's handle; the proxy itself is a process of its own (`python -m tests.cluster_e2e.chaos`). What it
does is set for each direction, "up" (from the client) and "down" (to it), and may be changed at any time:

pass        bytes go through
delay       bytes go through later, in order
stall       nothing is read, so the sender's window fills up; without a loss when it passes again
black_hole  bytes and the end of connections are dropped, and new ones do not reach the target: a host without power

A connection that lost a byte, or its beginning, in a black hole stays in it: TCP never continues after a missing byte.
A client is accepted before the target is dialled, so a target that refuses looks like one that resets at once.
Invariant: no byte is changed, repeated or moved; what comes out is what came in, up to where the proxy was told to
stop.
"""

import random
import selectors
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self

from tests.cluster_e2e.remote import Commands, Remote

Direction = Literal["up", "down", "both"]
CHUNK = 1 << 16
MOST_QUEUED = 4 << 20  # of a delayed direction: more than any window, so the delay is all that is felt
RESET = struct.pack("ii", 1, 0)


class Chaos:
    """`with Chaos() as chaos:` listens on `chaos.port`; call `aim` before a client connects."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, listen: str = "127.0.0.1") -> None:
        self._remote = Remote("tests.cluster_e2e.chaos", listen, host, str(port))
        self.port: int = self._remote.ready["port"]
        self.address = f"{listen}:{self.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the proxy and all its connections."""
        self._remote.stop()

    @property
    def pid(self) -> int:
        """The process of the proxy."""
        return self._remote.pid

    def aim(self, address: str) -> str:
        """Sets the target, "host:port", of connections to come. Returns the address of the proxy itself."""
        host, _, port = address.rpartition(":")
        self._remote.ask("aim", host=host, port=int(port))
        return self.address

    def passing(self, direction: Direction = "both") -> None:
        """Lets bytes through."""
        self._set("pass", direction)

    def delay(self, ms: float, jitter_ms: float = 0.0, direction: Direction = "both") -> None:
        """Lets bytes through after `ms` and up to `jitter_ms` more."""
        self._set("delay", direction, ms=ms, jitter_ms=jitter_ms)

    def stall(self, direction: Direction = "both") -> None:
        """Stops reading; nothing is lost."""
        self._set("stall", direction)

    def black_hole(self, direction: Direction = "both") -> None:
        """Drops everything, without a sign to either side."""
        self._set("black_hole", direction)

    def cut(self) -> None:
        """Resets both sides of all connections."""
        self._remote.ask("cut")

    def half_close(self, direction: Direction) -> None:
        """Ends this direction of every connection with a FIN; the other one stays open."""
        self._remote.ask("half_close", direction=direction)

    def refuse(self) -> None:
        """Refuses new connections; the present ones stay."""
        self._remote.ask("refuse")

    def accept(self) -> None:
        """Accepts new connections again, on the same port."""
        self._remote.ask("accept")

    def connections(self) -> int:
        """Returns how many connections there are now."""
        return int(self._remote.ask("counts")["connections"])

    def accepted(self) -> int:
        """Returns how many connections there have been."""
        return int(self._remote.ask("counts")["accepted"])

    def passed(self, direction: Literal["up", "down"]) -> int:
        """Returns how many bytes it has sent in this direction."""
        return int(self._remote.ask("counts")[direction])

    def busy_s(self) -> float:
        """Returns the processor time that the proxy has used."""
        return float(self._remote.ask("counts")["busy_s"])

    def _set(self, mode: str, direction: Direction, **values: float) -> None:
        self._remote.ask("switch", mode=mode, direction=direction, **values)


@dataclass(slots=True)
class _Mode:
    """The mode of one direction of all connections."""

    name: str = "pass"
    delay_s: float = 0.0
    jitter_s: float = 0.0
    bytes_out: int = 0

    def due(self, now: float, last: float) -> float:
        """Returns when a chunk that arrives `now` is sent; never before the `last` one."""
        return max(last, now + self.delay_s + random.uniform(0, self.jitter_s))


@dataclass(slots=True)
class _Pipe:
    """One direction of one connection. An empty chunk in the queue is the FIN."""

    into: socket.socket
    out: socket.socket
    mode: _Mode
    queue: deque[tuple[float, bytes]] = field(default_factory=deque)
    queued: int = 0
    last_due: float = 0.0
    is_full: bool = False
    is_lost: bool = False
    has_ended: bool = False

    def wants_bytes(self) -> bool:
        return not self.has_ended and self.mode.name != "stall" and self.queued < MOST_QUEUED

    def take(self, now: float) -> None:
        """Reads what has arrived. Raises OSError when the sender's side is broken."""
        data = self.into.recv(CHUNK)
        self.has_ended = not data
        if self.mode.name == "black_hole":
            self.is_lost = True
        if not self.is_lost:
            self.put(data, now)

    def put(self, data: bytes, now: float) -> None:
        self.last_due = self.mode.due(now, self.last_due)
        self.queue.append((self.last_due, data))
        self.queued += len(data)

    def next_due(self) -> float | None:
        """Returns when the first chunk may be sent, or None."""
        if self.mode.name in ("pass", "delay") and self.queue and not self.is_lost:
            return self.queue[0][0]
        return None

    def give(self, now: float) -> None:
        """Sends what is due, as far as the receiver accepts it. Raises OSError when its side is broken."""
        self.is_full = False
        while not self.is_full and (due := self.next_due()) is not None and due <= now:
            _, data = self.queue.popleft()
            sent = self._send(data)
            self.mode.bytes_out += sent
            self.queued -= sent
            self.is_full = sent < len(data)
            if self.is_full:
                self.queue.appendleft((due, data[sent:]))

    def _send(self, data: bytes) -> int:
        if not data:
            self.out.shutdown(socket.SHUT_WR)
            return 0
        try:
            return self.out.send(data)
        except BlockingIOError:
            return 0

    @property
    def is_through(self) -> bool:
        """Whether everything up to the FIN was sent, or is lost."""
        return self.has_ended and (self.is_lost or not self.queue)


class _Connection:
    """The client, the target, and both directions between them."""

    def __init__(self, client: socket.socket, target: tuple[str, int], up: _Mode, down: _Mode) -> None:
        self.client = client
        self.server = socket.socket()
        for sock in (self.client, self.server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.up = _Pipe(client, self.server, up)
        self.down = _Pipe(self.server, client, down)
        self.pipes = (self.up, self.down)
        self.is_connected = False
        self.interest: dict[socket.socket, int] = {}
        self._target = target
        if "black_hole" in (up.name, down.name):  # its handshake is lost in either direction
            self.up.is_lost = self.down.is_lost = True

    def connect(self) -> None:
        """Connects to the target, unless that direction is a black hole."""
        if self.is_connected or self.up.is_lost or self.up.mode.name not in ("pass", "delay"):
            return
        self.is_connected = True
        self.server.connect_ex(self._target)

    def wanted(self) -> dict[socket.socket, int]:
        """Returns the events to wait for on each socket."""
        events = {pipe.out: selectors.EVENT_WRITE for pipe in self.pipes if pipe.is_full}
        for pipe in self.pipes:
            if pipe.wants_bytes() and (pipe.into is self.client or self.is_connected):
                events[pipe.into] = events.get(pipe.into, 0) | selectors.EVENT_READ
        return events

    def close(self) -> None:
        """Ends both sides; what was sent still arrives."""
        self.client.close()
        self.server.close()

    def reset(self) -> None:
        """Ends both sides with a RST."""
        for sock in (self.client, self.server):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()


class _Proxy:
    """The loop of the process."""

    def __init__(self, commands: Commands, listen: str, target: tuple[str, int]) -> None:
        self._commands = commands
        self._target = target
        self._modes = {"up": _Mode(), "down": _Mode()}
        self._connections: set[_Connection] = set()
        self._accepted = 0
        self._selector = selectors.DefaultSelector()
        self._selector.register(commands, selectors.EVENT_READ)
        self._listening: socket.socket | None = None
        self._address = (listen, 0)
        self.accept()

    def run(self) -> None:
        """Passes bytes until the test closes the standard input."""
        self._commands.answer(port=self._address[1])
        while not self._commands.is_over:
            for key, mask in self._selector.select(self._wait_s()):
                if key.fileobj is self._commands:
                    self._obey()
                elif key.fileobj is self._listening:
                    self._take_connection()
                elif key.data in self._connections and mask & selectors.EVENT_READ:
                    self._read(key.data, key.fileobj)
            for connection in list(self._connections):
                self._advance(connection)

    def accept(self) -> None:
        if self._listening is None:
            self._listening = socket.create_server(self._address, backlog=512)
            self._listening.setblocking(False)
            self._address = self._listening.getsockname()
            self._selector.register(self._listening, selectors.EVENT_READ)

    def refuse(self) -> None:
        if self._listening is not None:
            self._selector.unregister(self._listening)
            self._listening.close()
            self._listening = None

    def aim(self, host: str, port: int) -> None:
        self._target = (host, port)

    def switch(self, mode: str, direction: str, ms: float = 0.0, jitter_ms: float = 0.0) -> None:
        for one in self._directions(direction):
            state = self._modes[one]
            state.name, state.delay_s, state.jitter_s = mode, ms / 1000, jitter_ms / 1000

    def cut(self) -> None:
        for connection in list(self._connections):
            self._reset(connection)

    def half_close(self, direction: str) -> None:
        directions = self._directions(direction)
        for connection in self._connections:
            for one in directions:
                pipe = connection.up if one == "up" else connection.down
                if not pipe.has_ended:
                    pipe.has_ended = True
                    pipe.put(b"", time.monotonic())

    def counts(self) -> dict[str, float]:
        sizes = {name: mode.bytes_out for name, mode in self._modes.items()}
        return {
            "connections": len(self._connections),
            "accepted": self._accepted,
            "busy_s": time.process_time(),
            **sizes,
        }

    def _directions(self, direction: str) -> tuple[str, ...]:
        if direction not in ("up", "down", "both"):
            raise ValueError(f"no such direction: {direction}")
        return ("up", "down") if direction == "both" else (direction,)

    def _obey(self) -> None:
        for command in self._commands.read():
            try:
                answer: dict[str, Any] | None = getattr(self, command.pop("do"))(**command)
            except (OSError, TypeError, ValueError, AttributeError, KeyError) as error:
                answer = {"error": repr(error)}
            self._commands.answer(**(answer or {}))

    def _wait_s(self) -> float | None:
        # The selector reports when a full socket or the connection to the target is ready.
        waiting = (pipe for one in self._connections if one.is_connected for pipe in one.pipes if not pipe.is_full)
        dues = [due for pipe in waiting if (due := pipe.next_due()) is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _take_connection(self) -> None:
        assert self._listening is not None
        with suppress(BlockingIOError, ConnectionError):
            client, _ = self._listening.accept()
            self._accepted += 1
            self._connections.add(_Connection(client, self._target, self._modes["up"], self._modes["down"]))

    def _read(self, connection: _Connection, sock: object) -> None:
        pipe = connection.up if sock is connection.client else connection.down
        if not pipe.wants_bytes():
            return
        try:
            pipe.take(time.monotonic())
        except BlockingIOError:
            pass
        except OSError:
            # A reset; a black hole does not pass it on.
            pipe.has_ended = True
            pipe.is_lost = pipe.is_lost or pipe.mode.name == "black_hole"
            if not pipe.is_lost:
                self._reset(connection)

    def _advance(self, connection: _Connection) -> None:
        connection.connect()
        try:
            for pipe in connection.pipes:
                if connection.is_connected:
                    pipe.give(time.monotonic())
        except OSError:
            self._reset(connection)
            return
        if all(pipe.is_through for pipe in connection.pipes):
            self._forget(connection)
            connection.close()
            return
        self._watch(connection, connection.wanted())

    def _watch(self, connection: _Connection, wanted: dict[socket.socket, int]) -> None:
        for sock in (connection.client, connection.server):
            before, after = connection.interest.get(sock, 0), wanted.get(sock, 0)
            if before and not after:
                self._selector.unregister(sock)
            elif after and not before:
                self._selector.register(sock, after, connection)
            elif before != after:
                self._selector.modify(sock, after, connection)
        connection.interest = wanted

    def _reset(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._forget(connection)
            connection.reset()

    def _forget(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._watch(connection, {})


def main() -> None:
    """Runs the process: `listen-host target-host target-port`."""
    listen, host, port = sys.argv[1:]
    _Proxy(Commands(), listen, (host, int(port))).run()


if __name__ == "__main__":
    main()
