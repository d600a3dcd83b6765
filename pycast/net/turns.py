"""Turns of the event loop: code that has much to do gives the others one in between.

A read that finds data does not wait, so it does not switch either. Against a peer that sends as fast as it is read, a
loop of such reads would never end, and its deadline would never be looked at. `sleep(0)` is not enough: gevent runs
fifty such callbacks in a row before it looks at a socket again.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import gevent
from gevent.hub import get_hub

# libev's EV_MAXPRI. An idle watcher of this priority runs once in each turn of the loop, however much else is to do.
HIGHEST_PRIORITY = 2

# As long as serving a few dozen new players takes; a listener's audio is written every tenth of a second or less often.
TURN_S = 0.002

T = TypeVar("T")


def give_turn() -> None:
    """Waits until the loop has looked at all its sockets and timers once. May switch."""
    gevent.idle(HIGHEST_PRIORITY)


def next_turn(last: int) -> int:
    """Waits for another turn of the loop than the one of number `last`; returns the number of the present one. Does not
    switch if the loop has turned since, as it has whenever the caller had to wait for something. May switch.
    """
    loop = get_hub().loop
    if loop.iteration == last:
        gevent.idle(HIGHEST_PRIORITY)
    return int(loop.iteration)


def in_turns(items: Iterable[T], turn_s: float = TURN_S) -> Iterator[T]:
    """Yields `items`; when `turn_s` is over, others have their turn before the next one. Making and using one item
    should take far less than that. May switch.
    """
    until = time.monotonic() + turn_s
    for item in items:
        yield item
        if time.monotonic() >= until:
            give_turn()
            until = time.monotonic() + turn_s
