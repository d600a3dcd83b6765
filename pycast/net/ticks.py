"""Ticks of the monotonic clock, shared by all periodic loops, and the lag of the event loop.

Periodic loops of a node wake at the same moments, so an idle node wakes once for all of them. `LoopLag` measures how
much later than its tick it wakes; all greenlets of the node are delayed as much. The figure is smoothed: one long turn
(garbage collection, a page of statistics) is no reason to send listeners elsewhere, but a loop that is late in every
turn is.
"""

import time

import gevent

# Often enough to fall into the turns in which ten thousand listeners are served. Not more often, because an idle node's
# cost is mostly its wake-ups. Each fourth tick is shared with the loops that wake once a second.
BEAT_S = 0.25

# The time after which two thirds of a change are in the figure. One turn of a quarter of a second adds less than 50 ms.
SMOOTHING_S = 2.05

# The longest lag that one tick counts for: a process that was stopped for a minute recovers within seconds.
WORST_S = 1.0


def sleep_until_tick(period_s: float) -> float:
    """Waits until the next multiple of `period_s` on the monotonic clock. Returns how many seconds late it woke. May
    switch.
    """
    now = time.monotonic()
    due = now + period_s - now % period_s
    gevent.sleep(due - now)
    return time.monotonic() - due


class LoopLag:
    """The smoothed lag of the event loop, in `seconds`. `run` needs a greenlet of its own."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def run(self) -> None:
        """Measures for ever. May switch."""
        while True:
            self.note(sleep_until_tick(BEAT_S))

    def note(self, late_s: float) -> None:
        """Adds a measurement: one tick that was `late_s` late."""
        late_s = min(max(late_s, 0.0), WORST_S)
        share = (BEAT_S + late_s) / (SMOOTHING_S + BEAT_S + late_s)
        self.seconds += (late_s - self.seconds) * share
