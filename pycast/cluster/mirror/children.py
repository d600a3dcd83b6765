"""The nodes that mirror mounts from this one: how many there are for each mount, and how they are notified of new
audio, and of its end.
"""

from contextlib import suppress
from typing import Protocol

import gevent
from gevent.event import Event

from pycast.stream.events import MountClosed, NewAudio


class Child(Protocol):
    """A connection on which a mount is served to another node."""

    def wake(self) -> None:
        """Has it look at what is new. Never switches."""

    def finish(self) -> None:
        """Has it take what is left of the mount, which is about to be freed, and end with that. Never switches."""


class Children:
    """The connections on which mounts are served to other nodes, by mount."""

    def __init__(self) -> None:
        self.bytes_sent = 0
        """Bytes sent to all of them since the start."""
        self._by_mount: dict[str, list[Child]] = {}
        self._removed = Event()

    def count(self, mount: str) -> int:
        """Returns how many nodes mirror the mount from here."""
        return len(self._by_mount.get(mount, ()))

    def add(self, mount: str, child: Child) -> None:
        """Adds a connection: it is woken whenever the mount has something new."""
        self._by_mount.setdefault(mount, []).append(child)

    def remove(self, mount: str, child: Child) -> None:
        """Removes a connection."""
        served = self._by_mount[mount]
        served.remove(child)
        self._removed.set()
        if not served:
            del self._by_mount[mount]

    def on_new_audio(self, event: NewAudio) -> None:
        """Wakes the mount's connections. Never switches."""
        for child in self._by_mount.get(event.mount, ()):
            child.wake()

    def finish(self, seconds: float) -> None:
        """Ends all connections, each with what it has not sent yet; waits for that, but not longer. May switch."""
        for child in [child for served in self._by_mount.values() for child in served]:
            child.finish()
        with suppress(TimeoutError), gevent.Timeout(seconds, TimeoutError()):
            while self._by_mount:
                self._removed.wait()
                self._removed.clear()

    def on_mount_closed(self, event: MountClosed) -> None:
        """Gives the mount's connections what they have not sent yet. Never switches."""
        for child in self._by_mount.get(event.mount, ()):
            child.finish()
