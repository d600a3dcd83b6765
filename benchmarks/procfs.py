"""Figures of a process and of the machine from Linux: CPU time, memory, descriptors, cores; and pinning.

Reads /proc only; starts and ends nothing. The invariant: CPU times are totals since the process (or the machine)
began, in seconds, so that a caller takes the difference of two readings.
"""

import os
import platform
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the measured server, and the one that source and load generator share."""

    server: int
    load: int


def pick_cores() -> Cores:
    """Chooses the last allowed core for the server, the first one for the load (the same if there is only one)."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(server=allowed[-1], load=allowed[0])


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Runs the block on `core`; children started inside inherit it, the caller gets its old set back."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def worker_cores(count: int) -> list[int]:
    """Returns a core for each worker, from the last allowed one down, repeated if there are too few."""
    allowed = sorted(os.sched_getaffinity(0), reverse=True)
    return [allowed[index % len(allowed)] for index in range(count)]


def pin(pid: int, core: int) -> None:
    """Pins another process to `core`."""
    os.sched_setaffinity(pid, {core})


def children(pid: int) -> list[int]:
    """Returns the processes that `pid` has started, oldest first."""
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def raise_open_files() -> int:
    """Raises the soft limit of open files to the hard one (children inherit it) and returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_s(pid: int) -> float:
    """Returns user plus system time of a process with all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def process_s(pid: int) -> float:
    """Returns the same as `cpu_s`, from the scheduler's clock: exact even if a process runs only for milliseconds."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def core_busy_s(core: int) -> float:
    """Returns how long a core was not idle (interrupts and other processes included), in seconds."""
    for line in Path("/proc/stat").read_text().splitlines():
        name, *values = line.split()
        if name == f"cpu{core}":
            ticks = [int(value) for value in values[:8]]
            return (sum(ticks) - ticks[3] - ticks[4]) * _TICK_S
    raise LookupError(f"no cpu{core} in /proc/stat")


def rss_bytes(pid: int) -> int:
    """Returns the resident memory of a process in bytes, shared mappings included."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def open_fds(pid: int) -> int:
    """Returns how many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def tcp_memory_bytes() -> int:
    """Returns the kernel memory of all TCP sockets of this machine, in bytes."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.rsplit(" ", 1)[1]) * resource.getpagesize()
    return 0


def listen_overflows() -> int:
    """Returns how many connections this machine's kernel has dropped because the queue of a listening port was full."""
    names, values = (line.split() for line in _lines("/proc/net/netstat") if line.startswith("TcpExt:"))
    return int(dict(zip(names, values, strict=True))["ListenOverflows"])


def machine() -> dict[str, str]:
    """Returns processor, cores, memory and kernel, as text."""
    model = next((line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    return {
        "processor": model.strip() or platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory_mb": str(int(memory) // 1024),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Returns the versions of all programs that take part and are installed."""
    found = {"python": sys.version.split()[0]}
    for package in ("pycast-server", "gevent", "httptools"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for name, command in (("icecast2", ["icecast2", "-v"]), ("gcc", ["gcc", "-dumpfullversion"])):
        try:
            output = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
        except OSError:
            continue
        found[name] = output.strip()
    return found


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
