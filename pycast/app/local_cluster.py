"""The cluster of `pycast cluster up`: node processes on this machine, with HAProxy in front of them if wanted.

Their configurations are in local_node.py and local_haproxy.py, the encoder is local_encoder.py. The one invariant: no
process outlives `stop` or this process, however that ends (see `launch.ends_with_us`).
"""

import secrets
import shutil
import string
import subprocess
import tempfile
import time
from contextlib import ExitStack, closing
from pathlib import Path

import gevent
from gevent import socket

from pycast import launch
from pycast.app.local_haproxy import find_haproxy, haproxy_config
from pycast.app.local_node import HOST, LocalNode
from pycast.errors import ConfigError, ExternalError

START_S, STOP_S = 15.0, 6.0
POLL_S = 0.05


class LocalCluster:
    """The nodes, and HAProxy, of a cluster on this machine; `start`, then `stop`. Raises ConfigError if one of their
    ports is in use.
    """

    def __init__(self, size: int, port: int, mount: str, *, is_balanced: bool) -> None:
        self.password = secrets.token_hex(4)
        self.mount = mount
        self.front = port if is_balanced else 0
        """The port of HAProxy; 0 without it."""
        self._haproxy: launch.Process | None = None
        ports = range(port, port + size + is_balanced)
        self._held = ExitStack()
        agents = _held_ports(self._held, size, ports)
        self._folder = Path(tempfile.mkdtemp(prefix="pycast-cluster-"))
        self.nodes = [
            LocalNode(name, node_port, agent_port, self._folder)
            for name, node_port, agent_port in zip(
                string.ascii_lowercase[:size], ports[is_balanced:], agents, strict=True
            )
        ]

    @property
    def ports(self) -> list[int]:
        """The ports for listeners: the balancer's, or that of each node."""
        return [self.front] if self.front else [node.port for node in self.nodes]

    def start(self) -> None:
        """Starts everything, and returns when all nodes accept. Raises ExternalError or ConfigError. May switch."""
        program = find_haproxy() if self.front else ""
        secret = secrets.token_hex(16)
        for node in self.nodes:
            peers = [other.port for other in self.nodes if other is not node]
            node.write_config(peers, self.password, secret)
            node.start()
        for node in self.nodes:
            node.wait_until_ready(START_S)
        if self.front:
            self._start_haproxy(program)

    def stop(self) -> None:
        """Ends everything and removes the files. Can be called twice. May switch."""
        processes = [self._haproxy, *(node.process for node in self.nodes)]
        launch.end([process for process in processes if process is not None], STOP_S)
        self._held.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_haproxy(self, program: str) -> None:
        config = self._folder / "haproxy.cfg"
        config.write_text(haproxy_config(self.front, self.nodes))
        self._haproxy = subprocess.Popen(
            [*launch.ends_with_us(), program, "-db", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=launch.clean_environment(),  # a setting may be a password
            process_group=0,
        )
        deadline = time.monotonic() + START_S
        while not _accepts(self.front):
            status = self._haproxy.poll()
            if status is not None:
                how = launch.describe_end(status)
                raise ConfigError([f"port {self.front}: haproxy did not start: {how}"])
            if time.monotonic() > deadline:
                raise ExternalError(f"nothing answers on port {self.front} after {START_S:g} s")
            gevent.sleep(POLL_S)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1.0).close()
    except OSError:
        return False
    return True


def _held_ports(held: ExitStack, count: int, wanted: range) -> list[int]:
    """Returns `count` free ports, apart from those that are `wanted`. No other program is given them until `held` is
    closed: each has a socket, beside which a node can listen.

    Raises ConfigError if one of the wanted is in use: who asked for them would listen to another server there.
    """
    with ExitStack() as tried:
        for port in wanted:
            try:
                _bound(tried, port)
            except OSError as error:
                raise ConfigError(
                    [f"port {port}: {error.strerror}: choose another one with --port"],
                    f"The cluster takes the ports from {wanted[0]} to {wanted[-1]}; --port is the first of them.",
                ) from error
        return [_bound(held, 0) for _ in range(count)]


def _bound(held: ExitStack, port: int) -> int:
    sock = held.enter_context(closing(socket.socket()))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((HOST, port))
    return int(sock.getsockname()[1])
