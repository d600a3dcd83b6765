"""Servers that are forked from a process which has the server loaded: a start takes a tenth of the usual time.

`start` does what `launch.start` does. The first call starts the process that forks, `pycast fork-server`, which ends
with this one. A request is one packet on a Unix socket: a JSON object with `args` (of the command line), `environment`,
`folder` and `modules` (to load before the fork), and three descriptors: the server's stdout, its stderr, and a pipe
that gets a line with its pid, and one with its status when it has ended.

The invariant: where a fork would not be the same as a new process, because Python would start differently or the caller
has been given other limits, cores, user or namespaces since, a new process is started.
"""

import atexit
import json
import os
import resource
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

from pycast import launch
from pycast.testing.server_program import ServerProgram, the_program

FORK_S = 20.0
"""A fork takes some 10 ms, the first one as long as a start; on a machine that runs many tests at once, longer."""

_READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "GEVENT", "GREENLET", "COVERAGE", "OPENSSL", "SSL_")
"""How variables begin that are read when a process begins, or when a module is loaded."""

_LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE)


class ForkedProcess:
    """A server's process, with what `launch` uses of `subprocess.Popen`."""

    def __init__(self, pid: int, stdout: IO[bytes], status: IO[bytes]) -> None:
        """`status` gets a line with the status when the process has ended."""
        self.pid = pid
        self.stdin = None
        self.stdout = stdout
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """Returns its status if it has ended."""
        if self.returncode is None and _is_readable(self._status, 0.0):
            self._end()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Returns its status when it has ended. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not _is_readable(self._status, timeout):
                raise subprocess.TimeoutExpired("pycast serve", timeout or 0.0)
            self._end()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, if it has not ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _end(self) -> None:
        line = self._status.readline()
        self._status.close()
        if not line:  # the process that forks was killed: nobody can say more
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self.returncode = int(line or -signal.SIGKILL)


class ForkServer:
    """The process that forks."""

    def __init__(self, program: ServerProgram) -> None:
        """Raises OSError if there is no such program."""
        self._pid = os.getpid()
        self._command = program.command
        self._inherited = _inherited(program.environment)
        self._lock = threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command, stdin = [*program.command, "fork-server"], theirs.fileno()
            try:
                self._process = subprocess.Popen(
                    command, stdin=stdin, stdout=subprocess.DEVNULL, env=program.environment
                )
            except OSError:
                self._requests.close()
                raise

    def runs(self, program: ServerProgram) -> bool:
        """Whether it is this process's own, and of that program."""
        return self._pid == os.getpid() and self._command == program.command

    def suits(self, program: ServerProgram) -> bool:
        """Whether its forks are as new processes of that program would be."""
        return self.runs(program) and self._inherited == _inherited(program.environment)

    def start(
        self, *args: str, environment: Mapping[str, str], stderr: IO[bytes] | int, modules: Sequence[str] = ()
    ) -> ForkedProcess:
        """Starts `pycast ARGS`, which needs `modules`. Raises OSError if that is not possible any more."""
        request = {"args": args, "environment": dict(environment), "folder": os.getcwd(), "modules": modules}
        (out, their_out), (status, their_status) = os.pipe(), os.pipe()
        try:
            fds = [their_out, stderr if isinstance(stderr, int) else stderr.fileno(), their_status]
            with self._lock:
                socket.send_fds(self._requests, [json.dumps(request).encode()], fds)
        except OSError:
            os.close(out)
            os.close(status)
            raise
        finally:
            os.close(their_out)
            os.close(their_status)
        stdout, lines = os.fdopen(out, "rb"), os.fdopen(status, "rb", 0)
        pid = lines.readline() if _is_readable(lines, FORK_S) else b""
        if not pid:
            stdout.close()
            lines.close()
            raise ChildProcessError("the process that forks servers has ended")
        return ForkedProcess(int(pid), stdout, lines)

    def close(self) -> None:
        """Ends it, and with it the servers that are left."""
        self._requests.close()
        if self._pid == os.getpid():
            self._process.wait()


_fork_server: ForkServer | None = None
_lock = threading.Lock()


def prepare() -> None:
    """Starts the process that forks, if there is none: a server that is asked for some tenths of a second later need
    not wait for it.
    """
    with suppress(OSError):
        _the_fork_server(the_program())


def start(*options: str, stderr: IO[bytes], modules: Sequence[str] = ()) -> launch.Process:
    """Starts `pycast serve` with `options`, as `launch.start` does, from a fork if that is the same.

    `modules` are those that it needs at its start and other servers do not.
    """
    program = the_program()
    with suppress(OSError):
        fork_server = _the_fork_server(program)
        if fork_server.suits(program):
            args = ("serve", "--ready-file", "-", *options)
            return fork_server.start(*args, environment=program.environment, stderr=stderr, modules=modules)
    try:
        return launch.start(*options, program=program.command, environment=program.environment, stderr=stderr)
    except OSError as error:
        if program.named_by:
            error.add_note(f"{program.named_by} names this program.")
        raise


def _the_fork_server(program: ServerProgram) -> ForkServer:
    global _fork_server  # one for the process, like its modules
    with _lock:
        if _fork_server is None or not _fork_server.runs(program):
            _fork_server = ForkServer(program)
            atexit.register(_fork_server.close)
        return _fork_server


def _inherited(environment: Mapping[str, str]) -> list[object]:
    """Returns what a process started by this thread has from it, and cannot be told later."""
    variables = {name: value for name, value in environment.items() if name.startswith(_READ_AT_START)}
    spaces = [os.readlink(f"/proc/thread-self/ns/{name}") for name in ("net", "mnt", "uts", "user")]
    limits = [resource.getrlimit(number) for number in _LIMITS]
    return [variables, spaces, limits, os.sched_getaffinity(0), os.geteuid(), os.getegid()]


def _is_readable(file: IO[bytes], timeout: float | None) -> bool:
    """Whether there is something to read, or the other end is closed, within `timeout` seconds."""
    poll = select.poll()
    poll.register(file.fileno(), select.POLLIN)
    return bool(poll.poll(None if timeout is None else 1000 * timeout))
