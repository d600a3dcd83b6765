"""The loop that pushes one mount to all its listeners.

Nearly every listener is *caught up*: it has got everything up to the last pass. Those with the same view form a cohort,
which has one position for all; a pass makes the cohort's bytes once and does one `send` for each member, and that is
all it does per listener. A listener whose socket took less than the whole, or that just joined with a burst to get, is
*behind*: it is served on its own, from its own position, until it has caught up with its cohort again. Whoever is more
than `queue_size` behind is dropped: the source never waits.

Theory of the cost: one greenlet per listener costs four times Icecast, a `sendmsg` of slices made per listener half as
much again as one `send` of bytes made once; what is left here is the kernel's own work for a write (see
benchmarks/bench_listeners.py).

Only `run` and `_rest_if_due`, where a pass gives way, switch to other greenlets. So a listener can be dropped in the
middle of a pass only while the pass rests; its socket is closed by then, the next `send` on it fails, and
`_fall_behind` ignores it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

import gevent
from gevent.event import Event

from pycast.stream.listener import Listener
from pycast.stream.pacer import SLICE_S, Pacer
from pycast.stream.ring import Ring
from pycast.stream.views import Piece, View

log = logging.getLogger(__name__)

# One listener that is behind gets at most this much in a pass, so that one fast reader with a long backlog holds up
# nobody. At least a default burst, what the ICY grid adds to it, and the blocks: a new player should get its burst in
# one write.
CATCH_UP_BYTES = 96 << 10

# More new audio than this, or than half of what a listener may be behind, does not wait for the end of the interval: a
# source that sends its backlog at once (a file, an encoder after a network hang, a mirror with a new parent) must not
# push listeners who read well over `queue_size`.
URGENT_BYTES = 128 << 10

# At the end of a stream, those who are behind get this long for the rest of it.
FINISH_S = 2.0

# libev's EV_MAXPRI.
HIGHEST_PRIORITY = 2

# Sends between two looks at the clock.
BATCH = 64


class Reason(Enum):
    """Why a listener left, for logs and counters."""

    CLOSED = "closed the connection"
    RESET = "connection failed"
    SLOW = "too far behind"
    EXPIRED = "reached the mount's time limit"
    KILLED = "removed by an admin"
    SOURCE_GONE = "the source is gone"
    ABANDONED = "no other node has the mount any more"
    SILENT = "no audio for too long"
    DRAINED = "let go by a drain"
    SHUTDOWN = "the server stops"
    BUG = "a bug broke the fan-out off"


@dataclass(slots=True, eq=False)
class Cohort:
    """Listeners with the same view who are caught up. `sent` counts the bytes a member since the beginning would have
    got.
    """

    view: View
    position: int
    sent: int = 0
    members: dict[Listener, None] = field(default_factory=dict)


class Fanout:
    """All listeners of one mount. `on_gone(listener, reason)` is called once for each that leaves."""

    def __init__(
        self,
        ring: Ring,
        pacer: Pacer,
        queue_size: Callable[[], int],
        on_gone: Callable[[Listener, Reason], None],
        clock: Callable[[], float],
    ) -> None:
        self._ring = ring
        self._pacer = pacer
        self._queue_size = queue_size
        self._on_gone = on_gone
        self._clock = clock
        self._cohorts: dict[tuple[int, int], Cohort] = {}
        self._behind: dict[Listener, None] = {}
        self._all: dict[int, Listener] = {}
        self._work = Event()
        self._urgent = Event()
        self._resting = Event()
        self._resting.set()
        self._pushed = 0
        self._ending: Reason | None = None
        self._finish_at = 0.0
        self._slice_end = 0.0
        self._cost_from = 0.0
        self.bytes_sent = 0
        self.round_s = 0.0
        """Seconds between the beginnings of the last two passes."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Listener]:
        return iter(list(self._all.values()))

    def get(self, id: int) -> Listener | None:
        """The listener with this id."""
        return self._all.get(id)

    def join(self, listener: Listener) -> None:
        """Takes a listener over and pushes what it is to get first."""
        self._all[listener.id] = listener
        self._behind[listener] = None
        self._push_behind(listener, self._ring.head)
        self._work.set()

    def wait_until_resting(self) -> None:
        """Waits until no pass is under way: from then on, until the next switch, listeners can be taken out. May
        switch.
        """
        while not self._resting.is_set():
            self._resting.wait()

    def take_out(self, listeners: Iterable[Listener]) -> None:
        """These listeners, each with its own position and count from now on, are no longer this loop's. Only while it
        rests.
        """
        assert self._resting.is_set()
        for listener in listeners:
            cohort = self._cohort_of(listener)
            if cohort is not None:
                self._leave(listener, cohort)
            self._behind.pop(listener, None)
            del self._all[listener.id]

    def put_in(self, listener: Listener) -> None:
        """Takes over a listener that another loop, or this one, had before."""
        self._all[listener.id] = listener
        self._behind[listener] = None
        self._work.set()

    def drop(self, listener: Listener, reason: Reason) -> None:
        """Closes a listener's connection. Does nothing for one that is gone already."""
        if self._all.pop(listener.id, None) is None:
            return
        cohort = self._cohort_of(listener)
        if cohort is not None:
            self._leave(listener, cohort)
        self._behind.pop(listener, None)
        self._on_gone(listener, reason)
        listener.transport.close()

    def drop_all(self, reason: Reason) -> None:
        """Closes every listener's connection."""
        for listener in self:
            self.drop(listener, reason)

    def drop_caught_up(self, count: int, reason: Reason) -> int:
        """Drops up to `count` of those who are caught up, the longest there first; returns how many. What has gone out
        to them ends between two frames, also in the middle of a pass.
        """
        whole = (listener for listener in self._all.values() if listener not in self._behind)
        ready = list(islice(whole, count))
        for listener in ready:
            self.drop(listener, reason)
        return len(ready)

    def end(self, reason: Reason) -> None:
        """Lets `run` return: everybody is let go for `reason` once they have all that is in the ring, or after
        `FINISH_S`.
        """
        self._ending = reason
        self._finish_at = self._clock() + FINISH_S
        self._work.set()
        self._urgent.set()

    def wake(self) -> None:
        """There is new audio."""
        self._work.set()
        if self._ring.head - self._pushed > min(URGENT_BYTES, self._queue_size() // 2):
            self._urgent.set()

    def position_of(self, listener: Listener) -> int:
        """The audio offset up to which the listener has got everything."""
        cohort = self._cohort_of(listener)
        return cohort.position if cohort else listener.position

    def sent_to(self, listener: Listener) -> int:
        """Bytes written to the listener's socket."""
        cohort = self._cohort_of(listener)
        return listener.sent + (cohort.sent if cohort else 0)

    def run(self) -> None:
        """Pushes until `end`: the mount's own greenlet."""
        begun = self._clock()
        while not self._is_finished():
            self._work.wait()
            self._work.clear()
            if not self._all:
                self._pacer.forget(self)
                continue
            last, begun = begun, self._clock()
            self.round_s = begun - last
            self._resting.clear()
            try:
                self._pacer.record(self, self._pass())
            except Exception:
                # A pass that broke off has moved positions ahead of what went out: who connects again is right again.
                self.drop_all(Reason.BUG)
                raise
            finally:
                self._resting.set()
            if self._behind:
                self._work.set()
            # Counted from the end of the pass: what a long pass takes is time in which audio gathers for the next.
            self._urgent.wait(self._pacer.interval)
        assert self._ending is not None
        self.drop_all(self._ending)

    def _is_finished(self) -> bool:
        if self._ending is None:
            return False
        everybody_has_all = self._pushed == self._ring.head and not self._behind
        return not self._all or everybody_has_all or self._clock() >= self._finish_at

    def _pass(self) -> float:
        """Pushes everything up to the present head to everybody; returns the CPU seconds it took. May switch."""
        spent = 0.0
        self._begin_slice()
        stop = self._pushed = self._ring.head
        self._urgent.clear()
        for cohort in list(self._cohorts.values()):
            spent += self._push_cohort(cohort, stop)
        for count, listener in enumerate(list(self._behind), 1):
            if listener.position <= stop and listener in self._behind:
                self._push_behind(listener, stop)
                self._maybe_catch_up(listener, stop)
            if not count % BATCH:
                spent += self._rest_if_due()
        return spent + self._pacer.cpu_clock() - self._cost_from

    def _push_cohort(self, cohort: Cohort, stop: int) -> float:
        if not cohort.members:
            del self._cohorts[cohort.view.key]
            return 0.0
        if cohort.position < self._ring.oldest:  # the whole process was stopped for longer than the ring holds
            for listener in list(cohort.members):
                self.drop(listener, Reason.SLOW)
            return 0.0
        pieces = cohort.view.pieces(cohort.position, stop)
        data = b"".join(pieces)
        if not data:
            return 0.0
        members = list(cohort.members)
        start, cohort.position = cohort.position, stop
        cohort.sent += len(data)
        spent = 0.0
        for first in range(0, len(members), BATCH):
            self._push_batch(members[first : first + BATCH], cohort, data, pieces, start)
            spent += self._rest_if_due()
        return spent

    def _push_batch(
        self, lot: Sequence[Listener], cohort: Cohort, data: bytes, pieces: Sequence[Piece], start: int
    ) -> None:
        """The hot loop: one `send` a listener."""
        size = len(data)
        short: list[tuple[Listener, int]] = []
        gone: list[Listener] = []
        for listener in lot:
            try:
                sent = listener.send(data)
                if sent != size:
                    short.append((listener, sent))
            except BlockingIOError:
                short.append((listener, 0))
            except OSError:
                gone.append(listener)
        self.bytes_sent += size * (len(lot) - len(short) - len(gone))
        for listener, sent in short:
            self._fall_behind(listener, cohort, size, start, pieces, sent)
        for listener in gone:
            self._fall_behind(listener, cohort, size, start, pieces, 0)
            self.drop(listener, Reason.RESET)

    def _fall_behind(
        self, listener: Listener, cohort: Cohort, size: int, start: int, pieces: Sequence[Piece], sent: int
    ) -> None:
        if listener not in cohort.members:  # dropped while the pass rested
            return
        self._leave(listener, cohort)
        # The cohort's count and position are those after the whole send.
        listener.sent -= size
        listener.position = start
        listener.advance(pieces, sent)
        self.bytes_sent += sent
        self._behind[listener] = None

    def _push_behind(self, listener: Listener, stop: int) -> None:
        if self._ring.head - listener.position > self._queue_size() or listener.position < self._ring.oldest:
            self.drop(listener, Reason.SLOW)
            return
        start = listener.position
        pieces = listener.view.pieces(start, min(stop, start + CATCH_UP_BYTES), listener.first_title_at)
        if listener.prefix:
            pieces.insert(0, listener.prefix)
        if not pieces:
            return
        try:
            sent = listener.transport.sendmsg(pieces)
        except BlockingIOError:
            return
        except OSError:
            self.drop(listener, Reason.RESET)
            return
        listener.advance(pieces, sent)
        self.bytes_sent += sent

    def _maybe_catch_up(self, listener: Listener, stop: int) -> None:
        if (
            listener.position != stop
            or listener.prefix
            or listener.position < listener.first_title_at
            or listener not in self._behind
        ):
            return
        cohort = self._cohorts.get(listener.view.key)
        if cohort is None:
            cohort = self._cohorts[listener.view.key] = Cohort(listener.view, stop)
        elif not cohort.members:
            cohort.position = stop
        elif cohort.position != stop:
            return
        del self._behind[listener]
        listener.sent -= cohort.sent
        cohort.members[listener] = None

    def _leave(self, listener: Listener, cohort: Cohort) -> None:
        del cohort.members[listener]
        listener.sent += cohort.sent
        listener.position = cohort.position

    def _cohort_of(self, listener: Listener) -> Cohort | None:
        cohort = self._cohorts.get(listener.view.key)
        return cohort if cohort is not None and listener in cohort.members else None

    def _begin_slice(self) -> None:
        self._cost_from = self._pacer.cpu_clock()
        self._slice_end = self._cost_from + SLICE_S

    def _rest_if_due(self) -> float:
        """Gives way to the hub if this slice is over; returns the CPU seconds of the slice that ended. May switch."""
        now = self._pacer.cpu_clock()
        if now < self._slice_end:
            return 0.0
        spent = now - self._cost_from
        # Not sleep(0): gevent may run fifty such callbacks in a row before it looks at a socket again. An idle watcher
        # runs once in each turn of the loop, and this priority keeps a storm of new connections from starving the
        # listeners.
        gevent.idle(HIGHEST_PRIORITY)
        self._begin_slice()
        return spent
