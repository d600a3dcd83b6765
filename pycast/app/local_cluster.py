"""A cluster on this machine, to watch it survive: node processes, HAProxy before them, and an encoder that feeds it.

Each node is an ordinary `pycast serve` with a configuration file of its own in a temporary folder; the encoder is an
ordinary one that comes in at the front, and again when it loses its node. The one invariant: nothing that was started
outlives `stop`, nor this process, however that ends (the kernel tells the children: `setpriv --pdeathsig`).
"""

import os
import secrets
import shutil
import signal
import string
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import gevent
from gevent import socket, subprocess

from pycast.demo_stream import BITRATE, CONTENT_TYPE, TITLE, demo_mp3
from pycast.errors import ConfigError, ExternalError
from pycast.formats.marks import Join
from pycast.formats.mpeg import MpegAudio

START_S, STOP_S = 15.0, 6.0
POLL_S = 0.05

# An encoder's usual patience before it calls again is seconds; a demonstration should not keep its audience waiting.
RETRY_S = 0.5
STEP_S = 0.1
LEAD_S = 5.0

HOST = "127.0.0.1"

NODE = """[[listen]]
bind_address = "{host}"
port = {port}
trusted_proxies = ["127.0.0.0/8"]

[server]
hostname = "localhost"
location = "node {name}"

[authentication]
source_password = "{password}"
admin_password = "{password}"
relay_password = "{password}"

[cluster]
name = "local"
node = "{name}"
advertise = "{host}:{port}"
secret = "{secret}"
peers = [{peers}]

[balancer]
agent_address = "{host}"
agent_port = {agent_port}

[logging]
access_log = ""
error_log = "{log}"
"""

HAPROXY = """defaults
    timeout connect 2s
    timeout client 1h
    timeout server 1h
listen radio
    mode tcp
    bind {host}:{port}
    balance leastconn
    option redispatch
    retries 3
    option httpchk GET /readyz
{servers}
"""

SERVER = (
    "    server {name} {host}:{port} send-proxy-v2 check check-send-proxy inter 500ms fall 2 rise 1 "
    "agent-check agent-port {agent_port} agent-inter 1s weight 100"
)


@dataclass(slots=True)
class LocalNode:
    """One node process."""

    name: str
    port: int
    agent_port: int
    config: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None


