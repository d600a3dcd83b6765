"""Runs a node: starts what `assembly.py` made, reloads it, stops it.

A start opens the listening sockets, then starts the greenlets that accept, then announces the node. SIGHUP reads the
configuration again; a bad one is refused and the old one stays. SIGINT and SIGTERM stop the node within `STOP_S`, the
latter after a drain if server.drain says so.
"""

import faulthandler
import logging
import os
import signal
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import gevent
from gevent import socket
from gevent.event import Event
from gevent.lock import Semaphore

from pycast.app.assembly import assemble
from pycast.app.garbage import collect_seldom
from pycast.app.host_process import HostProcess
from pycast.app.import_log import log_notes
from pycast.app.late_imports import import_late
from pycast.app.node_ports import NodePorts, open_ports
from pycast.app.passed_sockets import PassedSockets
from pycast.app.ready import ReadyInfo, write_ready
from pycast.app.systemd import SystemdNotifier
from pycast.auth.known_passwords import password_advice
from pycast.balance.admission import RESERVE
from pycast.balance.haproxy_agent import HaproxyAgent, agent_reply
from pycast.config.live import restart_needed
from pycast.config.load import load, with_port
from pycast.config.problems import Origin
from pycast.config.schema import Config
from pycast.config.secret_files import file_advice, with_secrets
from pycast.config.serving import first_serving
from pycast.disk.calls import DiskStalled, off_hub
from pycast.errors import ConfigError, ExternalError
from pycast.logs.setup import set_up_again, setup_logging
from pycast.net.group import Group
from pycast.net.sockets import raise_file_limit
from pycast.server.acceptor import stop_all
from pycast.server.context import ServerContext
from pycast.stream.dump import DUMP_WRITERS

if TYPE_CHECKING:
    from pycast.app.life_sign import Heartbeat, LifeSign
    from pycast.app.worker_spec import WorkerPlace

log = logging.getLogger(__name__)

# A stop takes at most this long, with sources and listeners connected.
STOP_S = 4.0

# The parts of it in which programs of the sources that it ends (`on_disconnect`) start, and ends of dumps are written.
PROGRAMS_S = DUMPS_S = 0.5


