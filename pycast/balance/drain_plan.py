"""The plan of a drain, by which a node is emptied: a table of states and the rate at which listeners are dropped.

This file is pure. It gets the time and the number of listeners, and returns how many to drop; `drain.py` drops them.

In LEAD the balancer learns that this node takes no more listeners (how is the operator's choice: see `is_ready`). No
listener is dropped: until the balancer has reacted, it might send a dropped listener back here. In MOVING, sources and
mirrors are moved to other nodes, so that listeners find their mount there. In LEAVING, listeners are dropped at a
constant rate: in each second the share `rate` of those that were connected when LEAVING began. DONE is reached when all
listeners are gone, or at the deadline, from every other state of a drain.

Rejected: to drop all listeners at once (a storm on the other nodes), and to wait until they leave by themselves (a
radio's listeners stay for a day).
"""

from enum import Enum
from typing import NamedTuple

from pycast.config.schema import DrainSection

# The longest time between two steps for which listeners are dropped: a node that was stopped for a minute does not drop
# a minute's listeners at once.
LONGEST_STEP_S = 1.0


class DrainState(Enum):
    """The states of a drain, in their order."""

    SERVING = "serving"
    LEAD = "lead"
    MOVING = "moving"
    LEAVING = "leaving"
    DONE = "done"


class DrainEvent(Enum):
    """The events that change the state of a drain."""

    BEGIN = "begin"
    LEAD_OVER = "lead over"
    MOVED = "sources and mirrors moved"
    EMPTY = "empty"
    DEADLINE = "deadline"
    CANCEL = "cancel"


# For each state and event, the next state. An event that is missing here is a bug of the caller.
STEPS: dict[DrainState, dict[DrainEvent, DrainState]] = {
    DrainState.SERVING: {DrainEvent.BEGIN: DrainState.LEAD},
    DrainState.LEAD: {
        DrainEvent.LEAD_OVER: DrainState.MOVING,
        DrainEvent.DEADLINE: DrainState.DONE,
        DrainEvent.CANCEL: DrainState.SERVING,
    },
    DrainState.MOVING: {
        DrainEvent.MOVED: DrainState.LEAVING,
        DrainEvent.DEADLINE: DrainState.DONE,
        DrainEvent.CANCEL: DrainState.SERVING,
    },
    DrainState.LEAVING: {
        DrainEvent.EMPTY: DrainState.DONE,
        DrainEvent.DEADLINE: DrainState.DONE,
        DrainEvent.CANCEL: DrainState.SERVING,
    },
    DrainState.DONE: {DrainEvent.CANCEL: DrainState.SERVING},
}


class Progress(NamedTuple):
    """The progress of a drain."""

    state: DrainState
    listeners: int
    """How many are connected."""
    of: int
    """How many were connected when LEAVING began; before that, how many are."""
    next_s: float
    """Seconds until the lead is over; 0 after that."""
    deadline_s: float
    """Seconds until the deadline; 0 if there is no drain or it is done."""


class DrainPlan:
    """The drain of one node. While `is_draining`, `step` has to be called several times a second."""

    def __init__(self) -> None:
        self.state = DrainState.SERVING
        self._settings = DrainSection()
        self._begun = 0.0
        self._lead_s = 0.0
        self._of = 0
        self._credit = 0.0
        self._last = 0.0

    @property
    def is_draining(self) -> bool:
        """Whether a drain is under way or done."""
        return self.state is not DrainState.SERVING

    @property
    def is_ready(self) -> bool:
        """Whether a readiness check succeeds. With `drain.readiness = "hold"` it does so during a drain as well, for
        balancers that reset the connections of a target that becomes unhealthy.
        """
        return not self.is_draining or self._settings.readiness == "hold"

    def begin(self, settings: DrainSection, now: float) -> None:
        """Starts a drain, unless one is under way."""
        if self.is_draining:
            return
        self._settings, self._begun, self._lead_s = settings, now, settings.lead
        self._move(DrainEvent.BEGIN)

    def hurry(self, now: float) -> None:
        """Ends the lead."""
        if self.state is DrainState.LEAD:
            self._lead_s = min(self._lead_s, now - self._begun)

    def cancel(self) -> None:
        """Cancels the drain. Listeners that were dropped do not come back by this."""
        if self.is_draining:
            self._move(DrainEvent.CANCEL)

    def step(self, now: float, listeners: int, has_moved: bool) -> int:
        """Changes the state as the time asks for, and returns how many of the `listeners` to drop now; at the deadline,
        all. `has_moved` says whether sources and mirrors have been moved; it matters in MOVING only.
        """
        if self.state in (DrainState.SERVING, DrainState.DONE):
            return 0
        if now - self._begun >= self._settings.deadline:
            self._move(DrainEvent.DEADLINE)
            return listeners
        if self.state is DrainState.LEAD and now - self._begun >= self._lead_s:
            self._move(DrainEvent.LEAD_OVER)
        if self.state is DrainState.MOVING and has_moved:
            self._move(DrainEvent.MOVED)
            self._of, self._credit, self._last = listeners, 0.0, now
        return self._leave(now, listeners) if self.state is DrainState.LEAVING else 0

    def give_back(self, count: int) -> None:
        """Puts back `count` of the last `step`, for listeners that could not be dropped yet. At most a second's worth
        is kept, so that they are not all dropped at once later.
        """
        self._credit = min(self._credit + count, self._per_second)

    def progress(self, now: float, listeners: int) -> Progress:
        """Returns the progress at `now`, with `listeners` connected."""
        is_over = self.state in (DrainState.SERVING, DrainState.DONE)
        return Progress(
            state=self.state,
            listeners=listeners,
            of=self._of if self.state in (DrainState.LEAVING, DrainState.DONE) else listeners,
            next_s=max(self._begun + self._lead_s - now, 0.0) if self.state is DrainState.LEAD else 0.0,
            deadline_s=0.0 if is_over else max(self._begun + self._settings.deadline - now, 0.0),
        )

    @property
    def _per_second(self) -> float:
        # At least one listener a second: a few listeners need not take a minute.
        return max(self._of * self._settings.rate, 1.0)

    def _leave(self, now: float, listeners: int) -> int:
        if not listeners:
            self._move(DrainEvent.EMPTY)
            return 0
        self._credit += self._per_second * min(now - self._last, LONGEST_STEP_S)
        self._last = now
        count = min(int(self._credit), listeners)
        self._credit -= count
        return count

    def _move(self, event: DrainEvent) -> None:
        self.state = STEPS[self.state][event]
