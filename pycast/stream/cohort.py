"""Listeners that are caught up and share one position: what makes a pass cheap, see `stream/fanout.py`."""

from collections.abc import Iterator
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


class Cohorts:
    """The cohorts of a mount, one for each view."""

    def __init__(self) -> None:
        self._of_view: dict[tuple[int, int], Cohort] = {}

    def __iter__(self) -> Iterator[Cohort]:
        return iter(list(self._of_view.values()))

    def of(self, listener: Listener) -> Cohort | None:
        """Returns the cohort of a listener; None if it is in none."""
        cohort = self._of_view.get(listener.view.key)
        return cohort if cohort is not None and listener in cohort.members else None

    def ahead_of(self, listener: Listener, head: int, most: int) -> Cohort | None:
        """Returns the cohort that a new listener is put into, if that has members, and at most `most` to get up to
        `head`. What it lacks comes with the next pass then, in which it needs no push of its own: in a storm there are
        thousands.
        """
        cohort = self._of_view.get(listener.view.key)
        if cohort is None or not cohort.members or cohort.position <= listener.position:
            return None
        return cohort if head - cohort.position <= most else None

    def take_in(self, listener: Listener) -> bool:
        """Puts a listener into the cohort of its view if that is where the listener is; returns whether it is."""
        cohort = self._of_view.get(listener.view.key)
        if cohort is None:
            cohort = self._of_view[listener.view.key] = Cohort(listener.view, listener.position)
        elif not cohort.members:
            cohort.position = listener.position
        elif cohort.position != listener.position:
            return False
        cohort.enter(listener)
        return True

    def let_go(self, listener: Listener) -> None:
        """Takes a listener out of its cohort, if it is in one."""
        cohort = self.of(listener)
        if cohort is not None:
            cohort.leave(listener)

    def remove(self, cohort: Cohort) -> None:
        """Forgets a cohort without members."""
        del self._of_view[cohort.view.key]
