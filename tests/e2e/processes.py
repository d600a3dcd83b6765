"""A server's processes and their sockets, from /proc."""

import os
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Returns the numbers of the processes that `pid` has started, oldest first."""
    try:
        return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except FileNotFoundError:
        return []


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def sockets(pid: int) -> set[str]:
    """Returns the open sockets of a process, each by the kernel's name for it."""
    found = set()
    with suppress(FileNotFoundError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return {name for name in found if name.startswith("socket:")}


def listening_ports(pid: int) -> set[int]:
    """Returns the TCP ports on which a process listens."""
    held, ports = sockets(pid), set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in held:
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return ports
