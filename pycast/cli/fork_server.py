"""`pycast fork-server`: loads the server once, then forks one for each request. For tests, which start hundreds.

Nine tenths of a start is loading, so a fork costs a tenth of it. The requests come on a Unix socket that is this
process's standard input; `testing/forked.py` is the other end and describes them. What a server loads a few seconds
after its start (`app/late_imports.py`) is loaded here between two requests.

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
from typing import Any, NamedTuple, NoReturn

import click
from gevent import monkey

from pycast.cli.serve import load_node

# What a server of a cluster, or one with workers, needs as well.
_MODULES = ("pycast.app.cluster_assembly", "pycast.app.workers")

LONGEST_REQUEST = 1 << 20

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
    status: int
    """The descriptor to which its pid is written, and its status when it has ended."""


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
        self._waiting = _poll()
        self._waiting.register(requests.fileno(), select.POLLIN)

    def run(self) -> ServerRequest | None:
        """Forks until the other end closes; then returns None. In each fork, returns its request."""
        late, is_loaded = load_late(), False
        while True:
            for fd, _ in self._waiting.poll(None if is_loaded else 0):
                if fd in self._children:
                    self._reap(fd)
                    continue
                request = self._receive()
                if request is None:
                    self._kill_all()
                    return None
                if self._forks(request):
                    return request
            # After the look for requests: the first one has waited for all that was loaded before.
            is_loaded = is_loaded or next(late, None) is None

    def _receive(self) -> ServerRequest | None:
        """Returns the next request, None if the other end is closed."""
        descriptors = 3
        data, control, _, _ = self._requests.recvmsg(LONGEST_REQUEST, _socket.CMSG_SPACE(4 * descriptors))
        if not data:
            return None
        fds = [int.from_bytes(control[0][2][at : at + 4], sys.byteorder) for at in range(0, 4 * descriptors, 4)]
        found: dict[str, Any] = json.loads(data)
        return ServerRequest(found["args"], found["environment"], found["folder"], *fds)

    def _forks(self, request: ServerRequest) -> bool:
        """Forks. Returns whether this is the fork."""
        pid: int = _fork()
        if not pid:
            self._requests.close()
            for fd, (_, status) in self._children.items():
                os.close(fd)
                os.close(status)
            os.close(request.status)
            return True
        os.close(request.stdout)
        os.close(request.stderr)
        ended = os.pidfd_open(pid)
        self._children[ended] = pid, request.status
        self._waiting.register(ended, select.POLLIN)
        _tell(request.status, pid)
        return False

    def _reap(self, fd: int) -> None:
        pid, status = self._children.pop(fd)
        self._waiting.unregister(fd)
        os.close(fd)
        _tell(status, os.waitstatus_to_exitcode(_waitpid(pid, 0)[1]))
        os.close(status)

    def _kill_all(self) -> None:
        for fd, (pid, _) in list(self._children.items()):
            os.kill(pid, signal.SIGKILL)
            self._reap(fd)


def load_late() -> Iterator[str]:
    """Loads what servers load late, a module at each step."""
    from pycast.app.late_imports import MODULES

    for name in (*_MODULES, *MODULES):
        import_module(name)
        yield name
    for _ in import_module("pycast.web.page_templates").compile_templates():
        yield "a page"
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
    from pycast.cli.main import main

    main(request.args, prog_name="pycast")
    sys.exit(0)  # click has done so
