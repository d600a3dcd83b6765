"""The addresses that did not answer: of the addresses that a name has, those are asked after the others.

A server that is dead, or behind a firewall that drops what it gets, takes all the time that an attempt has. Asked first
each time, as the name server's order has it, it would keep who asks from the living ones behind it. So it is with an
address of IPv6 on a machine whose IPv6 leads nowhere.

Invariant: no address is left out, and what is known of one is as old as `FORGOTTEN_S` at most.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

Endpoint: TypeAlias = tuple[int, Any]
"""An address family, and an address of it."""

# A server that was down for a moment gets its turn again, and a dead one takes the time of one attempt in so many.
FORGOTTEN_S = 600.0


class FailedEndpoints:
    """When each address failed last. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._times: dict[Endpoint, float] = {}

    def at_the_end(self, endpoints: list[Endpoint]) -> list[Endpoint]:
        """Returns the same addresses, those that failed at the end: the one that failed last is the last one."""
        self._forget()
        return sorted(endpoints, key=lambda endpoint: self._times.get(endpoint, 0.0))

    def add(self, endpoint: Endpoint) -> None:
        """Remembers that an address has failed now."""
        self._times[endpoint] = self._clock()

    @contextmanager
    def unless_answered(self, endpoint: Endpoint) -> Iterator[None]:
        """Adds an address if the block raises an error, and forgets its failures otherwise."""
        try:
            yield
        except Exception:
            self.add(endpoint)
            raise
        self._times.pop(endpoint, None)

    def _forget(self) -> None:
        now = self._clock()
        self._times = {endpoint: at for endpoint, at in self._times.items() if now - at < FORGOTTEN_S}
