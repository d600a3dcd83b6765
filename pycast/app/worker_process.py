"""One worker as its parent sees it: a process that is started, and started again whenever it ends unasked.

It is told what to do on its standard input, which stays open: when the parent ends, in whatever way, the worker reads
its end and stops. It says on its standard output when it accepts. The one invariant: after `end`, nothing starts.
"""

import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from gevent.event import AsyncResult, Event

from pycast import launch

log = logging.getLogger(__name__)

# A worker that dies at once would do so again: each time it is given twice as long, until one has lived for a while.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
SETTLED_S = 10.0


class Pauses:
    """How long to wait before a worker is started again."""

    def __init__(self) -> None:
        self._next_s = FIRST_PAUSE_S

    def after(self, lived_s: float) -> float:
        """The pause after one that lived for so long."""
        if lived_s >= SETTLED_S:
            self._next_s = FIRST_PAUSE_S
        pause_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_PAUSE_S)
        return pause_s


class WorkerProcess:
    """Worker `index`; `orders` gives what it is told at each start. `run` is its greenlet."""

    def __init__(self, index: int, orders: Callable[[], bytes]) -> None:
        self._index = index
        self._orders = orders
        self._process: launch.Process | None = None
        self._is_ready = False
        self._ending = Event()
        self._has_missed_reload = False
        self.first: AsyncResult[bool] = AsyncResult()
        """Whether the first process got so far that it accepts."""

    @property
    def pid(self) -> int:
        """The process's number, 0 if there is none now."""
        return self._process.pid if self._process else 0

    def run(self) -> None:
        """Keeps a process running until `end`, or until the first one fails to start."""
        pauses = Pauses()
        while not self._ending.is_set():
            began = time.monotonic()
            status = self._run_once()
            if not self.first.ready():
                self.first.set(False)
                return
            if not self._ending.is_set():
                lived_s = time.monotonic() - began
                pause_s = pauses.after(lived_s)
                log.error(
                    "worker %d ended after %.1f s (%s); it starts again in %g s",
                    self._index,
                    lived_s,
                    launch.describe_end(status),
                    pause_s,
                )
                self._ending.wait(pause_s)

    def reload(self) -> None:
        """Has it read its configuration again, as soon as it can take the signal."""
        if self._is_ready:
            self._signal(signal.SIGHUP)
        else:
            self._has_missed_reload = True

    def end(self, number: signal.Signals) -> None:
        """Tells it to stop: SIGTERM or SIGINT, which a node understands differently. May be called again."""
        self._ending.set()
        self._signal(number)

    def kill(self) -> None:
        """Ends it by force."""
        self._ending.set()
        if self._process:
            log.error("worker %d did not stop in time: it is killed", self._index)
        self._signal(signal.SIGKILL)

    def _run_once(self) -> int:
        """One process from start to end; returns how it ended."""
        self._has_missed_reload = False
        orders = self._orders()
        process = launch.start(
            "--worker",
            str(self._index),
            environment=os.environ,  # its settings hold for every worker
            stdin=subprocess.PIPE,
            own_group=True,  # Ctrl-C in a terminal is for the parent, which hands it on once
        )
        self._process = process
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(orders)
                process.stdin.flush()
            if launch.wait_until_ready(process) is not None:
                self._accepts()
            return process.wait()
        finally:
            self._process, self._is_ready = None, False
            launch.close_pipes(process)

    def _accepts(self) -> None:
        self._is_ready = True
        self.first.set(True)
        log.info("worker %d accepts (pid %d)", self._index, self.pid)
        if self._has_missed_reload:
            self._signal(signal.SIGHUP)

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
