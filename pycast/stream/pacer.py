"""How often the node pushes: a duty cycle over all mounts together.

Fewer, larger writes are what lets one core carry many listeners, and what makes their latency larger. So the passes of
all mounts together get a fixed share of the core: the interval between two passes of a mount is the cost of one pass of
every mount divided by that share. Ten listeners are served every 20 ms, eight thousand every half second, and 200 small
mounts slow down together as one large mount does; there is no mode to switch. A crowded node takes up to a second.

Costs are CPU time of this thread, so another process on the core does not slow our listeners down.
"""

from collections.abc import Callable

# A twentieth of the core for pushing while the interval is between its bounds. A larger share would cost CPU for a
# latency that players, which hold seconds, do not need: at a fifth, 4,000 listeners cost twice what they cost here.
SHARE = 0.05

# A node whose passes take more than a tenth of the core at `flush_interval` is crowded: it takes up to twice that time.
# What a listener costs is mostly the write, so at 8,000 listeners half as many writes save a third of the CPU.
CROWDED_SHARE = 0.1

# A shorter interval gains nothing: one MP3 frame at 44.1 kHz is 26 ms.
SHORTEST_S = 0.02

# A source is read this often at most: several small reads become one, and it adds this much latency at most.
LONGEST_READ_WAIT_S = 0.1

# A pass gives way to the hub after this long, so that health checks and new connections wait a few milliseconds at
# most.
SLICE_S = 0.002


class Pacer:
    """The interval between passes, from what the last pass of each mount cost."""

    def __init__(self, flush_interval: float, cpu_clock: Callable[[], float]) -> None:
        self.flush_interval = flush_interval
        self.cpu_clock = cpu_clock
        self._costs: dict[object, float] = {}
        self._total = 0.0

    def record(self, key: object, cost_s: float) -> None:
        """Sets what the last pass of the mount `key` cost, in seconds of CPU time."""
        self._total += cost_s - self._costs.get(key, 0.0)
        self._costs[key] = cost_s

    def forget(self, key: object) -> None:
        """Removes the cost of the mount `key`, which has no more listeners."""
        self._total -= self._costs.pop(key, 0.0)

    @property
    def interval(self) -> float:
        """Seconds from the end of one pass of a mount to the beginning of the next."""
        return min(max(self._total / SHARE, SHORTEST_S), self.flush_interval)

    @property
    def extra_wait(self) -> float:
        """Seconds by which a crowded node lengthens `interval`, where players have a buffer for it."""
        return min(max(self._total / CROWDED_SHARE - self.flush_interval, 0.0), self.flush_interval)

    @property
    def read_wait(self) -> float:
        """Seconds that a source's reader waits between two reads, while bytes gather."""
        return min(self.interval / 2, LONGEST_READ_WAIT_S)
