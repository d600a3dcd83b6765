"""`pycast fork-server`: loads the server once, then forks one for each request. For tests, which start hundreds.

Nine tenths of a start is loading, so a fork costs a tenth of it. The requests come on a Unix socket that is this
process's standard input; `testing/forked.py` is the other end and describes them. What a server loads a few seconds
after its start (`app/late_imports.py`) is loaded here between two requests. When all is loaded, one fork is made in
advance, the spare: it has gone through a start up to where the configuration matters, and waits for the next request.

Invariants: no thread and no event loop runs here, so that each fork is a clean copy; and when the other end closes, the
servers are killed and this process ends.
"""

import _socket
import gc
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import click
from gevent import monkey

from pycast.cli.leave import leave, main
from pycast.cli.serve import load_node
from pycast.patterns import compile_patterns

# What a server of a cluster, or one with workers, needs as well. In pieces: nobody is served meanwhile.
_MODULES = (
    *("random", "pycast.cluster.registry.records", "pycast.cluster.link.questions", "pycast.cluster.link.handshake"),
    *("pycast.cluster.link.link", "pycast.cluster.mirror.messages", "pycast.cluster.mirror.mirrors"),
    *("pycast.cluster.member", "pycast.cluster.mesh.mesh_registry", "pycast.app.cluster_assembly"),
    "pycast.app.workers",
)

LONGEST_REQUEST = 1 << 20

DESCRIPTORS = 3
"""Its standard output and error, and where its pid is written, and its status when it has ended."""
_PLACES = range(0, 4 * DESCRIPTORS, 4)

OPEN_FILES = 1 << 20
"""What a rehearsal has. It opens none."""

QUIET_MS = 20
"""A request is not followed by another for this long: now is the time for what makes later ones quicker."""

START_MS = 60
"""The same after a start: the new server may have to share a core with this process, and needs it more."""

# gevent's own `fork` and `waitpid` would start its event loop in this process.
_fork, _waitpid, _poll = (
    monkey.get_original(*name) for name in (("os", "fork"), ("os", "waitpid"), ("select", "poll"))
)


class ServerRequest(NamedTuple):
    """A server to start, as `testing/forked.py` describes it."""

    args: list[str]
    environment: dict[str, str]
    folder: str
    stdout: int
    stderr: int


