"""A server's processes and their sockets, from /proc; and how to suspend one."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from pycast.testing.waits import stands_still
from tests.e2e.deadline import until

LISTENS = "0A"
"""The kernel's word for it in /proc/net/tcp."""


def children(pid: int) -> list[int]:
    """Returns the numbers of the processes that `pid` has started, oldest first. That may not be the lowest number:
    there are 32,768, and a run of the tests needs more.
    """
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def suspend(pid: int) -> None:
    """Stops a process, and returns when it does nothing any more."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: stands_still(pid), f"process {pid} to stand still", 30)


def go_on(pid: int) -> None:
    """Lets a stopped process run; one that has been killed may be gone already."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def sockets(pid: int) -> set[str]:
    """Returns the open sockets of a process, each by the kernel's name for it."""
    found = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(OSError):  # it is closed meanwhile, or the process has ended
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return {name for name in found if name.startswith("socket:")}


def listening_ports(pid: int) -> set[int]:
    """Returns the TCP ports on which a process listens."""
    return {port for port, is_listening in _tcp_sockets(pid) if is_listening}


def accepted(pid: int, port: int) -> int:
    """Returns how many connections of this port a process has accepted and not closed."""
    return _tcp_sockets(pid).count((port, False))


def _tcp_sockets(pid: int) -> list[tuple[int, bool]]:
    """The process's own port of each of its TCP sockets, and whether it listens there."""
    held, found = sockets(pid), []
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in held:
            found.append((int(fields[1].rpartition(":")[2], 16), fields[3] == LISTENS))
    return found
