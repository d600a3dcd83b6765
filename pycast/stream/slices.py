"""The CPU time of a pass over all listeners, in slices: after each of them the rest of the node has its turn."""

import time
from collections.abc import Callable

from pycast.net.turns import give_turn
from pycast.stream.pacer import SLICE_S


class Slices:
    """The slices of one loop."""

    def __init__(self, cpu_clock: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is the cheap one: while it says that a slice is not over, `cpu_clock`, a call of the system, is not
        asked.
        """
        self._cpu_clock = cpu_clock
        self._clock = clock
        self._from = self._until = self._not_before = 0.0

    def begin(self) -> None:
        """Begins a slice."""
        self._from = self._cpu_clock()
        self._until = self._from + SLICE_S
        self._not_before = self._clock() + SLICE_S

    def rest_if_due(self) -> float:
        """Yields to the hub if this slice is over, and begins another one; returns the CPU seconds of the slice that
        ended. May switch.
        """
        if self._clock() < self._not_before:
            return 0.0
        now = self._cpu_clock()
        if now < self._until:
            return 0.0
        spent = now - self._from
        give_turn()  # one turn, so a storm of new connections does not starve the listeners
        self.begin()
        return spent

    def end(self) -> float:
        """Returns the CPU seconds of the present slice."""
        return self._cpu_clock() - self._from
