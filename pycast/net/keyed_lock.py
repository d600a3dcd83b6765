"""A lock for each name: for code that switches in the middle and must not run twice at a time for the same name."""

from collections.abc import Iterator
from contextlib import contextmanager

from gevent.lock import RLock


class _Entry:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = RLock()
        self.users = 0


class KeyedLock:
    """A set of locks by name. `with locks.of(name):` waits until no other greenlet holds the lock of that name. The
    greenlet that holds it may enter again. A lock exists only while it is used.
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Holds the lock of `name` in a `with` block. May switch."""
        entry = self._entries.setdefault(name, _Entry())
        entry.users += 1
        try:
            with entry.lock:
                yield
        finally:
            entry.users -= 1
            if not entry.users:
                del self._entries[name]
