"""Carries a drain out: steps the plan, moves what is to be moved, lets listeners go. `drain_plan.py` decides.

Listeners go who are caught up, the longest there first: all that went out to them is whole frames. Those who are behind
get some time to catch up, because theirs would end in the middle of one; but the deadline holds for them, too.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import gevent
from gevent.event import Event

from pycast.balance.drain_plan import DrainPlan, DrainState, Progress
from pycast.config.live import Live
from pycast.net.group import Group, Task
from pycast.signals import Signal
from pycast.stream.fanout import Reason
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)

# Ten small steps a second look like a line to the nodes that take the listeners.
TICK_S = 0.1

# Who is behind for this long while nobody else is left to go is not about to catch up.
PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """The node's drain is in another state."""

    state: DrainState


class Drain:
    """Empties the node."""

    def __init__(self, settings: Live, mounts: Mounts, move_sources: Callable[[], None], group: Group) -> None:
        """`move_sources` is called when the lead is over: it sends sources to other nodes, and may switch."""
        self.changed: Signal[DrainChanged] = Signal()
        self._mounts = mounts
        self._group = group
        self._settings = settings
        self._move_sources = move_sources
        self._plan = DrainPlan()
        self._runner: Task | None = None
        self._mover: Task | None = None
        self._over = Event()
        self._stuck_at: float | None = None

    @property
    def state(self) -> DrainState:
        """Where it is."""
        return self._plan.state

    @property
    def is_draining(self) -> bool:
        """Whether the node is on its way out, or at the end of it."""
        return self._plan.is_draining

    @property
    def is_done(self) -> bool:
        """Whether all listeners are gone; nobody new is taken then."""
        return self._plan.state is DrainState.DONE

    @property
    def is_ready(self) -> bool:
        """What a readiness check says."""
        return self._plan.is_ready

    def begin(self, *, now: bool = False) -> None:
        """Starts a drain, without the lead if `now`. One that is under way goes on, without the rest of its lead."""
        if not self.is_draining:
            self._plan.begin(self._settings.now.drain, time.monotonic())
            self._over.clear()
            self._mover = self._stuck_at = None
            self._announce()
            # One that was cancelled a moment ago has not noticed yet, and goes on.
            if self._runner is None or self._runner.ready():
                self._runner = self._group.spawn("drain", self._run)
        if now:
            self._plan.hurry(time.monotonic())

    def cancel(self) -> None:
        """The node serves again."""
        if self.is_draining:
            self._plan.cancel()
            self._announce()
            self._over.set()

    def wait(self) -> bool:
        """Waits until the drain is over; whether it was carried out, and not cancelled. May switch."""
        self._over.wait()
        return self.is_done

    def progress(self) -> Progress:
        """For people."""
        return self._plan.progress(time.monotonic(), self._listeners())

    def _run(self) -> None:
        while self.is_draining and not self.is_done:
            before, now = self.state, time.monotonic()
            count = self._plan.step(now, self._listeners(), self._mover is not None and self._mover.ready())
            if self.state is not before:
                self._announce()
            if self.state is not DrainState.LEAD and self._mover is None:
                self._mover = self._group.spawn("drain: move", self._move)
            if count:
                self._let_go(count, now)
            if not self.is_done:
                gevent.sleep(TICK_S)
        self._over.set()

    def _move(self) -> None:
        try:
            self._move_sources()
        except Exception:  # the listeners are to go all the same
            log.exception("! drain: the sources stay here")

    def _let_go(self, count: int, now: float) -> None:
        """Spreads `count` over the mounts by their size."""
        left, listeners = count, self._listeners()
        for mount in self._mounts:
            here = len(mount.fanout)
            share = -(-left * here // listeners) if listeners else 0
            left -= mount.fanout.drop_caught_up(min(share, left), Reason.DRAINED)
            listeners -= here
        self._stuck_at = None if not left else self._stuck_at or now
        if left and (self.is_done or (self._stuck_at is not None and now - self._stuck_at >= PATIENCE_S)):
            for mount in self._mounts:
                for listener in list(mount.fanout)[:left]:
                    mount.fanout.drop(listener, Reason.DRAINED)
                    left -= 1
        self._plan.give_back(left)

    def _listeners(self) -> int:
        return sum(len(mount.fanout) for mount in (*self._mounts, *self._mounts.ending))

    def _announce(self) -> None:
        log.info("= drain: %s, %d listeners", self.state.value, self._listeners())
        self.changed.emit(DrainChanged(self.state))
