"""Which of a relay's upstreams is tried next, and when.

Each upstream has a pause of its own, which doubles with each failure up to `LONGEST_PAUSE_S`. The first one in order
whose pause is over is tried, so a relay goes on at once at the second server when the first one is lost. While it is at
a later one, an earlier one is tried again when its pause is over, but the relay stays where it is for `STAY_S` at
least: a server that restarts is not worth two changes.

Pure: the time comes in as an argument. The one invariant: no pause is longer than `LONGEST_PAUSE_S` with its jitter.
"""

from collections.abc import Callable, Sequence

from pycast.relay.place import Place

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0

# A stream that ends sooner counts as a failure, however it ended: else a server that takes connections and drops them
# would be asked twice a second for ever.
LEAST_RUN_S = 10.0

STAY_S = 10.0


class Upstreams:
    """The upstreams of one relay, best first."""

    def __init__(self, places: Sequence[Place], jitter: Callable[[], float]) -> None:
        """`jitter` returns numbers from 0 to 1: servers that lost the same upstream must not come back together."""
        self.places = tuple(places)
        self._jitter = jitter
        self._failures = [0] * len(self.places)
        self._not_before = [0.0] * len(self.places)

    @property
    def has_failed(self) -> bool:
        """Whether the next try is one after a failure."""
        return any(self._failures)

    def pause(self, now: float) -> float:
        """Returns for how many seconds no upstream may be tried, 0 if one may."""
        return max(0.0, min(self._not_before) - now)

    def next(self, now: float) -> int:
        """Returns the upstream to try; `pause` is over."""
        return next(index for index, at in enumerate(self._not_before) if at <= now)

    def better(self, than: int, now: float, since: float) -> int | None:
        """Returns an earlier upstream than the one that is on the air since `since`, if it is time to try it."""
        if now - since < STAY_S:
            return None
        return next((index for index in range(than) if self._not_before[index] <= now), None)

    def failed(self, index: int, now: float) -> None:
        """Notes that an upstream could not be reached, or sent no stream."""
        pause = min(FIRST_PAUSE_S * 2 ** min(self._failures[index], 10), LONGEST_PAUSE_S)
        self._failures[index] += 1
        self._not_before[index] = now + pause * (1 + self._jitter() / 4)

    def ended(self, index: int, now: float, lasted_s: float) -> None:
        """Notes that the stream of an upstream has ended, after so many seconds."""
        if lasted_s >= LEAST_RUN_S:
            self._failures[index] = 0
        self.failed(index, now)
