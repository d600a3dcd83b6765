"""The parent of several workers: holds their ports, starts and watches them, and passes signals on. It serves no client
itself.

A start opens the ports, starts all workers, and announces the server when all of them accept. SIGHUP goes to every
worker; the configuration that the parent keeps for workers that it starts later is replaced only by a valid one.
SIGTERM and SIGINT stop the workers; those that do not stop within a node's own limit are killed. When an admin cancels
the drain that has begun with SIGTERM, all goes on as before.
"""

import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import gevent

from pycast.app.host_process import HostProcess
from pycast.app.import_log import log_notes
from pycast.app.passed_sockets import PassedSockets
from pycast.app.pulse import LOOK_S, MOST_S
from pycast.app.ready import ReadyInfo, write_ready
from pycast.app.shared_notes import note_of_lines
from pycast.app.systemd import SystemdNotifier
from pycast.app.worker_ports import WorkerPorts
from pycast.app.worker_process import START_S, News, Past, WorkerProcess
from pycast.app.worker_spec import WorkerPlace, WorkerSpec
from pycast.config.live import restart_needed
from pycast.config.load import loads, read_text, with_port
from pycast.config.schema import Config
from pycast.config.secret_files import secrets_by_file, with_secrets
from pycast.disk.calls import DiskStalled, off_hub
from pycast.errors import ConfigError
from pycast.logs.files import RecentLine
from pycast.logs.setup import recent_errors, set_up_again, setup_logging
from pycast.net.group import Group, Task

log = logging.getLogger(__name__)

# A worker that has not served for this long may not be back soon: those who wait for it are answered 503. A process
# that ended has a successor within a second.
REFUSE_S = 3.0

# A node's own limit for a stop (4 s), and a little more.
STOP_S = 4.5


class Parent:
    """The workers of this machine. `text` is the configuration, read from `config_path` unless that is None."""

    def __init__(
        self,
        config: Config,
        count: int,
        text: str,
        config_path: Path | None,
        port: int | None,
        passed: PassedSockets | None = None,
        went_on: Callable[[], object] = lambda: None,
    ) -> None:
        """`went_on` is called when a stop was taken back."""
        self.config = config
        """The machine's configuration since the last reload."""
        self._count = count
        self._text = text
        self._config_path = config_path
        self._port = port
        self._ports = WorkerPorts(config, count, passed)
        cluster = config.cluster
        self._machine = cluster.node or cluster.advertise or f"{config.server.hostname}:{self._ports.public[0]}"
        self._secret = cluster.secret or secrets.token_hex(32)
        self._group = Group()
        self._workers = [
            WorkerProcess(index, self._spec(index), self._ports.sockets(index), self._steer) for index in range(count)
        ]
        self._serving = list(range(count))
        self._away_s = [0.0] * count
        """How long each worker has not served."""
        self._tasks: list[Task] = []
        self.is_ending = False
        """Whether `end` was called, and not taken back since."""
        self._went_on = went_on
        self._stays: list[int] | None = None
        """How often each worker had stayed when a drain began by SIGTERM; None if there is none to be cancelled."""
        self._limit: Task | None = None
        self._lines: list[RecentLine] = []
        self._log = b""
        """These lines as workers get them."""

    @property
    def sockets(self) -> list[int]:
        """The descriptors of all sockets that hold its ports."""
        return self._ports.descriptors

    def start(self) -> ReadyInfo | None:
        """Starts all workers and waits until they accept. Returns None if one of them does not. May switch."""
        self._tasks = [self._group.spawn(f"worker {index}", self._run, index) for index in range(self._count)]
        self._group.spawn_forever("watch", self._watch)
        gevent.wait([worker.first for worker in self._workers], timeout=START_S)
        if all(worker.first.ready() and worker.first.get() for worker in self._workers):
            return self._ready_info()
        return None

    def reload(self) -> None:
        """Makes every worker read the configuration again."""
        for worker in self._workers:
            worker.reload()
        if self._config_path is None:
            config, problems = off_hub(with_secrets, self.config)
            self.config = self.config if problems else config  # each worker logs what is wrong
            return
        try:
            text = off_hub(read_text, self._config_path)
            config = off_hub(loads, text, os.environ, str(self._config_path))  # it reads files of secrets
            config = config if self._port is None else with_port(config, self._port)
        except (ConfigError, DiskStalled):
            return  # each worker logs what is wrong with it
        restart = restart_needed(self.config, config)
        if restart:
            log.warning("changes that need a restart: %s", ", ".join(restart))
        log_notes(self.config.notes, config.notes)
        self._text, self.config = text, config

    def end(self, number: signal.Signals) -> float:
        """Sends all workers a signal to stop. Returns the time after which those that still run are killed.

        The first SIGTERM may start a drain.
        """
        may_drain = self.config.server.drain and number == signal.SIGTERM and not self.is_ending
        self.is_ending = True
        self._stays = [worker.stays for worker in self._workers] if may_drain else None
        limit_s = STOP_S + (self.config.drain.deadline if may_drain else 0.0)
        for worker in self._workers:
            worker.end(number)
        self._limit = self._group.spawn_later(limit_s, "limit of the stop", self._kill)
        return limit_s

    def wait(self) -> None:
        """Returns when no worker runs any more, which is only after `end`. May switch."""
        gevent.joinall(self._tasks)

    def close(self) -> None:
        """Releases the ports. No worker may be running."""
        self._group.kill()
        self._ports.close()

    def _run(self, index: int) -> None:
        """Runs a worker until it serves no more. May switch."""
        self._workers[index].run()
        self._ports.close_worker(index)

    def _watch(self) -> None:
        """Looks after the workers for ever. May switch."""
        last = time.monotonic()
        while True:
            gevent.sleep(LOOK_S)
            passed_s, last = time.monotonic() - last, time.monotonic()
            for worker in self._workers:
                worker.look(passed_s, self.config.server.watchdog)
            if any(worker.stays > before for worker, before in zip(self._workers, self._stays or (), strict=False)):
                self._go_on()
            self._tell()
            self._steer()
            for index, worker in enumerate(self._workers):
                is_away = worker.first.ready() and not (worker.serves or self.is_ending or self._tasks[index].ready())
                self._away_s[index] = self._away_s[index] + min(passed_s, MOST_S) if is_away else 0.0
                if self._away_s[index] >= REFUSE_S:
                    self._group.spawn("refuse", self._refuse, index)

    def _go_on(self) -> None:
        """Takes `end` back: a worker has stayed, because the drain was cancelled. Never switches."""
        self._stays, self.is_ending = None, False
        if self._limit is not None:
            self._limit.kill(block=False)
        for worker in self._workers:
            worker.go_on()
        left = sum(not task.ready() for task in self._tasks)
        log.info("the drain was cancelled: %d of %d workers go on", left, self._count)
        self._went_on()

    def _tell(self) -> None:
        """Tells each worker how often workers were replaced and what stands in the parent's log, as `/metrics` and the
        log are read from any of them; and which relays are switched off, which a new worker cannot know.
        """
        restarts, hangs = (sum(numbers) for numbers in zip(*(worker.past for worker in self._workers), strict=True))
        orders = max(worker.relay_orders for worker in self._workers)
        lines = recent_errors()
        if lines != self._lines:
            self._lines, self._log = lines, note_of_lines(lines)
        for worker in self._workers:
            worker.tell(News(Past(restarts, hangs), orders.to_note(), self._log))

    def _steer(self) -> None:
        """Has the kernel give new connections to the workers that serve. Never switches."""
        serving = [index for index, worker in enumerate(self._workers) if worker.serves]
        # Without the sockets of a worker that has left for good, their numbers are not those of the workers any more.
        is_whole = not any(task.ready() for task in self._tasks)
        if serving != self._serving and not self.is_ending and is_whole:
            self._serving = serving
            self._ports.steer(serving)

    def _refuse(self, index: int) -> None:
        refused = self._ports.refuse(index)
        if refused:
            log.warning("%d clients that waited for worker %d were answered 503: it does not serve", refused, index)

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()

    def _spec(self, index: int) -> Callable[[int], bytes]:
        ports = self._ports
        place = WorkerPlace(
            index, self._count, self._machine, ports.public, ports.links, ports.link_address, self._secret
        )
        place = replace(place, sockets=ports.sockets(index), from_systemd=ports.from_systemd)
        path = None if self._config_path is None else str(self._config_path)

        def spec(life: int) -> bytes:
            worker = replace(place, life=life)
            return WorkerSpec(worker, self._text, path, self._port, secrets_by_file(self.config)).to_json()

        return spec

    def _ready_info(self) -> ReadyInfo:
        ports: list[tuple[int, bool, bool]] = []
        for listen, port in zip(self.config.listen, self._ports.public, strict=True):
            ports.append((port, listen.is_tls_only, False))
            if listen.shoutcast_mount:
                ports.append((port + 1, False, True))
        return ReadyInfo(ports[0][0], tuple(ports))


