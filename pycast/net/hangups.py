"""Detects that a listener hung up, also while nothing is sent to it.

One epoll object has all listeners' sockets, and the hub watches only its descriptor, so ten thousand idle players cost
the hub nothing. A half-closed connection is reported too: behind a balancer, this is how a player's end looks
(icecast-kh #152: 6,000 CLOSE_WAIT sockets).
"""

import select
from collections.abc import Callable
from typing import Generic, TypeVar

from gevent import monkey
from gevent.hub import get_hub

# Edge-triggered: what a listener sends after its request is never read, and must not wake the loop again and again.
EVENTS = select.EPOLLRDHUP | select.EPOLLET

# Events dispatched before other greenlets run.
MOST_AT_ONCE = 512

S = TypeVar("S")


class Hangups(Generic[S]):
    """The watch on listeners' connections. Calls `on_hangup(subject, failed)` when the peer of a watched descriptor
    closes or half-closes (`failed` is False), or resets or no longer answers (True). The callback has to `forget` the
    descriptor.
    """

    def __init__(self, on_hangup: Callable[[S, bool], None]) -> None:
        # gevent removes `epoll` from the patched module, because waiting on it blocks. This one is only polled.
        self._epoll = monkey.get_original("select", "epoll")()
        self._on_hangup = on_hangup
        self._subjects: dict[int, S] = {}

    def watch(self, fd: int, subject: S) -> None:
        """Watches `fd`, which belongs to `subject`. Raises OSError if the kernel refuses it."""
        self._epoll.register(fd, EVENTS)
        self._subjects[fd] = subject

    def change(self, fd: int, subject: S) -> None:
        """Changes the subject of `fd`; does nothing if `fd` is not watched."""
        if fd in self._subjects:
            self._subjects[fd] = subject

    def forget(self, fd: int) -> None:
        """Stops watching `fd`. Has to be called before `fd` is closed."""
        if self._subjects.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def run(self) -> None:
        """Dispatches hang-ups for ever. May switch."""
        watcher = get_hub().loop.io(self._epoll.fileno(), 1)
        try:
            while True:
                get_hub().wait(watcher)
                self._dispatch()
        finally:
            watcher.stop()
            watcher.close()

    def close(self) -> None:
        self._epoll.close()

    def _dispatch(self) -> None:
        for fd, events in self._epoll.poll(0, MOST_AT_ONCE):
            subject = self._subjects.get(fd)
            if subject is not None:
                self._on_hangup(subject, bool(events & (select.EPOLLERR | select.EPOLLHUP)))
