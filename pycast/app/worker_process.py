"""The process of one worker, as its parent runs it: started, and restarted whenever it ends unexpectedly or hangs.

The worker reads its specification from its standard input, which stays open: when the parent ends, in whatever way, the
worker reads the end of it and stops. On its standard output it reports that it accepts. It inherits its listening
sockets and the memory of its sign of life. A process that gives no sign for as long as `look` is told gets SIGABRT, on
which it writes where it stands, and then SIGKILL. The one invariant: after `end`, and until `go_on`, no process is
started.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gevent.event import AsyncResult, Event

from pycast import launch
from pycast.app.life_sign import LifeSign
from pycast.app.pulse import MOST_S, Pulse
from pycast.control.relay_desk import RelayOrders

log = logging.getLogger(__name__)

# A worker that ends at once would probably do so again, so the pause doubles each time, until one has run for a while.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
SETTLED_S = 10.0

# A worker starts in half a second; one for each of many cores at the same time takes longer.
START_S = 30.0

# How long a process that was aborted has to write where it stands, before it is killed.
STACKS_S = 1.0

# A process that is still there so long after SIGKILL waits for a device, and cannot be ended.
STUCK_S = 5.0


class Past(NamedTuple):
    """What became of earlier processes."""

    restarts: int = 0
    """How many ended unexpectedly, the hung ones included."""
    hangs: int = 0
    """How many gave no sign of life and were killed."""


class News(NamedTuple):
    """What the parent tells its workers."""

    past: Past = Past()
    """What became of the processes of all of them."""
    orders: bytes = b""
    """Which relays are switched off."""
    log: bytes = b""
    """The last lines of the parent's log."""


