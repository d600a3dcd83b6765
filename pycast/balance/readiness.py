"""Whether new listeners are welcome, and what the node wants of its balancer.

A full node says that it is ready: see `web/operations.py`.
"""

from pycast.balance.drain import Drain
from pycast.balance.haproxy_agent import Standing


class Readiness:
    """The node's readiness: it follows from its drain and its stop."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self.is_stopping = False
        """Whether the node's stop has begun."""

    @property
    def is_ready(self) -> bool:
        """What a readiness check says."""
        return not self.is_stopping and self._drain.is_ready

    @property
    def standing(self) -> Standing:
        """What HAProxy's agent-check is told."""
        if self.is_stopping:
            return Standing.STOPS
        return Standing.DRAINS if self._drain.is_draining else Standing.SERVES
