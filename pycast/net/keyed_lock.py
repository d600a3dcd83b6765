"""One at a time, by name: for decisions that switch in the middle and must not meet another about the same thing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gevent.lock import RLock


@dataclass(slots=True)
class _Turn:
    lock: RLock = field(default_factory=RLock)
    users: int = 0


class KeyedLock:
    """`with turns.of(name):` waits until nobody else is inside with that name. The same greenlet may enter again."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    def __len__(self) -> int:
        return len(self._turns)

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """May switch."""
        turn = self._turns.setdefault(name, _Turn())
        turn.users += 1
        try:
            with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]