class Node:
    """One node: `start`, then `stop`, with any number of `reload` in between."""

    def __init__(
        self,
        config: Config,
        config_path: Path | None,
        port: int | None,
        open_files: int,
        worker: "WorkerPlace | None" = None,
        passed: PassedSockets | None = None,
    ) -> None:
        self._passed = passed or PassedSockets()
        self._config_path = config_path
        self._port = port
        self._worker = worker
        self.life = _life_sign(worker)
        parents_log = self.life.parents_log if self.life else list
        self.parts = assemble(config, open_files, is_worker=worker is not None, parents_log=parents_log)
        self._ports = NodePorts()
        self._agent: HaproxyAgent | None = None
        self._reloading = Semaphore()

    def start(self, opening: Callable[[], AbstractContextManager[object]] = nullcontext) -> ReadyInfo:
        """Listens and accepts. Ports are opened within `opening`. Raises ConfigError if a port is in use or a
        certificate cannot be used.
        """
        context = self.parts.context
        try:
            with opening():
                self._listen()
        except ConfigError:
            self.stop()
            raise
        public, link = self._ports.public, self._ports.link
        # One for each section, which may have several sockets.
        listening = list({(one.endpoint.address, one.port): one for one in public if not one.endpoint.mount}.values())
        context.site.address.port = listening[first_serving(context.settings.now, "listeners")].port
        context.bans.refresh()
        for name, run in (*self.parts.loops, ("directories", self.parts.directories.run)):
            context.group.spawn_forever(name, run)
        if self._agent:
            self._agent.start()
        for acceptor in [link] if link else public:
            acceptor.start()
        if context.cluster:
            try:
                machine = self._worker.machine if self._worker else ""
                context.cluster.start((link or public[0]).port, machine)
            except ConfigError:
                self.stop()
                raise
        if link:
            # A worker's clients wait in the kernel until it has joined the cluster and knows the mounts of the others.
            for acceptor in public:
                acceptor.start()
        context.group.spawn_forever("relays", self.parts.run_relays)
        ports = dict.fromkeys((one.port, one.endpoint.is_tls_only, bool(one.endpoint.mount)) for one in public)
        return ReadyInfo(public[0].port, tuple(ports))

    def reload(self) -> None:
        """Reads the configuration again. If it is bad, all its errors are logged and the old one stays in force. May
        switch; a reload that is asked for meanwhile comes after this one.
        """
        with self._reloading:
            self._reload()

    def _reload(self) -> None:
        settings = self.parts.context.settings
        if self._config_path is None:
            self._reload_secrets()
            return
        try:
            config = off_hub(load, self._config_path, os.environ)
            config = config if self._port is None else with_port(config, self._port)
            config = config if self._worker is None else self._worker.adapt(config)
            before = settings.now
            self._apply(config)
        except (ConfigError, ExternalError) as error:
            for problem in error.problems if isinstance(error, ConfigError) else [str(error)]:
                log.error("reload refused: %s", problem)
            self._apply(settings.now)
            return
        restart = restart_needed(before, config)
        if self._worker is None:  # the parent logs it once for all workers
            if restart:
                log.warning("changes that need a restart: %s", ", ".join(restart))
            log_notes(before.notes, config.notes)
        self._warn_of_open_files(config)
        log.info("read %s again", self._config_path)

    def _reload_secrets(self) -> None:
        """Reads the files of secrets that the environment names, which are there without a configuration file."""
        now = self.parts.context.settings.now
        try:
            config, problems = off_hub(with_secrets, now)
        except DiskStalled as error:
            log.error("reload refused: %s", error)
            return
        for wrong in problems:
            log.error("reload refused: %s", Origin("environment", {}).line(*wrong))
        self._apply(now if problems else config)
        self._warn_of_open_files(config)
        log.info("no configuration file to read again: files of passwords were read, and the logs reopened")

    def stop(self) -> None:
        """Stops what `start` started. Can be called twice."""
        context, programs = self.parts.context, self.parts.programs
        refused = context.counters.refused_connections
        context.site.readiness.is_stopping = True
        acceptors = self._ports.acceptors
        for acceptor in acceptors:
            acceptor.hold()
        # Connections that have begun are still accepted.
        if pause := max((acceptor.handshake_s for acceptor in acceptors), default=0.0):
            gevent.sleep(pause)
        for acceptor in acceptors:
            acceptor.close()
        if context.cluster:
            context.mounts.end_sources()
            context.cluster.stop()
        self.parts.directories.stop()
        context.mounts.stop()
        stop_all(acceptors)
        self._ports = NodePorts()
        if refused := context.counters.refused_connections - refused:
            log.info("%d requests that came during the stop were answered 503", refused)
        if self._agent:
            self._agent.stop()
        # The programs of the sources that just ended get time to start.
        programs.join(PROGRAMS_S)
        programs.kill()
        context.group.kill()
        context.hangups.close()
        context.answers.close()
        context.site.guests.close()
        self.parts.logs.close()
        DUMP_WRITERS.settle(DUMPS_S)

    def lose_parent(self) -> None:
        """Notes that the parent is gone: only systemd may still have this worker's listening sockets."""
        for acceptor in self._ports.acceptors:
            acceptor.is_kept &= self._worker is not None and self._worker.from_systemd

    def stop_in_time(self, seconds: float) -> bool:
        """Does the same as `stop`, but gives up after `seconds`. Returns whether the stop was complete."""
        stopping = Group().spawn("stop", self.stop)
        stopping.join(seconds)
        return stopping.ready()

    def _apply(self, config: Config) -> None:
        """Puts a configuration in force and reopens the logs. Listening sockets stay as they are.

        Raises ExternalError, and changes nothing, if a log cannot be opened. May switch before it changes anything.
        """
        context = self.parts.context
        self.parts.logs.reload(config)
        context.settings.replace(config)
        if self._ports.certificate:
            self._ports.certificate.use(config.tls.certificate, config.tls.private_key)
        context.mounts.apply_settings()
        context.admission.set_clients(config.limits.clients)
        context.group.spawn("ban lists", context.bans.refresh)

    def _warn_of_open_files(self, config: Config) -> None:
        for line in off_hub(list, file_advice(config)) if self._worker is None or not self._worker.index else ():
            log.warning("%s", line)

    def _listen(self) -> None:
        """Opens the ports. Raises ConfigError."""
        context = self.parts.context
        self._ports = open_ports(context, self._passed, self._worker)
        balancer = context.settings.now.balancer
        if balancer.agent_port:
            processes = self._worker.count if self._worker else 1
            self._agent = HaproxyAgent(balancer.agent_address, balancer.agent_port, lambda: self._agent_line(processes))

    def _agent_line(self, processes: int) -> bytes:
        """Returns the agent's answer to HAProxy, on behalf of `processes` processes like this one."""
        context = self.parts.context
        connections = processes * (context.admission.limit + RESERVE)
        return agent_reply(context.site.readiness.standing, self.parts.load_monitor.percent, connections)


