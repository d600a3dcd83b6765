"""Mounts that have a source only while somebody listens: who asks for one, and how their source hears of it.

What feeds such a mount (`relay/`) registers it here. Who looks for a mount (`mount_finder.py`) wakes it, and waits
until it is on the air or has failed. The one invariant: while a listener waits, its mount counts as wanted.
"""

from collections.abc import Callable, Iterator

from gevent.event import Event

# A player waits longer for an answer, but not much: 10 s is what many have.
START_S = 8.0


class _Demand:
    """One mount."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.waiting = 0
        self.decided = Event()
        """Set when the mount is on the air, or the try to get there has failed."""


class OnDemand:
    """The mounts of this node that are fed on demand, by name."""

    def __init__(self) -> None:
        self._mounts: dict[str, _Demand] = {}

    def __contains__(self, name: object) -> bool:
        return name in self._mounts

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._mounts))

    def add(self, name: str, wake: Callable[[], object]) -> None:
        """Adds a mount, or changes who is woken: `wake` is called for each listener that asks for it, and must not
        switch.
        """
        demand = self._mounts.get(name)
        if demand is None:
            self._mounts[name] = _Demand(wake)
        else:
            demand.wake = wake

    def remove(self, name: str) -> None:
        """Removes a mount. Who waits for it goes on."""
        demand = self._mounts.pop(name, None)
        if demand is not None:
            demand.decided.set()

    def waiting(self, name: str) -> int:
        """Returns how many wait for the mount now."""
        demand = self._mounts.get(name)
        return demand.waiting if demand is not None else 0

    def decided(self, name: str) -> None:
        """Lets those go on who wait for the mount: it is on the air, or will not be soon."""
        demand = self._mounts.get(name)
        if demand is not None:
            demand.decided.set()

    def start(self, name: str) -> None:
        """Wakes what feeds the mount, if it is one of these, and waits until that is decided. May switch, for `START_S`
        at most.
        """
        demand = self._mounts.get(name)
        if demand is None:
            return
        demand.waiting += 1
        try:
            demand.decided.clear()
            demand.wake()
            demand.decided.wait(START_S)
        finally:
            demand.waiting -= 1
