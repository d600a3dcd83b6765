"""Sources that are connected to this node and stand by: each mount's in the order in which they came."""

from pycast.stream.source import Source


class Standbys:
    """The sources that wait for their mount."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Source]] = {}

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def has(self, mount: str) -> bool:
        """Whether a source stands by for the mount."""
        return bool(self._waiting.get(mount))

    def first(self, mount: str) -> Source | None:
        """Returns the source whose turn comes next."""
        waiting = self._waiting.get(mount)
        return waiting[0] if waiting else None

    def add(self, mount: str, source: Source) -> None:
        """Puts a source last in the mount's line."""
        self._waiting.setdefault(mount, []).append(source)

    def remove(self, mount: str, source: Source) -> bool:
        """Takes a source out. Returns whether it stood by."""
        waiting = self._waiting.get(mount, [])
        if source not in waiting:
            return False
        waiting.remove(source)
        if not waiting:
            del self._waiting[mount]
        return True

    def all(self) -> list[Source]:
        """Returns every source that stands by."""
        return [source for waiting in self._waiting.values() for source in waiting]
