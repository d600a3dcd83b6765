"""Writes to files in native threads, so that a disk or a reader that stalls stops nobody who writes.

An `Outlet` is one file's queue: `put` never waits, and says so if the queue is full. `Writers` are the threads that
empty the queues of many outlets. One thread is enough as long as all files take what they get. Only if it has been
held by one file for `STALL_S` another one is started for the others, up to a limit; so a file that stalls costs the
others a tenth of a second, once.

What is put is handed over after `DELAY_S`: five thousand listeners that leave at once are one write, and the thread
wakes, which costs the loop some of its time, only so often.

Rejected: a thread for each file (a thousand dumps are a thousand threads), and gevent's own pool of threads for the
writes (name resolution waits in it).

Invariants: what is put into one outlet is written in order, by one thread at a time; what its queue holds is bounded.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent
from gevent import get_hub
from gevent.event import Event
from gevent.monkey import get_original

if TYPE_CHECKING:
    from gevent.threadpool import ThreadPool

log = logging.getLogger(__name__)

# Too short to be noticed by a person who follows a log; long enough for a crowd of listeners to leave.
DELAY_S = 0.02
# A write takes some microseconds, and even a slow disk's takes less than this.
STALL_S = 0.1
LOOK_AGAIN_S = 0.05
POLL_S = 0.002

_get_ident = get_original("_thread", "get_ident")


class Writers:
    """The threads that write to the files of some outlets. `add` may be called from any thread."""

    def __init__(self, most_threads: int) -> None:
        self.lost = 0
        """What could not be written to any of the files, in the unit of those who use these writers."""
        self._most_threads = most_threads
        self._waiting: deque[Outlet] = deque()
        self._busy: dict[int, float] = {}  # for each thread at work: since when it has been at its present outlet
        self._threads = 0
        self._runs = 0
        self._is_planned = False
        self._ended = Event()
        """Set when a thread has ended; most of those who wait for something need wait no longer."""
        self._hub: Any = None
        self._ident = 0
        self._pool: ThreadPool | None = None

    def bind(self) -> None:
        """Takes the present hub as the one that starts the threads. Called in its thread."""
        if self._hub is not get_hub():
            self._hub, self._ident = get_hub(), _get_ident()
            self._pool = None

    def add(self, outlet: "Outlet", soon: bool) -> None:
        """Has a thread run the outlet, after `DELAY_S` or at once. Never switches."""
        self._waiting.append(outlet)
        if _get_ident() != self._ident:
            self.in_loop(self._start)
        elif soon:
            self._start()
        else:
            self._plan(DELAY_S)

    def hurry(self) -> None:
        """Has a thread run at once what waits. Never switches."""
        if _get_ident() == self._ident:
            self._start()

    def in_loop(self, call: Callable[..., None], *args: Any) -> None:
        """Makes the loop call `call(*args)`, which must not switch. For threads."""
        self._hub.loop.run_callback_threadsafe(call, *args)

    def settle(self, seconds: float) -> bool:
        """Waits until all is written, at most `seconds`. Returns whether it is. May switch."""
        return self.wait_until(lambda: not (self._waiting or self._busy), seconds)

    def wait_until(self, is_so: Callable[[], bool], seconds: float) -> bool:
        """Waits until a condition holds that a thread brings about, at most `seconds`. May switch."""
        deadline = time.monotonic() + seconds
        while not is_so():
            if time.monotonic() > deadline:
                return False
            self._ended.clear()
            self._start()
            self._ended.wait(POLL_S)
        gevent.sleep(0)  # what the threads gave the loop to do until then, such as to count a loss, is done before
        return True

    def _plan(self, seconds: float) -> None:
        if self._is_planned:
            return
        self._is_planned = True
        timer = self._hub.loop.timer(seconds, ref=False)

        def fire() -> None:
            timer.stop()
            timer.close()
            self._is_planned = False
            self._start()

        timer.start(fire)

    def _start(self) -> None:
        """Starts a thread if outlets wait and no thread can be expected to take them soon."""
        if not self._waiting or self._hub is None:
            return
        now = time.monotonic()
        are_held = all(now - since > STALL_S for since in tuple(self._busy.values()))
        if are_held and self._threads < self._most_threads:
            self._threads += 1
            self._runs += 1
            self._busy[self._runs] = now
            self._threads_of_hub().spawn(self._run, self._runs).rawlink(self._on_end)
        self._plan(LOOK_AGAIN_S)

    def _threads_of_hub(self) -> "ThreadPool":
        if self._pool is None:
            from gevent.threadpool import ThreadPool

            self._pool = ThreadPool(self._most_threads, hub=self._hub)
        return self._pool

    def _on_end(self, _: object) -> None:
        self._threads -= 1
        self._ended.set()

    def _run(self, number: int) -> None:
        """In a thread: runs outlets until none waits."""
        while self._waiting:
            try:
                outlet = self._waiting.popleft()
            except IndexError:
                break  # another thread took it
            self._busy[number] = time.monotonic()
            if outlet.run():
                self._waiting.append(outlet)
        del self._busy[number]


class Outlet:
    """The queue before one file. `write` gets what was put, joined, in a thread; it handles its own OSErrors."""

    def __init__(self, writers: Writers, write: Callable[[bytes], None], most_bytes: int, most_entries: int) -> None:
        writers.bind()
        self.writers = writers
        self._write = write
        self._most_bytes = most_bytes
        self._most_entries = most_entries
        # Held for some microseconds only, never during a write: the loop may wait for it.
        self._lock = get_original("_thread", "allocate_lock")()
        self._entries: deque[bytes | Callable[[], None]] = deque()
        self._size = 0
        self._is_with_writers = False

    @property
    def size(self) -> int:
        """How many bytes are put and not written yet."""
        return self._size

    @property
    def is_idle(self) -> bool:
        """Whether all is written and done."""
        return not self._is_with_writers

    def put(self, data: bytes, soon: bool = False) -> bool:
        """Queues data; returns False, and does nothing, if the queue is full. Never blocks, never switches."""
        with self._lock:
            if self._size + len(data) > self._most_bytes or len(self._entries) >= self._most_entries:
                return False
            self._entries.append(data)
            self._size += len(data)
            is_new, self._is_with_writers = not self._is_with_writers, True
        if is_new or soon:
            self._hand_over(is_new, soon)
        return True

    def call(self, action: Callable[[], None]) -> None:
        """Queues a call, made in a thread when all that was put before is written. Never blocks, never switches."""
        with self._lock:
            self._entries.append(action)
            is_new, self._is_with_writers = not self._is_with_writers, True
        self._hand_over(is_new, soon=True)

    def settle(self, seconds: float) -> bool:
        """Waits until it is idle, at most `seconds`. Returns whether it is. May switch."""
        return self.writers.wait_until(lambda: self.is_idle, seconds)

    def abandon(self) -> int:
        """Forgets what is queued. Returns how many entries that were."""
        with self._lock:
            count = len(self._entries)
            self._entries.clear()
            return count

    def run(self) -> bool:
        """In a thread: writes what is queued, up to a call, or makes that call. Returns whether there is more."""
        with self._lock:
            taken = self._take()
        size = 0
        try:
            if callable(taken):
                taken()
            elif taken:
                size = len(taken)
                self._write(taken)
        except Exception as error:
            self.writers.in_loop(_log_bug, error)
        with self._lock:
            self._size -= size
            self._is_with_writers = bool(self._entries)
            return self._is_with_writers

    def _hand_over(self, is_new: bool, soon: bool) -> None:
        if is_new:
            self.writers.add(self, soon)
        elif soon:
            self.writers.hurry()

    def _take(self) -> bytes | Callable[[], None]:
        if self._entries and callable(self._entries[0]):
            return self._entries.popleft()
        pieces: list[bytes] = []
        while self._entries and isinstance(self._entries[0], bytes):
            pieces.append(self._entries.popleft())  # type: ignore[arg-type]
        return b"".join(pieces)


def _log_bug(error: Exception) -> None:
    log.error("! a file could not be written: a bug in the server", exc_info=error)
