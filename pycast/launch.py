"""Starts, waits for and ends processes of `pycast serve`.

The test kit, the parent of workers, `pycast cluster up` and the benchmarks all start servers through this file. It
knows the command line, the environment, the ready line and the signals. It knows nothing of configurations, and sends
no requests to a server. It uses the standard library only: where gevent has patched the process, a wait lets other
greenlets run; elsewhere it blocks. Invariant: after `end` or `kill` the process is gone and its output is closed.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

PROGRAM = (sys.executable, "-m", "pycast")


class Process(Protocol):
    """A process, with what is used here of `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


def start(
    *options: str,
    program: Sequence[str] = PROGRAM,
    environment: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    stderr: IO[bytes] | int | None = None,
    own_group: bool = False,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts `pycast serve` with `options`. It prints its ready line to its stdout.

    Without an `environment` it gets that of `clean_environment`. With `own_group`, Ctrl-C in a terminal does not reach
    it. It inherits the descriptors `pass_fds`, at the same numbers.
    """
    return subprocess.Popen(
        [*program, "serve", "--ready-file", "-", *options],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=clean_environment() if environment is None else environment,
        process_group=0 if own_group else None,
        pass_fds=pass_fds,
    )


def clean_environment() -> dict[str, str]:
    """Returns this process's environment without settings of pycast, and with this copy of pycast first on the path.

    The settings may be meant for another server, and would override a configuration file.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYCAST_")}
    home = Path(__file__).resolve().parents[1]
    if home.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), environment.get("PYTHONPATH"))))
    return environment


def ends_with_us() -> list[str]:
    """Returns a prefix for a command that makes it get SIGTERM when this process is gone, even if it was killed.

    Empty on a machine without `setpriv`.
    """
    program = shutil.which("setpriv")
    return [program, "--pdeathsig", "TERM"] if program else []


def wait_until_ready(process: Process, timeout_s: float | None = None) -> dict[str, Any] | None:
    """Returns the server's ready line, decoded, once it accepts connections; None if it ended before.

    Raises TimeoutError.
    """
    assert process.stdout is not None
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    pipe = process.stdout.fileno()
    poll = select.poll()  # unlike select(), it takes a descriptor of any number
    poll.register(pipe, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        left_s = _left(deadline)
        if not poll.poll(None if left_s is None else 1000 * left_s):
            raise TimeoutError("the server is not ready")
        data = os.read(pipe, 65536)
        if not data:
            _wait_for_end(process, _left(deadline))
            return None
        line += data
    ready: dict[str, Any] = json.loads(line)
    return ready


def describe_end(status: int) -> str:
    """Returns how a process ended, in words: `status 1`, `SIGKILL`."""
    try:
        return f"status {status}" if status >= 0 else signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def end(processes: Sequence[Process], patience_s: float) -> bool:
    """Ends processes with SIGTERM, all at once, and those that are left after `patience_s` with SIGKILL.

    Returns whether all of them ended in time.
    """
    for process in processes:
        if process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a stopped process gets SIGTERM only then
    deadline = time.monotonic() + patience_s
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.1, deadline - time.monotonic()))
    in_time = all(process.poll() is not None for process in processes)
    for process in processes:
        kill(process)
    return in_time


def kill(process: Process) -> None:
    """Ends a process at once, as a crash does (SIGKILL). May be called again."""
    if process.poll() is None:
        process.kill()
    process.wait()
    close_pipes(process)


def close_pipes(process: Process) -> None:
    """Closes our ends of a process's standard input and output. May be called again."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # data was written that the process did not read
                pipe.close()


def _wait_for_end(process: Process, timeout_s: float | None) -> None:
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired as error:
        raise TimeoutError("the server has closed its output, but has not ended") from error


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())
