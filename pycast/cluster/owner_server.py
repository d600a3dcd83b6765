"""Answers the questions of other nodes about this node's sources. `owner_client.py` is the other end.

The answers are decided in `ownership.py`, which knows nothing of questions: a single node gets none.
"""

from dataclasses import dataclass

from pycast.cluster.link.questions import Alive, IsAlive, Yield, Yielded
from pycast.cluster.ownership import Ownership


@dataclass(frozen=True, slots=True)
class OwnerServer:
    """The handlers of questions about this node's sources."""

    ownership: Ownership

    def on_is_alive(self, question: IsAlive) -> Alive:
        """Answers whether the mount's source is on the air here and sends."""
        return Alive(self.ownership.is_alive(question.mount))

    def on_yield(self, question: Yield) -> Yielded:
        """Takes the mount's source off the air for a newer one on another node. May switch."""
        self.ownership.yield_mount(question.mount)
        return Yielded()
