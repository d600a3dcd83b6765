"""Whether the node is ready for new listeners, and the state that it announces to its balancer.

A full node is ready: see `web/operations.py`.
"""

from pycast.balance.drain import Drain
from pycast.balance.haproxy_agent import Standing


class Readiness:
    """The node's readiness, which follows from its drain and its stop."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self.is_stopping = False
        """Whether the node's stop has begun."""

    @property
    def is_ready(self) -> bool:
        """Whether a readiness check succeeds."""
        return not self.is_stopping and self._drain.is_ready

    @property
    def standing(self) -> Standing:
        """The state that HAProxy's agent-check gets."""
        if self.is_stopping:
            return Standing.STOPS
        return Standing.DRAINS if self._drain.is_draining else Standing.SERVES