class Pauses:
    """The pauses before a worker is restarted."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def after(self, lived_s: float) -> float:
        """Returns the pause after a process that ran for `lived_s`."""
        if lived_s >= SETTLED_S:
            self._next_s = FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_PAUSE_S)
        return pause_s


class WorkerProcess:
    """The process of worker `index`. `run` is its greenlet."""

    def __init__(
        self,
        index: int,
        spec: Callable[[int], bytes],
        sockets: Sequence[int] = (),
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """`spec` returns the specification for a start, from the descriptor of its sign of life; `sockets` are the
        descriptors that the process inherits. `on_change` is called when `serves` may have changed.
        """
        self._index = index
        self._spec = spec
        self._sockets = tuple(sockets)
        self._on_change = on_change
        self._process: launch.Process | None = None
        self._life: LifeSign | None = None
        self._watched = ProcessWatch()
        self.past = Past()
        """What became of this worker's processes."""
        self._news = News()
        self._orders, self._orders_noted = RelayOrders(), b""
        self._is_ready = False
        self._ending = Event()
        self._has_missed_reload = False
        self.first: AsyncResult[bool] = AsyncResult()
        """Whether the first process came to accept connections."""

    @property
    def pid(self) -> int:
        """The number of the process, 0 if none is running."""
        return self._process.pid if self._process else 0

    @property
    def serves(self) -> bool:
        """Whether it takes new connections now, as far as its sign of life tells."""
        return self._is_ready and self._life is not None and self._life.accepts and not self._watched.pulse.is_doubtful

    @property
    def stays(self) -> int:
        """How often its process went on after SIGTERM."""
        return self._life.stays if self._life is not None else 0

    @property
    def relay_orders(self) -> RelayOrders:
        """What its relays were ordered, as far as its processes have noted it."""
        note = self._life.orders.read() if self._life is not None else b""
        if note and note != self._orders_noted:
            self._orders, self._orders_noted = RelayOrders.from_note(note), note
        return self._orders

    def run(self) -> None:
        """Keeps a process running until `end`, or until the first one fails to start."""
        pauses = Pauses()
        while not self._ending.is_set():
            began = time.monotonic()
            end = self._run_once()
            if not self.first.ready():
                self.first.set(False)
                return
            if not self._ending.is_set():
                self.past = Past(self.past.restarts + 1, self.past.hangs + self._watched.is_hung)
                lived_s = time.monotonic() - began
                pause_s = pauses.after(lived_s)
                log.error(
                    "worker %d ended after %.1f s (%s); it starts again in %g s",
                    self._index,
                    lived_s,
                    end,
                    pause_s,
                )
                self._ending.wait(pause_s)

    def look(self, passed_s: float, limit_s: float) -> None:
        """Looks at the sign of life, `passed_s` after the last look. A process that has given none for `limit_s` is
        killed, and so replaced; 0: it is never killed. Never switches.
        """
        if self._life is None or not self._is_ready:
            return
        watched = self._watched
        watched.pulse.look(self._life.beats, passed_s)
        if watched.pulse.is_doubtful != watched.was_doubtful:
            watched.was_doubtful = watched.pulse.is_doubtful
            if watched.was_doubtful:
                log.warning("worker %d gives no sign of life: new connections go to the others", self._index)
            elif not watched.is_hung:
                log.info("worker %d gives signs of life again", self._index)
        if watched.is_hung:
            self._end_hung(passed_s)
        elif watched.pulse.has_stopped(limit_s):
            self._abort()

    def tell(self, news: News) -> None:
        """Tells its process, and those that are started later."""
        before, self._news = self._news, news
        if self._life is not None:
            self._tell(self._life, before)

    def _tell(self, life: LifeSign, known: News) -> None:
        life.tell(*self._news.past)
        if self._news.orders != known.orders:
            life.orders_told.write(self._news.orders)
        if self._news.log != known.log:
            life.log_told.write(self._news.log)

    def reload(self) -> None:
        """Makes it read its configuration again, as soon as it handles the signal."""
        if self._is_ready:
            self._signal(signal.SIGHUP)
        else:
            self._has_missed_reload = True

    def end(self, number: signal.Signals) -> None:
        """Sends the process SIGTERM, which may drain it first, or SIGINT, and starts no other. Can be called again."""
        self._ending.set()
        self._signal(number)

    def go_on(self) -> None:
        """Takes an `end` back after which the process has stayed: when it ends, another one is started."""
        self._ending.clear()

    def kill(self) -> None:
        """Kills the process, and starts no other."""
        self._ending.set()
        if self._process:
            log.error("worker %d did not stop in time and is killed", self._index)
        self._signal(signal.SIGKILL)

    def _run_once(self) -> str:
        """Runs one process from start to end. Returns how it ended, in words."""
        self._has_missed_reload = False
        self._watched = ProcessWatch()
        try:
            life = LifeSign.make()
        except OSError as error:
            return f"it could not be started: {error}"
        try:
            return self._run_process(life)
        except OSError as error:  # no memory, or no process more: that passes
            return f"it could not be started: {error}"
        finally:
            if stack := life.stack():
                log.error("worker %d stood here when it ended:\n%s", self._index, stack)
            life.close()
            self._on_change()

    def _run_process(self, life: LifeSign) -> str:
        self._tell(life, News())
        spec = self._spec(life.fd)
        process = launch.start(
            "--worker",
            str(self._index),
            environment=os.environ,  # PYCAST_ variables apply to every worker
            stdin=subprocess.PIPE,
            own_group=True,  # Ctrl-C in a terminal reaches only the parent, which passes it on once
            pass_fds=(life.fd, *self._sockets),
        )
        self._process, self._life = process, life
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(spec)
                process.stdin.flush()
            self._wait_until_ready(process)
            return launch.describe_end(process.wait())
        finally:
            self._orders = self.relay_orders  # the last ones, before the memory is gone
            self._process, self._life, self._is_ready = None, None, False
            launch.close_pipes(process)

    def _wait_until_ready(self, process: launch.Process) -> None:
        try:
            if launch.wait_until_ready(process, START_S) is not None:
                self._accepts()
        except TimeoutError:
            log.error("worker %d does not accept %g s after its start and is killed", self._index, START_S)
            process.kill()

    def _accepts(self) -> None:
        self._is_ready = True
        self.first.set(True)
        log.info("worker %d accepts (pid %d)", self._index, self.pid)
        if self._has_missed_reload:
            self._signal(signal.SIGHUP)
        self._on_change()

    def _abort(self) -> None:
        """Begins to end a process that hangs, unless a debugger holds it."""
        watched = self._watched
        tracer = _tracer(self.pid)
        if tracer:
            if not watched.is_traced:
                log.warning("worker %d is not killed while process %s traces it", self._index, tracer)
            watched.is_traced = True
            return
        watched.is_hung = True
        log.error(
            "worker %d (pid %d) has given no sign of life for %.1f s: it is killed, and another one started",
            self._index,
            self.pid,
            watched.pulse.quiet_s,
        )
        self._signal(signal.SIGABRT)
        self._signal(signal.SIGCONT)  # a stopped process gets the other signal only then

    def _end_hung(self, passed_s: float) -> None:
        """Kills a process that was aborted and is still there."""
        watched = self._watched
        before_s, watched.aborted_s = watched.aborted_s, watched.aborted_s + min(passed_s, MOST_S)
        if before_s < STACKS_S <= watched.aborted_s:
            self._signal(signal.SIGKILL)
        elif before_s < STACKS_S + STUCK_S <= watched.aborted_s:
            log.error("worker %d (pid %d) cannot be killed: it waits for a disk or a device", self._index, self.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)


class ProcessWatch:
    """What the parent has noticed of one process."""

    def __init__(self) -> None:
        self.pulse = Pulse()
        self.was_doubtful = False
        self.is_traced = False
        self.is_hung = False
        """Whether it was found hung, and aborted."""
        self.aborted_s = 0.0
        """How long ago that was."""


def _tracer(pid: int) -> str:
    """Returns the number of the process that traces `pid`, a debugger's; empty for none."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        number = next(line for line in lines if line.startswith("TracerPid:")).split()[1]
        return "" if number == "0" else number
    return ""
