"""A call that is made again and again, but only while there is something for it: an idle server has to sleep."""

from collections.abc import Callable
from typing import Any

from gevent import get_hub


class Sweeper:
    """Makes `call` every `seconds` from `begin` on, until it returns False. `call` must not switch."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self._seconds = seconds
        self._call = call
        self._timer: Any = None

    def begin(self) -> None:
        """Starts, if it does not run. Cheap. Never switches."""
        if self._timer is None:
            self._timer = get_hub().loop.timer(self._seconds, self._seconds)
            self._timer.start(self._sweep)

    def close(self) -> None:
        """Ends. Can be called twice."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.stop()
            timer.close()

    def _sweep(self) -> None:
        if not self._call():
            self.close()
