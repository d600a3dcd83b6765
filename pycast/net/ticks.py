"""Ticks of the monotonic clock that all periodic loops share, and how late the event loop is.

Loops of a node that look at something now and then do so at the same moments: an idle node wakes once for all of them.
`LoopLag` measures when a tick should have come and when it did. Every greenlet of the node waits as long as that one,
so it stands for all. The figure is smoothed: one long turn (a collection of garbage, a page of statistics) is no reason
to send listeners elsewhere; a loop that is late in each turn is.
"""

import time

import gevent

# Often enough to meet the turns in which ten thousand listeners are served, seldom enough to cost nothing: what wakes
# an idle node most often is most of what it costs. Each fourth beat is one with the loops that wake once a second.
BEAT_S = 0.25

# A change is seen by two thirds after this long; one turn of a quarter of a second counts for less than 50 ms.
SMOOTHING_S = 2.05

# A process that was stopped for a minute is well again some seconds after, not a minute.
WORST_S = 1.0


def sleep_until_tick(period_s: float) -> float:
    """Waits until the next multiple of `period_s` on the monotonic clock. Returns by how many seconds it came late. May
    switch.
    """
    now = time.monotonic()
    due = now + period_s - now % period_s
    gevent.sleep(due - now)
    return time.monotonic() - due


class LoopLag:
    """`run` it in a greenlet; `seconds` is how late the loop is."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def run(self) -> None:
        """Measures for ever."""
        while True:
            self.note(sleep_until_tick(BEAT_S))

    def note(self, late_s: float) -> None:
        """One beat came `late_s` after its time."""
        late_s = min(max(late_s, 0.0), WORST_S)
        share = (BEAT_S + late_s) / (SMOOTHING_S + BEAT_S + late_s)
        self.seconds += (late_s - self.seconds) * share