class LocalCluster:
    """`start`, then `stop`. Raises ExternalError, ConfigError if it cannot start."""

    def __init__(self, size: int, port: int, mount: str, *, is_balanced: bool) -> None:
        self.password = secrets.token_hex(4)
        self.mount = mount
        self.has_source_at = 0
        """The port of the node or balancer that the encoder is connected to; 0 while it has none."""
        self.haproxy: subprocess.Popen[bytes] | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="pycast-cluster-"))
        self.front = port if is_balanced else 0
        """Where HAProxy listens; 0 without it."""
        ports = _free_ports(2 * size, first=port + 1 if is_balanced else port)
        names = string.ascii_lowercase[:size]
        self.nodes = [
            LocalNode(name, node_port, agent_port, self._directory / f"{name}.toml", self._directory / f"{name}.log")
            for name, node_port, agent_port in zip(names, ports[:size], ports[size:], strict=True)
        ]

    @property
    def ports(self) -> list[int]:
        """Where to listen: the balancer, or each node."""
        return [self.front] if self.front else [node.port for node in self.nodes]

    def start(self) -> None:
        """Starts everything, and returns when all nodes accept."""
        program = _haproxy() if self.front else ""
        if self.front:
            _check_free(self.front)
        secret = secrets.token_hex(16)
        for node in self.nodes:
            peers = ", ".join(f'"{HOST}:{other.port}"' for other in self.nodes if other is not node)
            text = NODE.format(
                host=HOST, port=node.port, name=node.name, password=self.password, secret=secret, peers=peers,
                agent_port=node.agent_port, log=node.log,
            )  # fmt: skip
            node.config.touch(mode=0o600)
            node.config.write_text(text)
            self.start_node(node)
        for node in self.nodes:
            self._wait_for(node.port, node)
        if self.front:
            self._start_haproxy(program)

    def start_node(self, node: LocalNode) -> None:
        """Starts one node, for the first time or again."""
        command = [sys.executable, "-m", "pycast", "serve", "--config", str(node.config)]
        node.process = subprocess.Popen(
            [*_bound_to_us(), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is ours to pass on
            env=_environment(),
        )

    def stop(self) -> None:
        """Ends everything and removes the files. Can be called twice."""
        running = [node.process for node in self.nodes if node.process is not None]
        for process in [*running, *([self.haproxy] if self.haproxy else [])]:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in [*running, *([self.haproxy] if self.haproxy else [])]:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.1))
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self._directory, ignore_errors=True)

    def feed(self) -> None:
        """The encoder: plays the demo's loop into the cluster for ever, and calls again when it is cut off. May
        switch.
        """
        tune, started = demo_mp3(), time.monotonic() - LEAD_S
        for port in self._doors():
            with suppress(OSError):
                self._play(port, tune, started)
            self.has_source_at = 0
            gevent.sleep(RETRY_S)

    def _doors(self) -> Iterator[int]:
        while True:
            yield from self.ports

    def _play(self, port: int, tune: bytes, started: float) -> None:
        with closing(socket.create_connection((HOST, port), 2.0)) as sock:
            login = b64encode(f"source:{self.password}".encode()).decode()
            sock.sendall(
                f"SOURCE {self.mount} HTTP/1.0\r\nAuthorization: Basic {login}\r\nContent-Type: {CONTENT_TYPE}\r\n"
                f"ice-name: A cluster on this machine\r\nice-description: {TITLE}\r\n\r\n".encode()
            )
            if b" 200 " not in sock.recv(4096):
                return
            self.has_source_at = port
            sent = int((time.monotonic() - started - LEAD_S) * BITRATE / 8)
            sent += _to_next_frame(tune, sent % len(tune))
            while True:
                due = int((time.monotonic() - started) * BITRATE / 8)
                at = sent % len(tune)
                piece = tune[at : at + due - sent]
                sock.sendall(piece)
                sent += len(piece)
                _raise_if_closed(sock)
                gevent.sleep(STEP_S if sent == due else 0)

    def _start_haproxy(self, program: str) -> None:
        servers = "\n".join(
            SERVER.format(name=node.name, host=HOST, port=node.port, agent_port=node.agent_port) for node in self.nodes
        )
        config = self._directory / "haproxy.cfg"
        config.write_text(HAPROXY.format(host=HOST, port=self.front, servers=servers))
        self.haproxy = subprocess.Popen(
            [*_bound_to_us(), program, "-db", "-f", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._wait_for(self.front, None)

    def _wait_for(self, port: int, node: LocalNode | None) -> None:
        deadline = time.monotonic() + START_S
        while True:
            process = node.process if node else self.haproxy
            if process is not None and process.poll() is not None:
                what = f"node {node.name}: {_last_line(node.log)}" if node else "haproxy"
                raise ConfigError([f"port {port}: could not be started: {what}"])
            try:
                socket.create_connection((HOST, port), 1.0).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise ExternalError(f"nothing answers on port {port} after {START_S:g} s") from None
                gevent.sleep(POLL_S)


def _to_next_frame(tune: bytes, at: int) -> int:
    """How far it is from `at` to where a frame begins, as every encoder's stream does: half a frame is a click."""
    _, marks = MpegAudio().feed(tune)
    return next((mark.offset - at for mark in marks if isinstance(mark, Join) and mark.offset >= at), len(tune) - at)


def _haproxy() -> str:
    """Its path. Raises ExternalError."""
    # Debian keeps servers where a user's PATH does not look.
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise ExternalError("haproxy is not installed: apt-get install haproxy, or leave --haproxy out")
    return program


def _environment() -> dict[str, str]:
    """This process's, without settings of pycast: they may be for another server, and would hold over a node's file."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYCAST_")}


def _bound_to_us() -> Sequence[str]:
    """So that a child gets SIGTERM when this process is gone, even if it was killed."""
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", signal.Signals(signal.SIGTERM).name.removeprefix("SIG")] if program else []


def _raise_if_closed(sock: socket.socket) -> None:
    """Raises OSError if the other side has hung up: a balancer does so when its node is gone."""
    sock.settimeout(0.0)
    try:
        if not sock.recv(1024):
            raise ConnectionResetError("hung up")
    except BlockingIOError:
        pass
    finally:
        sock.settimeout(10.0)


def _free_ports(count: int, first: int) -> list[int]:
    """Ports that nobody has now: from `first` on, and any free one in the place of one that is taken."""
    with_sockets: list[socket.socket] = []
    found: list[int] = []
    try:
        for number in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, first + number))
            except OSError:
                sock.bind((HOST, 0))
            with_sockets.append(sock)
            found.append(int(sock.getsockname()[1]))
    finally:
        for sock in with_sockets:
            sock.close()
    return found


def _check_free(port: int) -> None:
    try:
        with closing(socket.socket()) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((HOST, port))
    except OSError as error:
        raise ConfigError([f"port {port}: {error.strerror}: choose another one with --port"]) from error


def _last_line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().rpartition("\n")[2]
    except OSError:
        return "it wrote no log"
