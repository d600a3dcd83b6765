"""How much load a node can still take: pure arithmetic from what was measured to one figure.

The headroom is the smallest free share of: connections, descriptors, egress, the event loop's lag, and the mirrors that
work. The smallest decides, because a node that has used up one of these cannot serve the next listener, whatever is
left of the others. A mean or a product would hide that.

The `Weight` is the headroom as balancers and other nodes get it: in whole per cent, and changed only when the headroom
has changed by a few points, so that they do not get a new value every second. It is 0 if, and only if, the node is
full.
"""

from collections import deque
from typing import NamedTuple

# The loop's lag at which nothing is free: ten thousand listeners notice more than a quarter of a second in each turn.
WORST_LAG_S = 0.25

# Points by which the headroom has to change before the weight does.
HYSTERESIS = 5

# The egress is averaged over this time: listeners are served in batches half a second apart, so over less it jumps.
EGRESS_SPAN_S = 5.0


class Load(NamedTuple):
    """The resources that a node uses, and their limits. A limit of 0 is unknown and ignored."""

    clients: int
    clients_limit: int
    open_files: int = 0
    open_files_limit: int = 0
    egress_bps: float = 0.0
    egress_limit: int = 0
    loop_lag_s: float = 0.0
    relay_health: float = 1.0
    """The share of its mirrors that work, 0 to 1; 1.0 if there are none."""

    @property
    def is_full(self) -> bool:
        """Whether the next listener is refused."""
        return self.clients >= self.clients_limit


def headroom(load: Load) -> float:
    """Returns the free share of the node, 0 to 1."""
    return min(
        _free(load.clients, load.clients_limit),
        _free(load.open_files, load.open_files_limit),
        _free(load.egress_bps, load.egress_limit),
        _free(load.loop_lag_s, WORST_LAG_S),
        min(max(load.relay_health, 0.0), 1.0),
    )


def _free(used: float, limit: float) -> float:
    return min(max(1 - used / limit, 0.0), 1.0) if limit else 1.0


class Weight:
    """The headroom in per cent, with hysteresis. `update` has to be called with each new measurement."""

    def __init__(self) -> None:
        self.percent = 100

    def update(self, load: Load) -> int:
        """Returns the new weight, in per cent."""
        percent = 0 if load.is_full else max(round(100 * headroom(load)), 1)
        # Becoming full, no longer full, or empty changes the weight however small the step is.
        if abs(percent - self.percent) >= HYSTERESIS or 0 in (percent, self.percent) or percent == 100:
            self.percent = percent
        return self.percent


class Egress:
    """The egress over the last `EGRESS_SPAN_S`, from totals that only grow."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, int]] = deque()

    def measure(self, now: float, bytes_sent: int) -> float:
        """Returns bits per second. `bytes_sent` is the total since the start, `now` is monotonic."""
        self._totals.append((now, bytes_sent))
        while len(self._totals) > 2 and now - self._totals[1][0] >= EGRESS_SPAN_S:
            self._totals.popleft()
        (begun, before) = self._totals[0]
        return 8 * max(bytes_sent - before, 0) / (now - begun) if now > begun else 0.0
