"""Listeners that are caught up and share one position: what makes a pass cheap, see `stream/fanout.py`."""

from dataclasses import dataclass, field

from pycast.stream.listener import Listener
from pycast.stream.views import View


@dataclass(slots=True, eq=False)
class Cohort:
    """Listeners with the same view that are caught up. `sent` is the number of bytes that a member from the start on
    would have got.
    """

    view: View
    position: int
    sent: int = 0
    members: dict[Listener, None] = field(default_factory=dict)

    def enter(self, listener: Listener) -> None:
        """Takes in a listener that has got everything up to the cohort's position."""
        listener.sent -= self.sent
        self.members[listener] = None

    def leave(self, listener: Listener) -> None:
        """Gives a member its own position and count again."""
        del self.members[listener]
        listener.sent += self.sent
        listener.position = self.position
