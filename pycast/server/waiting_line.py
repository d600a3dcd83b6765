"""Those who have sent their request and wait to be served: a crowd is served in the order in which it came, without a
greenlet for each while it waits, and beside everything else. A port has one line for players and one for all others.

Connections are taken off the kernel's queue first, which holds 4,096 by default and drops who comes when it is full.
Serving one takes several times what accepting does. So in each turn of the loop as many are served as a slice of time
allows, which is short while more are in that queue, and a health check, which waits in no line, does not wait behind
them. While few come, each is served at once.

Invariant: a connection that was added is served exactly once, by `serve` or by whoever takes it out with `take_all`.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.hub import get_hub

from pycast.server.connection import Connection

# What is served in a turn of the loop: for so long, and so many of those that need a greenlet. While the kernel's queue
# is not empty, accepting has five times as long: it fell behind 20,000 new connections a second with equal parts.
TURN_S, CROWDED_TURN_S, GREENLETS_AT_ONCE = 0.01, 0.002, 16

# How many are served at once in a turn, without a wait: more than come together unless there is a crowd.
AT_ONCE = 4

Serve = Callable[[Connection, bytes], bool]
"""Serves a connection whose request's first bytes are these. Returns whether it got a greenlet. Never switches."""


class WaitingLine:
    """The connections of a port that wait."""

    def __init__(self, serve: Serve, is_crowded: Callable[[], bool]) -> None:
        """`is_crowded`: whether more connections than these are in the kernel's queue."""
        self._serve = serve
        self._is_crowded = is_crowded
        self._waiting: deque[tuple[Connection, bytes]] = deque()
        self._timer: Any = None
        self._turn, self._served = -1, 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, connection: Connection, head: bytes) -> None:
        """Serves a connection now, or when it is its turn. Never switches."""
        if self._timer is None and self._has_place():
            self._serve(connection, head)
            return
        self._waiting.append((connection, head))
        if self._timer is None:
            self._schedule()

    def take_all(self) -> list[tuple[Connection, bytes]]:
        """Returns all who wait, who wait no longer. Can be called twice. Never switches."""
        left = list(self._waiting)
        self._waiting.clear()
        self._stop_timer()
        return left

    def _has_place(self) -> bool:
        turn = get_hub().loop.iteration
        if turn != self._turn:
            self._turn, self._served = turn, 0
        self._served += 1
        return self._served <= AT_ONCE

    def _schedule(self) -> None:
        # A timer, as in `answers.py`: it comes once in a turn.
        self._timer = get_hub().loop.timer(0.0)
        self._timer.start(self._on_turn)

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _on_turn(self) -> None:
        self._stop_timer()
        until, greenlets = time.monotonic() + (CROWDED_TURN_S if self._is_crowded() else TURN_S), 0
        try:
            while self._waiting and greenlets < GREENLETS_AT_ONCE and time.monotonic() < until:
                greenlets += self._serve(*self._waiting.popleft())
        finally:
            if self._waiting and self._timer is None:
                self._schedule()
