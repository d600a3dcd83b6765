"""What could not be written to a file: counted, reported when it begins and when it is over, not in between."""

import time
from collections.abc import Callable

# Without a loss for this long, it is over: a disk that is nearly full would otherwise be reported all the time.
QUIET_S = 5.0


class Losses:
    """The losses of one file. `on_begin` gets the reason, `on_end` how much was lost since."""

    def __init__(self, on_begin: Callable[[str], None], on_end: Callable[[int], None]) -> None:
        self.total = 0
        self._on_begin = on_begin
        self._on_end = on_end
        self._since_begin = 0
        self._last = 0.0

    def add(self, count: int, why: str) -> None:
        """Counts a loss."""
        is_first = not self._since_begin
        self.total += count
        self._since_begin += count
        self._last = time.monotonic()
        if is_first and count:
            self._on_begin(why)

    def on_written(self) -> None:
        """Reports that it is over, if it is. Called when something was taken."""
        if self._since_begin and time.monotonic() - self._last >= QUIET_S:
            lost, self._since_begin = self._since_begin, 0
            self._on_end(lost)
