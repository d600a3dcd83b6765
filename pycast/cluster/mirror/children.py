"""The nodes that mirror mounts from this one: how many there are for each mount, and how they are notified of new
audio.
"""

from gevent.event import Event

from pycast.stream.events import NewAudio


class Children:
    """The connections on which mounts are served to other nodes, by mount. Each waits for its own `Event`."""

    def __init__(self) -> None:
        self.bytes_sent = 0
        """Bytes sent to all of them since the start."""
        self._by_mount: dict[str, list[Event]] = {}

    def count(self, mount: str) -> int:
        """Returns how many nodes mirror the mount from here."""
        return len(self._by_mount.get(mount, ()))

    def add(self, mount: str, news: Event) -> None:
        """Adds a connection: `news` is set whenever the mount has something new."""
        self._by_mount.setdefault(mount, []).append(news)

    def remove(self, mount: str, news: Event) -> None:
        """Removes a connection."""
        waiting = self._by_mount[mount]
        waiting.remove(news)
        if not waiting:
            del self._by_mount[mount]

    def on_new_audio(self, event: NewAudio) -> None:
        """Wakes the mount's connections. Never switches."""
        for news in self._by_mount.get(event.mount, ()):
            news.set()
