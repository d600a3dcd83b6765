"""A port's wait for new connections. Where many come they are taken some at a time, because a turn of the loop for each
would cost half as much as to answer it.

A client that connects again and again, each time after its answer, must not wait for others who do not come. So it is
tried: at most once in `TRY_AGAIN_S` the next ones are waited for, and as long as several come, that goes on.

Invariant: nobody waits longer than `GATHER_S` here, and on a quiet port nobody waits.
"""

import time
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import get_hub

# Too short to be noticed by a person. At 500 pages a second it saves a third of the CPU; half of it saves a tenth.
GATHER_S = 0.01

# Connections in one `GATHER_S` that were worth it, and how often in a row there may be fewer: they come as they like.
WORTH, MOST_MISSES = 2, 3

TRY_AGAIN_S = 1.0


class Gathering:
    """The wait of one port."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.last = 0.0
        """When clients were last taken; 0 if none ever were."""
        self._tried = 0.0
        self._tries = 0
        """How many more times several are waited for."""
        self._watcher: Any = None

    @property
    def is_on(self) -> bool:
        """Whether the next clients are taken together, not each as it comes."""
        return self._tries > 0

    def wait(self, fd: int) -> None:
        """Waits until there may be a client on the listening socket `fd`, always the same. May switch."""
        if self._tries:
            gevent.sleep(GATHER_S)
            return
        hub = get_hub()
        self._watcher = self._watcher or hub.loop.io(fd, 1)
        hub.wait(self._watcher)

    def took(self, count: int, is_all: bool) -> None:
        """Notes that so many clients were taken, and whether these are all that were there: for the others nobody
        waits.
        """
        now = self._clock()
        is_close = now - self.last < GATHER_S
        self.last = now if count else self.last
        if not is_all:
            self._tries = 0
        elif self._tries:
            self._tries = MOST_MISSES if count >= WORTH else self._tries - 1
        elif is_close and now - self._tried >= TRY_AGAIN_S:
            self._tried, self._tries = now, MOST_MISSES
