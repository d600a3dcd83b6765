"""How much a node can still take: pure arithmetic from what was measured to one figure.

The headroom is the smallest of the shares that are free: of connections, descriptors, egress, and of the loop's
patience. The least of them decides, because a node that has one of these used up is of no use to the next listener,
whatever it has left of the others. A mean or a product would hide that.

The `Weight` is the same for others to hear: whole per cent, which move only when the headroom has moved by a few
points, so that a balancer and the other nodes are not told news every second. It is 0 if, and only if, the node is
full.
"""

from collections import deque
from dataclasses import dataclass

# A loop this late is at its end: ten thousand listeners notice more than a quarter of a second in every turn.
WORST_LAG_S = 0.25

# Points by which the headroom has to move before others hear of it.
HYSTERESIS = 5

# Listeners are served every half second and sources send when they like: over less time than this the figure jumps.
EGRESS_SPAN_S = 5.0


@dataclass(frozen=True, slots=True)
class Load:
    """What a node uses, and what it has of it. A limit of 0 is one that nobody knows, and does not count."""

    clients: int
    clients_limit: int
    open_files: int = 0
    open_files_limit: int = 0
    egress_bps: float = 0.0
    egress_limit: int = 0
    loop_lag_s: float = 0.0
    relay_health: float = 1.0
    """Which part of its mirrors is well: 1.0 for all of them, or if there are none."""

    @property
    def is_full(self) -> bool:
        """Whether the next listener is refused."""
        return self.clients >= self.clients_limit


def headroom(load: Load) -> float:
    """Which part of the node is free: 0 to 1."""
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
    """The headroom as others hear it. `update` with each new measurement."""

    def __init__(self) -> None:
        self.percent = 100

    def update(self, load: Load) -> int:
        """The weight now, in per cent."""
        percent = 0 if load.is_full else max(round(100 * headroom(load)), 1)
        # What is full, no longer full, or empty again must be heard however small the step is.
        if abs(percent - self.percent) >= HYSTERESIS or 0 in (percent, self.percent) or percent == 100:
            self.percent = percent
        return self.percent


class Egress:
    """Bits per second over the last seconds, from totals that only grow."""

    def __init__(self) -> None:
        self._totals: deque[tuple[float, int]] = deque()

    def measure(self, now: float, bytes_sent: int) -> float:
        """Bits per second, `bytes_sent` being all that was ever sent. `now` is on a clock that is never set."""
        self._totals.append((now, bytes_sent))
        while len(self._totals) > 2 and now - self._totals[1][0] >= EGRESS_SPAN_S:
            self._totals.popleft()
        (begun, before) = self._totals[0]
        return 8 * max(bytes_sent - before, 0) / (now - begun) if now > begun else 0.0
