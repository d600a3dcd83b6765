"""Notices that a listener hung up, also while nothing is being sent to it.

One epoll object holds all listeners' sockets and the hub watches that one descriptor: ten thousand idle players cost
the hub nothing. A half-closed connection counts as gone: behind a balancer that is how a player's end looks (icecast-kh
#152: 6,000 CLOSE_WAIT sockets).
"""

import select
from collections.abc import Callable
from typing import Generic, TypeVar

from gevent import monkey
from gevent.hub import get_hub

# Edge-triggered: what a listener sends after its request is never read and must not wake us again and again.
EVENTS = select.EPOLLRDHUP | select.EPOLLET

MOST_AT_ONCE = 512

S = TypeVar("S")


class Hangups(Generic[S]):
    """Calls `on_gone(subject, failed)` when the peer of a watched descriptor closes or half-closes (failed is False),
    resets or no longer answers (True). The callback has to `forget` the descriptor."""

    def __init__(self, on_gone: Callable[[S, bool], None]) -> None:
        # gevent takes `epoll` out of the patched module, because waiting on one blocks; this one is only asked, never
        # waited on.
        self._epoll = monkey.get_original("select", "epoll")()
        self._on_gone = on_gone
        self._subjects: dict[int, S] = {}

    def watch(self, fd: int, subject: S) -> None:
        """Watches `fd`, which belongs to `subject`. Raises OSError if the kernel watches no more."""
        self._epoll.register(fd, EVENTS)
        self._subjects[fd] = subject

    def change(self, fd: int, subject: S) -> None:
        """`fd` belongs to another subject from now on; one that is not watched stays so."""
        if fd in self._subjects:
            self._subjects[fd] = subject

    def forget(self, fd: int) -> None:
        """To be called before the descriptor is closed."""
        if self._subjects.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def run(self) -> None:
        """Dispatches for ever. May switch."""
        watcher = get_hub().loop.io(self._epoll.fileno(), 1)
        try:
            while True:
                get_hub().wait(watcher)
                self._dispatch()
        finally:
            watcher.stop()
            watcher.close()

    def close(self) -> None:
        """Watches nothing any more."""
        self._epoll.close()

    def _dispatch(self) -> None:
        for fd, events in self._epoll.poll(0, MOST_AT_ONCE):
            subject = self._subjects.get(fd)
            if subject is not None:
                self._on_gone(subject, bool(events & (select.EPOLLERR | select.EPOLLHUP)))