def run(
    config: Config,
    *,
    config_path: Path | None,
    port: int | None = None,
    ready_file: str | None,
    demo: bool = False,
    worker: "WorkerPlace | None" = None,
    made_up: Collection[str] = (),
    announce: Callable[[ReadyInfo], None] | None = None,
) -> int:
    """Runs a node until SIGTERM or SIGINT; returns the exit status. Raises ConfigError if it cannot start.

    `port` is that of the command line; it overrides the file's, also after a reload. `made_up` are the keys of
    [authentication] whose password was made up at this start. A `worker` stops when its standard input ends, because
    then its parent is gone.
    """
    tag = worker.tag if worker else ""
    process = HostProcess(config, config_path) if worker is None else None  # a worker's parent has it
    error_log = setup_logging(config, tag)
    node = Node(config, config_path, port, raise_file_limit(), worker, _passed_sockets(worker))
    heartbeat = _heartbeat(node)
    notifier = SystemdNotifier.from_environment(os.environ)
    stop, term, group = Event(), Event(), node.parts.context.group
    gevent.signal_handler(signal.SIGINT, stop.set)
    gevent.signal_handler(signal.SIGTERM, lambda: group.spawn("terminate", _terminate, node, term, stop, heartbeat))
    ready = node.start(process.opening) if process else node.start()
    status = f"listening on {', '.join(str(port) for port, _, _ in ready.ports)}"

    def reload() -> None:
        nonlocal error_log
        before = node.parts.context.settings.now.logging
        notifier.reloading()
        error_log.reopen()
        node.reload()
        notifier.ready(status)
        if before != (now := node.parts.context.settings.now).logging:
            error_log = set_up_again(error_log, now, tag)

    gevent.signal_handler(signal.SIGHUP, lambda: group.spawn("reload", reload))
    if demo:
        _start_demo(node)
    if heartbeat:
        group.spawn("parent", _stop_after_parent, node, stop)
        heartbeat.accept(True)
    group.spawn("late imports", import_late)
    group.spawn_forever("garbage", collect_seldom)
    if announce:
        announce(ready)
    if ready_file:
        write_ready(ready_file, config, ready, made_up)
    log.info("%s", status)
    _warn(config, worker)
    notifier.ready(status)
    node.parts.context.drain.changed.subscribe(lambda event: _report_drain(notifier, node.parts.context))
    stop.wait()
    _stop(node, notifier, heartbeat, process)
    error_log.close()
    return 0


def _start_demo(node: Node) -> None:
    from pycast.app.demo import play_demo

    node.parts.context.group.spawn("demo", play_demo, node.parts.context.ownership)


def _passed_sockets(worker: "WorkerPlace | None") -> PassedSockets:
    return PassedSockets(worker.sockets) if worker else PassedSockets.from_systemd(os.environ)


def _stop(node: Node, notifier: SystemdNotifier, heartbeat: "Heartbeat | None", process: HostProcess | None) -> None:
    """Stops the node within `STOP_S`. May switch."""
    log.info("stopping")
    if heartbeat:
        heartbeat.accept(False)
    notifier.stopping(STOP_S)
    if not node.stop_in_time(STOP_S):
        log.error("the stop took longer than %g s and was cut short", STOP_S)
    if heartbeat:
        heartbeat.stop()
    if process:
        process.end()
    notifier.close()


def _warn(config: Config, worker: "WorkerPlace | None") -> None:
    """Logs what did not simply come over from an icecast.xml, which a worker's parent does, and each password that
    everybody knows, once for all workers.
    """
    if worker is None:
        log_notes((), config.notes)
    if worker is None or worker.index == 0:
        for line in password_advice(config):
            log.warning("%s", line)


def _life_sign(worker: "WorkerPlace | None") -> "LifeSign | None":
    if worker is None or worker.life < 0:
        return None
    from pycast.app.life_sign import LifeSign

    return LifeSign(worker.life)


def _heartbeat(node: Node) -> "Heartbeat | None":
    """Returns the sign of life of a worker, begun. From here on a process that is aborted or crashes writes where it
    stood: a worker for its parent, a node alone to stderr. systemd's watchdog aborts one that hangs.
    """
    if node.life is None:
        faulthandler.enable(file=2, all_threads=False)  # the loop's thread only, as in life_sign.py
        return None
    from pycast.app.life_sign import begin_heartbeat

    return begin_heartbeat(node.life, node.parts.context.counters, node.parts.relay_desk)


def _terminate(node: Node, term: Event, stop: Event, heartbeat: "Heartbeat | None") -> None:
    """Stops the node, after a drain if `server.drain` is set. When `term` is set already, stops it at once. A drain
    that is cancelled leaves the node as it was; a worker's parent learns of that.
    """
    context = node.parts.context
    if context.settings.now.server.drain and not term.is_set():
        term.set()
        context.drain.begin()
        if not context.drain.wait():
            term.clear()
            if heartbeat:
                heartbeat.stay()
            return
    stop.set()


def _report_drain(notifier: SystemdNotifier, context: ServerContext) -> None:
    """Reports a drain to systemd. With `server.drain`, it also asks for the time until the drain's deadline."""
    if context.settings.now.server.drain and context.drain.is_draining:
        notifier.stopping(context.settings.now.drain.deadline + STOP_S)
    notifier.status(f"drain: {context.drain.state.value}")


def _stop_after_parent(node: Node, stop: Event) -> None:
    """Stops a worker when its parent has ended, in whatever way: that closes the worker's standard input."""
    socket.wait_read(0)
    node.lose_parent()
    if not stop.is_set():
        log.error("the parent is gone")
        stop.set()
