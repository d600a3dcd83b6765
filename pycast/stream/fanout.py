"""The loop that pushes one mount to all its listeners.

Nearly every listener is *caught up*: it has got everything up to the last pass. Those with the same view form a cohort,
which has one position for all; a pass makes the cohort's bytes once and does one `send` for each member, and that is
all it does per listener. A listener whose socket took less than the whole, or that just joined with a burst to get, is
*behind*: it is served on its own, from its own position, until it has caught up with its cohort again. A listener more
than `queue_size` behind is dropped: the source never waits.

Theory of the cost: one greenlet per listener costs four times as much as Icecast; a `sendmsg` of slices for each
listener costs half as much again as a `send` of bytes that are made once. What is left is the kernel's own work for a
write (see benchmarks/bench_listeners.py).

The loop switches to other greenlets in two places: in `run` between passes, and in `Slices.rest_if_due` within a pass.
So a listener can be dropped in the middle of a pass only while the pass rests. Its socket is closed by then, the next
`send` on it fails, and `_fall_behind` ignores it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from itertools import islice
from math import inf

from gevent.event import Event

from pycast.stream.cohort import Cohort, Cohorts
from pycast.stream.listener import Listener, Prelude
from pycast.stream.pacer import Pacer
from pycast.stream.ring import Ring
from pycast.stream.slices import Slices
from pycast.stream.views import Piece

log = logging.getLogger(__name__)

# One listener that is behind gets at most this much in a pass, so that a fast reader with a long backlog does not hold
# up the others. At least a default burst, what the ICY grid adds to it, and the blocks: a new player should get its
# burst in one write.
CATCH_UP_BYTES = 96 << 10

# More new audio than this, or than half of what a listener may be behind, does not wait for the end of the interval: a
# source that sends its backlog at once (a file, an encoder after a network hang, a mirror with a new parent) must not
# push listeners that keep up beyond `queue_size`.
URGENT_BYTES = 128 << 10

# A pass so long after the last one comes after a standstill: of this process, its machine, or the source. For some time
# a backlog comes faster than a connection takes it then, and who cannot keep up with that is not slow.
STANDSTILL_S, LENIENT_S = 5.0, 10.0

# At the end of a stream, listeners that are behind get this long for the rest of it.
FINISH_S = 2.0
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
    OTHER_FORMAT = "cannot go on with the format of the new source"
    ABANDONED = "no other node has the mount any more"
    SILENT = "no audio for too long"
    DRAINED = "disconnected by a drain"
    BANNED = "is in a list of those who may not connect"
    SHUTDOWN = "the server stops"
    BUG = "an internal error in the fan-out"


class Fanout:
    """All listeners of one mount. `on_gone(listener, reason)` is called once for each that leaves."""

    def __init__(
        self,
        ring: Ring,
        pacer: Pacer,
        queue_size: Callable[[], int],
        burst_size: Callable[[], int],
        on_gone: Callable[[Listener, Reason], None],
        clock: Callable[[], float],
    ) -> None:
        self._ring = ring
        self._pacer = pacer
        self._queue_size, self._burst_size = queue_size, burst_size
        self._on_gone = on_gone
        self._clock = clock
        self.on_intro_over: Callable[[Listener], None] = lambda listener: None
        """Has a listener that has got its intro go on with the stream."""
        self.on_late: Callable[[Listener, bool], bool] = lambda listener, is_whole: False
        """Has a listener that is too far behind go on near the head; returns whether it can: `relocation.skip`."""
        self._lenient_until = -inf
        self._cohorts = Cohorts()
        self._behind: dict[Listener, None] = {}
        self._all: dict[int, Listener] = {}
        self._work, self._urgent, self._resting = Event(), Event(), Event()
        self._resting.set()
        self.pushed = 0
        """The offset up to which the last pass has pushed."""
        self._ending: Reason | None = None
        self._is_over, self._finish_at = False, 0.0
        self._slices = Slices(pacer.cpu_clock)
        self.bytes_sent = 0
        self.round_s = 0.0
        """Seconds between the beginnings of the last two passes."""

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Listener]:
        return iter(list(self._all.values()))

    def get(self, id: int) -> Listener | None:
        return self._all.get(id)

    def join(self, listener: Listener) -> None:
        """Takes over a new listener and pushes its prefix and burst. Drops it if `run` has returned."""
        self.put_in(listener)
        if self._is_over:
            return
        if listener.intro is not None and not self._push_intro(listener, listener.intro):
            return
        if (cohort := self._cohorts.ahead_of(listener, self._ring.head, self._burst_size() // 4)) is None:
            self._push(listener, self._ring.head)
        else:
            self._push(listener, cohort.position)
            self._maybe_catch_up(listener, cohort.position)

    def wait_until_resting(self) -> None:
        """Waits until no pass is under way. Until the next switch, listeners can be taken out then. May switch."""
        while not self._resting.is_set():
            self._resting.wait()

    def take_out(self, listeners: Iterable[Listener]) -> None:
        """Removes listeners from this loop, each with its own position and count. Only while the loop rests."""
        assert self._resting.is_set()
        for listener in listeners:
            self._cohorts.let_go(listener)
            self._behind.pop(listener, None)
            del self._all[listener.id]

    def put_in(self, listener: Listener) -> None:
        """Takes over a listener that was taken out of a loop, maybe this one. Drops it if `run` has returned."""
        self._all[listener.id] = listener
        self._behind[listener] = None
        if self._is_over:
            self.drop(listener, self._ending or Reason.BUG)
        self._work.set()

    def drop(self, listener: Listener, reason: Reason) -> None:
        """Removes a listener and closes its connection. Does nothing for one that has left already."""
        if self._all.pop(listener.id, None) is None:
            return
        self._cohorts.let_go(listener)
        self._behind.pop(listener, None)
        self._on_gone(listener, reason)
        listener.transport.close()

    def drop_all(self, reason: Reason) -> None:
        """Removes all listeners and closes their connections."""
        for listener in self:
            self.drop(listener, reason)

    def drop_caught_up(self, count: int, reason: Reason) -> int:
        """Drops up to `count` of the listeners that are caught up, in the order in which they joined; returns how many.

        What they have got ends between two frames, also in the middle of a pass.
        """
        head = self._ring.head
        ready = list(islice((one for one in self._all.values() if one not in self._behind or one.has_all(head)), count))
        for listener in ready:
            self.drop(listener, reason)
        return len(ready)

    def end(self, reason: Reason) -> None:
        """Makes `run` drop all listeners for `reason` and return, once they have all that is in the ring or after
        `FINISH_S`.
        """
        self._ending = reason
        self._finish_at = self._clock() + FINISH_S
        self._work.set()
        self._urgent.set()

    def free(self, on_gone: Callable[[Listener, Reason], None]) -> None:
        """Lets go of the mount, when `run` has returned. From now on `on_gone` is told of listeners that arrive."""
        self._on_gone = on_gone
        self._queue_size = self._burst_size = int
        self.on_intro_over = lambda listener: None
        self.on_late = lambda listener, is_whole: False

    def wake(self) -> None:
        """Announces new audio in the ring."""
        self._work.set()
        if self._ring.head - self.pushed > min(URGENT_BYTES, self._queue_size() // 2):
            self._urgent.set()

    def position_of(self, listener: Listener) -> int:
        """Returns the audio offset up to which the listener has got everything; with an intro, the head."""
        if listener.intro is not None:
            return self._ring.head
        cohort = self._cohorts.of(listener)
        return cohort.position if cohort else listener.position

    def sent_to(self, listener: Listener) -> int:
        """Returns the number of bytes written to the listener's socket."""
        cohort = self._cohorts.of(listener)
        return listener.sent + (cohort.sent if cohort else 0)

    def run(self) -> None:
        """Pushes until `end`, in a greenlet of the mount's own. May switch."""
        begun = self._clock()
        while not self._is_finished():
            self._work.wait()  # for audio, or for a listener that has some to get
            self._work.clear()
            last, begun = begun, self._clock()
            if not self._all:
                self._pacer.forget(self)
                continue
            self.round_s = begun - last
            if self.round_s >= STANDSTILL_S:
                self._lenient_until = begun + LENIENT_S
            self._resting.clear()
            try:
                self._pacer.record(self, self._pass())
            except Exception:
                # Positions may be ahead of what went out. A listener that connects again starts right.
                self.drop_all(Reason.BUG)
                raise
            finally:
                self._resting.set()
            if self._behind:  # who is behind needs another pass even without new audio
                self._work.set()
            # Wait for the interval, or for urgent audio. The interval counts from the end of the pass, as audio for
            # the next one gathers during a long pass too. A crowded node waits longer.
            if not self._urgent.wait(self._pacer.interval) and self._is_buffered():
                self._urgent.wait(self._pacer.extra_wait)
        assert self._ending is not None
        self.drop_all(self._ending)
        self._is_over = True

    def _is_buffered(self) -> bool:
        """Whether who joined last can wait twice as long: with at most half of a burst on its way, half is left."""
        return 4 * (self._ring.head - self.pushed) <= self._burst_size()

    def _is_finished(self) -> bool:
        if self._ending is None:
            return False
        all_sent = self.pushed == self._ring.head and all(one.has_all(self._ring.head) for one in self._behind)
        return not self._all or all_sent or self._clock() >= self._finish_at

    def _pass(self) -> float:
        """Pushes the audio up to the present head to all listeners; returns the CPU seconds it took. May switch."""
        spent = 0.0
        self._slices.begin()
        # Audio that comes in while the pass rests is for the next one.
        stop = self.pushed = self._ring.head
        self._urgent.clear()
        # Those that are caught up, cohort by cohort.
        for cohort in self._cohorts:
            spent += self._push_cohort(cohort, stop)
        # Those that are behind, also those that fell behind just now. While the pass rested, listeners may have left,
        # or may have joined at a position after `stop`.
        for count, listener in enumerate(list(self._behind), 1):
            is_in_stream = listener.intro is None or self._push_intro(listener, listener.intro)
            if is_in_stream and listener.position <= stop and listener in self._behind:
                self._push_behind(listener, stop)
                self._maybe_catch_up(listener, stop)
            if not count % BATCH:
                spent += self._slices.rest_if_due()
        return spent + self._slices.end()

    def _push_cohort(self, cohort: Cohort, stop: int) -> float:
        if not cohort.members:
            self._cohorts.remove(cohort)
            return 0.0
        if cohort.position < self._ring.oldest:  # more has come since the last pass than the ring holds
            for listener in list(cohort.members):
                cohort.leave(listener)
                self._behind[listener] = None
                if not self.on_late(listener, True):
                    self.drop(listener, Reason.SLOW)
            return 0.0
        pieces = cohort.view.pieces(cohort.position, stop)
        data = b"".join(pieces)
        if not data:
            return 0.0
        # The cohort moves first: `_fall_behind` corrects it for each member that takes less.
        members = list(cohort.members)
        start, cohort.position = cohort.position, stop
        cohort.sent += len(data)
        spent = 0.0
        for first in range(0, len(members), BATCH):
            self._push_batch(members[first : first + BATCH], cohort, data, pieces, start)
            spent += self._slices.rest_if_due()
        return spent

    def _push_batch(
        self, batch: Sequence[Listener], cohort: Cohort, data: bytes, pieces: Sequence[Piece], start: int
    ) -> None:
        """Sends `data` to each listener of `batch`. This is the hot loop: one `send` for each, and nothing else."""
        size = len(data)
        # Send, and only note those that took less.
        short: list[tuple[Listener, int]] = []
        gone: list[Listener] = []
        for listener in batch:
            try:
                sent = listener.send(data)
                if sent != size:
                    short.append((listener, sent))
            except BlockingIOError:
                short.append((listener, 0))
            except OSError:
                gone.append(listener)
        # Count the whole sends at once.
        self.bytes_sent += size * (len(batch) - len(short) - len(gone))
        # A full socket: the listener leaves the cohort with its own position.
        for listener, sent in short:
            self._fall_behind(listener, cohort, size, start, pieces, sent)
        # A failed one: it leaves the cohort the same way, so that its count is right when it is dropped.
        for listener in gone:
            self._fall_behind(listener, cohort, size, start, pieces, 0)
            self.drop(listener, Reason.RESET)

    def _fall_behind(
        self, listener: Listener, cohort: Cohort, size: int, start: int, pieces: Sequence[Piece], sent: int
    ) -> None:
        """Takes a listener out of its cohort after it got only the first `sent` bytes of `pieces`.

        `size` is the length of all of them, `start` the cohort's position before them.
        """
        if listener not in cohort.members:  # dropped while the pass rested
            return
        # It leaves with the cohort's count and position, which are those after the whole send: back to before it, and
        # forward by what went out, or will. The rest of a title block becomes its prefix.
        cohort.leave(listener)
        sent += listener.kept()
        listener.sent -= size
        listener.position = start
        listener.advance(pieces, sent)
        self.bytes_sent += sent
        self._behind[listener] = None

    def _push_behind(self, listener: Listener, stop: int) -> None:
        if self._ring.head - listener.position > self._queue_size() or listener.position < self._ring.oldest:
            self._let_off(listener)
        else:
            self._push(listener, stop)

    def _let_off(self, listener: Listener) -> None:
        """Lets a listener that is too far behind miss what it lacks, if that is not its fault; else drops it."""
        is_excused = self._clock() < self._lenient_until and listener.position >= self._ring.oldest
        if not (is_excused and self.on_late(listener, False)):
            self.drop(listener, Reason.SLOW)

    def _push(self, listener: Listener, stop: int) -> None:
        start = listener.position
        self._send(listener, listener.view.pieces(start, min(stop, start + CATCH_UP_BYTES), listener.first_title_at))

    def _push_intro(self, listener: Listener, intro: Prelude) -> bool:
        """Returns whether the listener has it all, and gets the stream from now on."""
        if listener not in self._behind:  # dropped while the pass rested
            return False
        if (now := self._clock()) - listener.joined > intro.patience_s and now >= self._lenient_until:
            self.drop(listener, Reason.SLOW)
            return False
        self._push(listener, intro.size)
        is_over = listener.position == intro.size and not listener.prefix and listener in self._behind
        if is_over:
            self.on_intro_over(listener)
        return is_over

    def _send(self, listener: Listener, pieces: list[Piece]) -> None:
        """Sends the listener's prefix and `pieces`, as much of it as the socket takes."""
        if listener.prefix:
            pieces.insert(0, listener.prefix)
        if not pieces and listener.is_flushed:
            return
        try:
            sent = listener.transport.sendmsg(pieces)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.drop(listener, Reason.RESET)
            return
        sent += listener.kept()
        listener.advance(pieces, sent)
        self.bytes_sent += sent

    def _maybe_catch_up(self, listener: Listener, stop: int) -> None:
        if (
            listener.position == stop
            and not listener.prefix
            and listener.position >= listener.first_title_at
            and listener in self._behind
            and listener.is_flushed
            and self._cohorts.take_in(listener)
        ):
            del self._behind[listener]
