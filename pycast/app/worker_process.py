"""The process of one worker, as its parent runs it: started, and restarted whenever it ends unexpectedly.

The worker reads its specification from its standard input, which stays open: when the parent ends, in whatever way, the
worker reads the end of it and stops. On its standard output it reports that it accepts. The one invariant: after `end`,
no process is started.
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

# A worker that ends at once would probably do so again, so the pause doubles each time, until one has run for a while.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
SETTLED_S = 10.0


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
    """The process of worker `index`; `spec` returns its specification for each start. `run` is its greenlet."""

    def __init__(self, index: int, spec: Callable[[], bytes]) -> None:
        self._index = index
        self._spec = spec
        self._process: launch.Process | None = None
        self._is_ready = False
        self._ending = Event()
        self._has_missed_reload = False
        self.first: AsyncResult[bool] = AsyncResult()
        """Whether the first process came to accept connections."""

    @property
    def pid(self) -> int:
        """The number of the process, 0 if none is running."""
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
        """Makes it read its configuration again, as soon as it handles the signal."""
        if self._is_ready:
            self._signal(signal.SIGHUP)
        else:
            self._has_missed_reload = True

    def end(self, number: signal.Signals) -> None:
        """Sends the process SIGTERM, which may drain it first, or SIGINT, and starts no other. Can be called again."""
        self._ending.set()
        self._signal(number)

    def kill(self) -> None:
        """Kills the process, and starts no other."""
        self._ending.set()
        if self._process:
            log.error("worker %d did not stop in time and is killed", self._index)
        self._signal(signal.SIGKILL)

    def _run_once(self) -> int:
        """Runs one process from start to end. Returns its exit status."""
        self._has_missed_reload = False
        spec = self._spec()
        process = launch.start(
            "--worker",
            str(self._index),
            environment=os.environ,  # PYCAST_ variables apply to every worker
            stdin=subprocess.PIPE,
            own_group=True,  # Ctrl-C in a terminal reaches only the parent, which passes it on once
        )
        self._process = process
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(spec)
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