@click.command(short_help="Fork servers for tests.", hidden=True)
def command() -> None:
    """Fork servers for tests: `pycast.testing` starts this command and talks to it on its standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests and for the servers
    try:
        requests = _socket.socket(fileno=os.dup(0))
    except OSError as error:
        raise click.UsageError("fork-server is started by pycast.testing, not by hand") from error
    load_node()
    request = Forker(requests).run()
    if request is None:
        return
    _become(request)


class Forker:
    """The loop of this process. `requests` is a Unix socket of packets."""

    def __init__(self, requests: _socket.socket) -> None:
        requests.setblocking(True)
        self._requests = requests
        self._children: dict[int, tuple[int, int]] = {}
        """By the descriptor that tells when it has ended (pidfd_open(2)): its pid, and where to write its status."""
        self._spare: tuple[int, _socket.socket] | None = None
        """The pid of a fork that waits for the next request, and where to send it."""
        self._has_started = False
        """Whether a server has been started a moment ago."""
        self._waiting = _poll()
        self._waiting.register(requests.fileno(), select.POLLIN)

    def run(self) -> ServerRequest | None:
        """Forks until the other end closes; then returns None. In each fork, returns its request."""
        late, is_loaded = load_late(), False
        while True:
            ready = self._waiting.poll(self._patience_ms(is_loaded))
            for fd, _ in ready:
                if fd in self._children:
                    self._reap(fd)
                    continue
                packet = Packet.receive(self._requests)
                if packet is None:
                    self._kill_all()
                    return None
                if request := self._start(packet):
                    return request
            if not ready and is_loaded and self._fork_spare():
                return self._wait_as_spare()
            # Requests come first: the very first one has waited for all that was loaded before.
            if not ready:
                is_loaded = is_loaded or next(late, None) is None

    def _patience_ms(self, is_loaded: bool) -> int | None:
        """Returns how long to wait for a request before doing what is not urgent; None: there is nothing to do."""
        if self._spare:
            return None
        if self._has_started:
            self._has_started = False
            return START_MS
        return QUIET_MS if is_loaded else 0

    def _start(self, packet: "Packet") -> ServerRequest | None:
        """Has a fork become the server that is asked for. In the fork, returns the request."""
        self._has_started = True
        if self._spare:
            pid, line = self._spare
            self._spare = None
            is_sent = packet.send(line)
            line.close()
            if is_sent:
                self._watch(pid, packet)
                return None
            _waitpid(pid, 0)
        for name in packet.needed():
            import_module(name)
        pid = _fork()
        if not pid:
            self._forget()
            return packet.request()
        self._watch(pid, packet)
        return None

    def _fork_spare(self) -> bool:
        """Forks a process that does, before it is asked, what every server does at its start. Returns whether this is
        the fork.
        """
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        pid = _fork()
        if not pid:
            ours.close()
            self._forget()
            self._requests = theirs
            return True
        theirs.close()
        self._spare = pid, ours
        return False

    def _wait_as_spare(self) -> ServerRequest:
        rehearse()
        packet = Packet.receive(self._requests)
        self._requests.close()
        if packet is None:
            leave(0)
        return packet.request()

    def _forget(self) -> None:
        """In a fork: closes what belongs to the process that forks."""
        self._requests.close()
        for fd, (_, status) in self._children.items():
            os.close(fd)
            os.close(status)

    def _watch(self, pid: int, packet: "Packet") -> None:
        for fd in packet.fds[:-1]:
            os.close(fd)
        status = packet.fds[-1]
        ended = os.pidfd_open(pid)
        self._children[ended] = pid, status
        self._waiting.register(ended, select.POLLIN)
        _tell(status, pid)

    def _reap(self, fd: int) -> None:
        pid, status = self._children.pop(fd)
        self._waiting.unregister(fd)
        os.close(fd)
        _tell(status, os.waitstatus_to_exitcode(_waitpid(pid, 0)[1]))
        os.close(status)

    def _kill_all(self) -> None:
        if self._spare:
            pid, line = self._spare
            line.close()
            _waitpid(pid, 0)
        for fd, (pid, _) in list(self._children.items()):
            os.kill(pid, signal.SIGKILL)
            self._reap(fd)


class Packet(NamedTuple):
    """A request as it came, with its three descriptors."""

    data: bytes
    fds: list[int]

    @classmethod
    def receive(cls, line: _socket.socket) -> "Packet | None":
        """Returns the next packet, None if the other end is closed. Blocks."""
        data, control, _, _ = line.recvmsg(LONGEST_REQUEST, _socket.CMSG_SPACE(4 * DESCRIPTORS))
        if not data:
            return None
        return cls(data, [int.from_bytes(control[0][2][at : at + 4], sys.byteorder) for at in _PLACES])

    def send(self, line: _socket.socket) -> bool:
        """Passes it on. Returns whether somebody is there to take it."""
        fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in self.fds)
        try:
            line.sendmsg([self.data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds)])
        except OSError:
            return False
        return True

    def needed(self) -> list[str]:
        """Returns the modules that the server will need at its start. Loaded before the fork, they are for all."""
        return list(json.loads(self.data)["modules"])

    def request(self) -> ServerRequest:
        """Returns what it asks for. In the fork only, which does not need the last descriptor."""
        stdout, stderr, status = self.fds
        os.close(status)
        found: dict[str, Any] = json.loads(self.data)
        return ServerRequest(found["args"], found["environment"], found["folder"], stdout, stderr)


def rehearse() -> None:
    """Does once what every server does first, with a configuration of nothing but defaults: all but opening ports. The
    real start then finds its memory and Python's caches as a second one would: a fork has to copy each page that it
    writes to.
    """
    from pycast.app.node import Node
    from pycast.cli.serve import command
    from pycast.config.load import embedded_text, loads, read_text

    command.make_context("serve", ["--ready-file", "-"]).close()
    text = read_text(Path(os.devnull)) + embedded_text({"source_password": "rehearsal"})
    Node(loads(text, {}, "rehearsal"), None, None, OPEN_FILES).stop()


def load_late() -> Iterator[str]:
    """Loads what servers load late, a module at each step."""
    from pycast.app.late_imports import MODULES

    for name in MODULES:
        import_module(name)
        yield name
    for _ in import_module("pycast.web.page_templates").compile_templates():
        yield "a page"
    for name in _MODULES:
        import_module(name)
        yield name
    for _ in compile_patterns():
        yield "a pattern"
    gc.freeze()


def _tell(fd: int, number: int) -> None:
    try:
        os.write(fd, f"{number}\n".encode())
    except BrokenPipeError:  # nobody wants to know any more
        return


def _become(request: ServerRequest) -> NoReturn:
    """Turns this fork into the server that was asked for."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd, place in ((nothing, 0), (request.stdout, 1), (request.stderr, 2)):
        os.dup2(fd, place)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    os.chdir(request.folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:] = request.args
    main(request.args, prog_name="pycast")
