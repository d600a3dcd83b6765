"""Carries out a drain: steps the plan, has sources moved, drops listeners. `drain_plan.py` decides what happens when.

Listeners that are caught up are dropped first, in the order in which they joined: they have received whole frames only.
A listener that is behind has part of a frame, so it gets time to catch up, but not beyond the deadline.
"""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import gevent
from gevent.event import Event

from pycast.balance.drain_plan import DrainPlan, DrainState, Progress
from pycast.config.live import Live
from pycast.net.group import Group, Task
from pycast.signals import Signal
from pycast.stream.fanout import Reason
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)

# With ten small steps a second, the nodes that take the listeners see a steady rate.
TICK_S = 0.1

# A listener that stays behind this long will not catch up; the drain no longer waits for it.
BEHIND_S = 5.0


class DrainChanged(NamedTuple):
    """A change of the state of the node's drain."""

    state: DrainState


class Drain:
    """The drain of one node."""

    def __init__(self, settings: Live, mounts: Mounts, move_sources: Callable[[], None], group: Group) -> None:
        """`move_sources` is called when the lead is over. It moves sources to other nodes, and may switch."""
        self.changed: Signal[DrainChanged] = Signal()
        self._mounts = mounts
        self._group = group
        self._settings = settings
        self._move_sources = move_sources
        self._plan = DrainPlan()
        self._runner: Task | None = None
        self._mover: Task | None = None
        self._over = Event()
        self._behind_since: float | None = None

    @property
    def state(self) -> DrainState:
        return self._plan.state

    @property
    def is_draining(self) -> bool:
        """Whether a drain is under way or done."""
        return self._plan.is_draining

    @property
    def is_done(self) -> bool:
        """Whether all listeners are gone. New ones are refused then."""
        return self._plan.state is DrainState.DONE

    @property
    def is_ready(self) -> bool:
        """Whether a readiness check succeeds."""
        return self._plan.is_ready

    def begin(self, *, now: bool = False) -> None:
        """Starts a drain, unless one is under way. If `now`, (the rest of) its lead is skipped. Never switches."""
        if not self.is_draining:
            self._plan.begin(self._settings.now.drain, time.monotonic())
            self._over.clear()
            self._mover = self._behind_since = None
            self._announce()
            # The greenlet of a drain that was cancelled less than a tick ago still runs: it carries this one out.
            if self._runner is None or self._runner.ready():
                self._runner = self._group.spawn("drain", self._run)
        if now:
            self._plan.hurry(time.monotonic())

    def cancel(self) -> None:
        """Cancels the drain: the node serves again. Never switches."""
        if self.is_draining:
            self._plan.cancel()
            self._announce()
            self._over.set()

    def wait(self) -> bool:
        """Waits until the drain is over. Returns False if it was cancelled. May switch."""
        self._over.wait()
        return self.is_done

    def progress(self) -> Progress:
        return self._plan.progress(time.monotonic(), self._listeners())

    def _run(self) -> None:
        while self.is_draining and not self.is_done:
            # Step the plan: it says how many listeners to drop now.
            before, now = self.state, time.monotonic()
            count = self._plan.step(now, self._listeners(), self._mover is not None and self._mover.ready())
            if self.state is not before:
                self._announce()
            # Move the sources once, as soon as the lead is over.
            if self.state is not DrainState.LEAD and self._mover is None:
                self._mover = self._group.spawn("drain: move", self._move)
            if count:
                self._drop_listeners(count, now)
            if not self.is_done:
                gevent.sleep(TICK_S)
        self._over.set()

    def _move(self) -> None:
        try:
            self._move_sources()
        except Exception:  # listeners are dropped all the same
            log.exception("! drain: sources could not be moved")

    def _drop_listeners(self, count: int, now: float) -> None:
        """Drops up to `count` listeners, and gives the plan back those that could not be dropped yet."""
        # First those that are caught up, from each mount by its share of the listeners that are left.
        left = self._drop_caught_up(count)
        # Note since when there are too few of them.
        self._behind_since = None if not left else self._behind_since or now
        # At the deadline, or when they had their time to catch up, drop listeners that are behind as well.
        if left and (self.is_done or (self._behind_since is not None and now - self._behind_since >= BEHIND_S)):
            left = self._drop_any(left)
        self._plan.give_back(left)

    def _drop_caught_up(self, count: int) -> int:
        """Drops up to `count` listeners that are caught up. Returns how many are left of `count`."""
        left, listeners = count, self._listeners()
        for mount in self._mounts:
            # This mount's share, rounded up, of what is still to drop in this and the following mounts.
            in_mount = len(mount.fanout)
            share = -(-left * in_mount // listeners) if listeners else 0
            # A mount that drops fewer than its share leaves more to the following ones.
            left -= mount.fanout.drop_caught_up(min(share, left), Reason.DRAINED)
            listeners -= in_mount
        return left

    def _drop_any(self, count: int) -> int:
        """Drops up to `count` listeners wherever they are. Returns how many are left of `count`."""
        left = count
        for mount in self._mounts:
            for listener in list(mount.fanout)[:left]:
                mount.fanout.drop(listener, Reason.DRAINED)
                left -= 1
        return left

    def _listeners(self) -> int:
        return sum(len(mount.fanout) for mount in (*self._mounts, *self._mounts.ending))

    def _announce(self) -> None:
        log.info("= drain: %s, %d listeners", self.state.value, self._listeners())
        self.changed.emit(DrainChanged(self.state))
