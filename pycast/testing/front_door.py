"""The door in front of a server under test: a small proxy that watches who comes, and fails on order.

It has the port that the test knows; the server has the same port number on another address of this machine. So nothing
in the server is there for tests. Each connection has a thread (`passage.py`). The one invariant: what comes in goes on
as it is, byte by byte, and ends as it ended, unless a fault is ordered.
"""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from pycast.testing.lobby import Gate, Order
from pycast.testing.passage import Passage
from pycast.testing.visits import KeptAudio, ListenerVisit, SourceVisit, TellTitles, Visitors

BACKLOG = 1024
END_S = 5.0


class FrontDoor:
    """The door. `open` and `close` may be called again and again: while the server is down, nobody listens."""

    def __init__(self, tell_titles: TellTitles, kill_source: Callable[[str], None], default_mount: str = "") -> None:
        self.changed = threading.Condition()
        self.kept = KeptAudio()
        self.sources: Visitors[SourceVisit] = Visitors(self.changed, tell_titles)
        self.listeners: Visitors[ListenerVisit] = Visitors(self.changed, tell_titles)
        self.orders: tuple[Order, ...] = ()
        """The faults in force; the one that was ordered last comes first."""
        self.kill_source = kill_source
        self.default_mount = default_mount
        self._listening: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._passages: set[Passage] = set()

    def open(self, gates: list[Gate]) -> None:
        """Listens. Raises OSError."""
        for gate in gates:
            listening = socket.socket()
            # The port is held by `Ports`, with a socket that does not listen.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listening.append(listening)
            listening.bind((gate.outer.host, gate.outer.port))
            listening.listen(BACKLOG)
            thread = threading.Thread(target=self._accept, args=(listening, gate), name="pycast door", daemon=True)
            self._threads.append(thread)
            thread.start()

    def refuse(self) -> None:
        """Stops listening. Can be called twice."""
        for listening in self._listening:
            with suppress(OSError):  # wakes the thread
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        deadline = time.monotonic() + END_S
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        self._listening, self._threads = [], []

    def close(self, reason: str) -> None:
        """Stops listening, and ends all connections. Can be called twice."""
        self.refuse()
        deadline = time.monotonic() + END_S
        with self.changed:
            passages = list(self._passages)
        for passage in passages:
            passage.close(reason)
        for passage in passages:
            passage.join(max(deadline - time.monotonic(), 0.0))

    def order(self, fault: Order) -> None:
        """Puts a fault in force."""
        with self.changed:
            self.orders = (fault, *self.orders)

    def withdraw(self, fault: Order) -> None:
        """Ends a fault."""
        with self.changed:
            self.orders = tuple(one for one in self.orders if one is not fault)
            self.changed.notify_all()

    def left(self, passage: object) -> None:
        """Forgets a connection that has ended."""
        with self.changed:
            self._passages -= {passage}

    def _accept(self, listening: socket.socket, gate: Gate) -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            passage = Passage(self, gate, client)
            with self.changed:
                self._passages.add(passage)
            passage.start()
