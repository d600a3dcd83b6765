"""How a node empties itself, as a table and a little arithmetic: pure. Told the time and what is there, it says what to
do; it does nothing itself.

In LEAD the balancer learns that this node wants no more listeners (how is the operator's choice: see `is_ready`), and
nobody is touched: until the balancer has acted, who is sent away might be sent back here. In MOVING sources and mirrors
find another node, so that listeners who leave find their mount there. In LEAVING listeners go in a straight line: in
each second `rate` of those who were there at its beginning, as many as the other nodes can take. DONE is reached when
all are gone, or at the deadline, which holds from every state.

Rejected: to let everybody go at once (a storm on the other nodes), and to wait until they leave by themselves (a
radio's listeners stay for a day).
"""

from dataclasses import dataclass
from enum import Enum

from pycast.config.schema import DrainSection

# A node that stood still, or whose clock looks like it, does not make up for it with a bang.
LONGEST_STEP_S = 1.0


class DrainState(Enum):
    """Where a drain is."""

    SERVING = "serving"
    LEAD = "lead"
    MOVING = "moving"
    LEAVING = "leaving"
    DONE = "done"


class DrainEvent(Enum):
    """What happens to a drain."""

    BEGIN = "begin"
    LEAD_OVER = "lead over"
    MOVED = "sources and mirrors moved"
    EMPTY = "empty"
    DEADLINE = "deadline"
    CANCEL = "cancel"


# State and what happens: the next state. What is not in the table is a mistake of the caller.
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


@dataclass(frozen=True, slots=True)
class Progress:
    """A drain as it is now."""

    state: DrainState
    listeners: int
    """Still here."""
    of: int
    """Were here when the first one was let go; before that, are here."""
    next_s: float
    """Until the first listener is let go; 0 if that has been."""
    deadline_s: float
    """Until the deadline; 0 if the node serves."""


class DrainPlan:
    """One node's drain. `step` it several times a second while `is_draining`."""

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
        """Whether the node is on its way out, or at the end of it."""
        return self.state is not DrainState.SERVING

    @property
    def is_ready(self) -> bool:
        """What a readiness check says: with `hold`, a balancer that resets the connections of a target that turns
        unhealthy must not see one.
        """
        return not self.is_draining or self._settings.readiness == "hold"

    def begin(self, settings: DrainSection, now: float) -> None:
        """Starts a drain. One that is under way goes on as it is."""
        if self.is_draining:
            return
        self._settings, self._begun, self._lead_s = settings, now, settings.lead
        self._move(DrainEvent.BEGIN)

    def hurry(self, now: float) -> None:
        """Does not wait for the balancer any longer."""
        if self.state is DrainState.LEAD:
            self._lead_s = min(self._lead_s, now - self._begun)

    def cancel(self) -> None:
        """The node serves again. Who has been let go is gone."""
        if self.is_draining:
            self._move(DrainEvent.CANCEL)

    def step(self, now: float, listeners: int, has_moved: bool) -> int:
        """How many of the `listeners` to let go now. `has_moved` says whether sources and mirrors are where they
        should be; it matters in MOVING alone. At the deadline: all.
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
        """As many of those that `step` named could not be let go yet. They do not add up: no more than a second's worth
        goes at once.
        """
        self._credit = min(self._credit + count, self._per_second)

    def progress(self, now: float, listeners: int) -> Progress:
        """For people."""
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
        # One listener a second is no storm, and ten of them need not take a minute.
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
