"""Measures the node's load: its loop's lag, its egress, its open files; and computes its weight from these.

Egress and open files are measured once a second. Connections are counted whenever the load is read, because a balancer
must learn at once that the node is full.
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
    """The load of this node. `run` and `lag.run` each need a greenlet of their own."""

    def __init__(
        self,
        settings: Live,
        admission: Admission,
        bytes_sent: Callable[[], int],
        relay_health: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """`bytes_sent` returns all bytes sent so far, `relay_health` the share of mirrors that work, 0 to 1."""
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
        """The weight that balancers and other nodes get, 0 to 100."""
        return self._weight.update(self.load())

    def load(self) -> Load:
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
        """Measures once a second, for ever. May switch."""
        while True:
            self.measure(time.monotonic())
            sleep_until_tick(MEASURE_S)

    def measure(self, now: float) -> None:
        """Measures egress and open files, and updates the weight. `now` is monotonic."""
        self.egress_bps = self._egress.measure(now, self._bytes_sent())
        self.open_files = count_open_files()
        self._weight.update(self.load())


def count_open_files() -> int:
    """Returns how many descriptors this process has open."""
    # Since Linux 6.2 the directory's size is their number; before that it is 0, and the directory has to be read.
    return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
