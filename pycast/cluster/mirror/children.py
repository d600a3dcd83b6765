"""The nodes that mirror mounts from this one: how many there are for each mount, and how they are notified of new
audio, and of its end.
"""

from typing import Protocol

from pycast.stream.events import MountClosed, NewAudio


class Child(Protocol):
    """A connection on which a mount is served to another node."""

    def wake(self) -> None:
        """Has it look at what is new. Never switches."""

    def finish(self) -> None:
        """Has it take what is left of the mount, which is over and about to be freed. Never switches."""


class Children:
    """The connections on which mounts are served to other nodes, by mount."""

    def __init__(self) -> None:
        self.bytes_sent = 0
        """Bytes sent to all of them since the start."""
        self._by_mount: dict[str, list[Child]] = {}

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
        if not served:
            del self._by_mount[mount]

    def on_new_audio(self, event: NewAudio) -> None:
        """Wakes the mount's connections. Never switches."""
        for child in self._by_mount.get(event.mount, ()):
            child.wake()

    def on_mount_closed(self, event: MountClosed) -> None:
        """Gives the mount's connections what they have not sent yet. Never switches."""
        for child in self._by_mount.get(event.mount, ()):
            child.finish()
