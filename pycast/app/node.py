"""Builds a node from a configuration, runs it, stops it. The only place where the parts meet.

Start: listening sockets, then the accepting greenlets, then the announcement. SIGHUP reads the configuration again (a
bad one is refused and the old one kept), SIGTERM and SIGINT stop in reverse order of the start, within `STOP_S`.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gevent
from gevent import socket
from gevent.event import Event

from pycast.app.demo import play_demo
from pycast.app.ready import ReadyInfo, write_ready
from pycast.app.source_hooks import SourceHooks
from pycast.app.systemd import SystemdNotifier
from pycast.app.worker_spec import Worker
from pycast.balance.haproxy_agent import Agent
from pycast.config.load import load, with_port
from pycast.config.schema import Config, LoggingSection
from pycast.errors import ConfigError, ExternalError
from pycast.logs.files import LogFile, hub_after
from pycast.logs.setup import setup_logging
from pycast.net.group import Group
from pycast.net.sockets import raise_file_limit
from pycast.net.tls import Certificate
from pycast.server.acceptor import Acceptor, Endpoint, listen_on_pair
from pycast.server.proxies import proxies_before
from pycast.server.service import Service

log = logging.getLogger(__name__)

# A stop takes at most this long, with sources and listeners connected.
STOP_S = 4.0

# As much of it is for the programs of the sources that the stop ends.
PROGRAMS_S = 0.5


class Node:
    """One node of the server. `start`, then `stop`; `reload` in between."""

    def __init__(
        self,
        config: Config,
        config_path: Path | None,
        port: int | None,
        open_files: int,
        worker: Worker | None = None,
    ) -> None:
        self._config_path = config_path
        self._port = port
        self._worker = worker
        self.service = Service(config, open_files)
        self._listening: list[Acceptor] = []
        self._link: Acceptor | None = None
        self._agent: Agent | None = None
        self._programs = Group()
        self.service.mounts.on_change.append(SourceHooks(self._programs).source_changed)

    def start(self) -> ReadyInfo:
        """Listens and accepts. Raises ConfigError if a port is taken or a certificate cannot be used."""
        service = self.service
        try:
            self._listen()
        except ConfigError:
            self.stop()
            raise
        service.port = self._listening[0].port
        public = [one for one in self._listening if one is not self._link]
        service.group.spawn_forever("hang-ups", service.hangups.run)
        service.group.spawn_forever("expiry", service.mounts.run_expiry)
        service.group.spawn_forever("vitals", service.vitals.run)
        service.group.spawn_forever("loop lag", service.vitals.lag.run)
        if self._agent:
            self._agent.start()
        for listening in [self._link] if self._link else public:
            listening.start()
        if service.cluster:
            try:
                machine = self._worker.machine if self._worker else ""
                service.cluster.start((self._link or self._listening[0]).port, machine)
            except ConfigError:
                self.stop()
                raise
        if self._link:
            # A worker's clients wait in the kernel until it knows what the others have.
            for listening in public:
                listening.start()
        return ReadyInfo(
            service.port,
            tuple((one.port, one.endpoint.certificate is not None, bool(one.endpoint.mount)) for one in public),
        )

    def reload(self) -> None:
        """Reads the configuration again. A bad one is logged, error by error, and the old one stays."""
        if self._config_path is None:
            self.service.reload(self.service.config)
            log.info("no configuration file to read again: the logs were opened anew")
            return
        try:
            config = load(self._config_path, os.environ)
            config = config if self._port is None else with_port(config, self._port)
            config = config if self._worker is None else self._worker.adapt(config)
            before = self.service.config
            self.service.reload(config)
        except (ConfigError, ExternalError) as error:
            for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
                log.error("reload refused: %s", problem)
            self.service.reload(self.service.config)
            return
        if config.listen != before.listen or config.tls != before.tls:
            log.warning("changes of [[listen]] and of the paths in [tls] need a restart")
        log.info("read %s again", self._config_path)

    def stop(self) -> None:
        """Stops everything the start started, in reverse order. Can be called twice."""
        service = self.service
        service.is_stopping = True
        for listening in self._listening:
            listening.close()
        if service.cluster:
            service.cluster.stop()
        service.mounts.stop()
        for listening in self._listening:
            listening.stop()
        self._listening.clear()
        if self._agent:
            self._agent.stop()
        # So that those of the sources that just ended have begun at least.
        self._programs.join(PROGRAMS_S)
        self._programs.kill()
        service.group.kill()
        service.hangups.close()
        service.close_logs()

    def stop_in_time(self, seconds: float) -> bool:
        """As `stop`, but gives up after `seconds`; whether it was finished."""
        stopping = Group().spawn("stop", self.stop)
        stopping.join(seconds)
        return stopping.ready()

    def _listen(self) -> None:
        config = self.service.config
        certificate = None
        if any(listen.tls for listen in config.listen) or (self._worker and config.cluster.tls):
            certificate = Certificate(config.tls.certificate, config.tls.private_key, time.monotonic)
        for listen in config.listen:
            proxies = proxies_before(listen)
            first = Endpoint(listen.bind_address, listen.port, "", certificate if listen.tls else None, proxies)
            first = replace(first, is_shared=self._worker is not None)
            if listen.shoutcast_mount:
                second = replace(first, mount=listen.shoutcast_mount, certificate=None)
                self._listening += listen_on_pair(self.service, first, second)
            else:
                self._listening.append(Acceptor(self.service, first))
        if self._worker:
            tls = certificate if config.cluster.tls else None
            link = Endpoint(self._worker.link_address, self._worker.link_port, "", tls, is_shared=True)
            self._link = Acceptor(self.service, link)
            self._listening.append(self._link)
        if config.balancer.agent_port:
            self._agent = Agent(config.balancer.agent_address, config.balancer.agent_port, self._agent_line)

    def _agent_line(self) -> bytes:
        return self.service.agent_line(self._worker.count if self._worker else 1)


def run(
    config: Config,
    *,
    config_path: Path | None,
    port: int | None = None,
    ready_file: str | None,
    demo: bool = False,
    worker: Worker | None = None,
    announce: Callable[[ReadyInfo], None] | None = None,
) -> int:
    """Runs a node until SIGTERM or SIGINT; returns the exit status. Raises ConfigError if it cannot start.

    `port` is that of the command line, which holds over the file's also after a reload. A `worker` reads its parent's
    end from standard input.
    """
    tag = worker.tag if worker else ""
    error_log = setup_logging(config.logging.log_level, config.logging.error_log, hub_after, tag)
    node = Node(config, config_path, port, raise_file_limit(), worker)
    notifier = SystemdNotifier.from_environment(os.environ)
    stop = Event()
    gevent.signal_handler(signal.SIGINT, stop.set)
    term = Event()
    gevent.signal_handler(
        signal.SIGTERM, lambda: node.service.group.spawn("terminate", _terminate, node.service, term, stop)
    )
    ready = node.start()
    status = f"listening on {', '.join(str(port) for port, _, _ in ready.ports)}"

    def reload() -> None:
        nonlocal error_log
        before = node.service.config.logging
        notifier.reloading()
        error_log.reopen()
        node.reload()
        notifier.ready(status)
        error_log = _error_log(error_log, before, node.service.config.logging, tag)

    gevent.signal_handler(signal.SIGHUP, lambda: node.service.group.spawn("reload", reload))
    if demo:
        node.service.group.spawn("demo", play_demo, node.service)
    if worker:
        node.service.group.spawn("parent", _outlive_nobody, stop)
    if announce:
        announce(ready)
    if ready_file:
        write_ready(ready_file, config, ready)
    log.info("%s", status)
    notifier.ready(status)
    node.service.drain.on_change.append(lambda state: _tell_of_drain(notifier, node.service))
    stop.wait()
    log.info("stopping")
    notifier.stopping(STOP_S)
    stopping = node.stop_in_time(STOP_S)
    if not stopping:
        log.error("the stop took longer than %g s and was cut short", STOP_S)
    notifier.close()
    error_log.close()
    return 0


def _error_log(log_file: LogFile, before: LoggingSection, after: LoggingSection, tag: str) -> LogFile:
    """The error log as it holds after a reload: the same, or a new one in its place."""
    if (before.error_log, before.log_level) == (after.error_log, after.log_level):
        return log_file
    try:
        return setup_logging(after.log_level, after.error_log, hub_after, tag)
    except ExternalError as error:
        log.error("the old error log stays: %s", error)
        return log_file


def _terminate(service: Service, term: Event, stop: Event) -> None:
    """Stops at once, or after a drain if `server.drain` says so; the second time, when `term` is set, at once."""
    if service.config.server.drain and not term.is_set():
        term.set()
        service.drain.begin()
        if not service.drain.wait():
            term.clear()
            return
    stop.set()


def _tell_of_drain(notifier: SystemdNotifier, service: Service) -> None:
    """A drain on SIGTERM is a stop that takes its time; one by an admin is only news."""
    if service.config.server.drain and service.drain.is_draining:
        notifier.stopping(service.config.drain.deadline + STOP_S)
    notifier.status(f"drain: {service.drain.state.value}")


def _outlive_nobody(stop: Event) -> None:
    """Stops a worker whose parent is gone, however that ended: the other end of standard input closes with it."""
    socket.wait_read(0)
    if not stop.is_set():
        log.error("the parent is gone")
        stop.set()