def run(
    config: Config,
    count: int,
    text: str,
    *,
    config_path: Path | None,
    port: int | None,
    ready_file: str | None,
    made_up: Collection[str] = (),
    announce: Callable[[ReadyInfo], None],
) -> int:
    """Runs `count` workers until SIGTERM or SIGINT; returns the exit status. Raises ConfigError if a port is in use.

    `text` is the configuration; `port` is that of the command line, which overrides the text's. `made_up` are the keys
    of [authentication] whose password was made up at this start.
    """
    process = HostProcess(config, config_path)
    error_log = setup_logging(config)
    passed = PassedSockets.from_systemd(os.environ)
    notifier = SystemdNotifier.from_environment(os.environ)  # before the start: workers must not inherit its variables
    with process.opening() as sockets:
        went_on = partial(notifier.status, f"{count} workers")
        parent = Parent(config, count, text, config_path, port, passed, went_on)
        sockets += parent.sockets

    def reload() -> None:
        nonlocal error_log
        notifier.reloading()
        parent.reload()
        error_log = set_up_again(error_log, parent.config)
        notifier.ready(f"{count} workers")

    def end(number: signal.Signals) -> None:
        log.info("stopping")
        notifier.stopping(parent.end(number))

    gevent.signal_handler(signal.SIGHUP, reload)
    for number in (signal.SIGTERM, signal.SIGINT):
        gevent.signal_handler(number, end, number)
    status = 0
    try:
        ready = parent.start()
        if ready:
            if ready_file:
                write_ready(ready_file, config, ready, made_up)
            announce(ready)
            log.info("%d workers listen on %s", count, ", ".join(str(one) for one, _, _ in ready.ports))
            log_notes((), config.notes)
            notifier.ready(f"{count} workers")
        elif not parent.is_ending:
            log.error("not all workers could be started")
            status = 1
            parent.end(signal.SIGINT)
        parent.wait()
    finally:
        parent.close()
        process.end()
        notifier.close()
        error_log.close()
    return status
