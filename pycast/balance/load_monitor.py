"""What the node measures of itself: how late its loop is, what it sends, what it has open; and from these its weight.

Measured once a second, whether anybody asks or not. Connections alone are counted at the moment of asking: a balancer
must hear at once that the node is full.
"""

import os
import time
from collections.abc import Callable

from pycast.balance.admission import Admission
from pycast.balance.headroom import Egress, Load, Weight
from pycast.config.live import Live
from pycast.net.ticks import LoopLag, sleep_until_tick

MEASURE_S = 1.0


class LoadMonitor:
    """`run` and `lag.run` are greenlets of their own."""

    def __init__(
        self,
        settings: Live,
        admission: Admission,
        bytes_sent: Callable[[], int],
        relay_health: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`bytes_sent` is all that ever went out; `relay_health` which part of the node's mirrors is well, 0 to 1."""
        self.lag = LoopLag()
        self.egress_bps = 0.0
        self.open_files = 0
        self._admission = admission
        self._bytes_sent = bytes_sent
        self._relay_health = relay_health
        self._settings = settings
        self._egress = Egress()
        self._weight = Weight()

    @property
    def percent(self) -> int:
        """The headroom as balancers and other nodes are told it."""
        return self._weight.update(self.load())

    def load(self) -> Load:
        """The figures now."""
        return Load(
            clients=self._admission.open,
            clients_limit=self._admission.limit,
            open_files=self.open_files,
            open_files_limit=self._admission.open_files,
            egress_bps=self.egress_bps,
            egress_limit=self._settings.now.balancer.egress,
            loop_lag_s=self.lag.seconds,
            relay_health=self._relay_health(),
        )

    def run(self) -> None:
        """Measures for ever."""
        while True:
            self.measure(time.monotonic())
            sleep_until_tick(MEASURE_S)

    def measure(self, now: float) -> None:
        """Measures once."""
        self.egress_bps = self._egress.measure(now, self._bytes_sent())
        self.open_files = count_open_files()
        self._weight.update(self.load())


def count_open_files() -> int:
    """Returns how many descriptors this process has open."""
    # Cheap since Linux 6.2, where the folder's size is their number; before that the folder is read.
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
