"""A line of the log for what happens again and again: one at most in `TOLD_S`, with how often it was since the last.

It counts only for that line: metrics have counters of their own.
"""

from collections.abc import Callable

TOLD_S = 60.0


class Seldom:
    """What happens again and again. `clock` returns seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._untold = 0
        self._told_at = -TOLD_S

    def due(self) -> int:
        """Counts one more. Returns how many there were since the last line if it is time for the next one, else 0."""
        self._untold += 1
        now = self._clock()
        if now - self._told_at < TOLD_S:
            return 0
        count, self._untold, self._told_at = self._untold, 0, now
        return count
