"""How long from starting the server to its first accepted connection?

Starts and stops it some times, on its own core, with no mount in its configuration, warm file caches and Python's
bytecode in place (one start before is not counted), and with the core awake: a virtual one that was idle is slower for
some tenths of a second. Two numbers: the median start and the slowest.
"""

import sys
import time
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import pinned
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import Pycast, Server, ServerError, accepts, make_server

STARTS, QUICK_STARTS = 15, 7
AWAKE_S = 0.3


@dataclass(frozen=True, slots=True)
class Starts:
    """Seconds to the first accepted connection, and to the end after a SIGTERM, of each start."""

    server: str
    start_s: tuple[float, ...]
    stop_s: tuple[float, ...]


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found = []
    for name in plan.uses("pycast", "icecast2"):
        progress(f"{name}: starts and stops")
        try:
            found.append(_starts(plan, name))
        except ServerError as error:
            progress(f"  no figure: {error}")
    rows = [
        (s.server, str(len(s.start_s)), f"{1000 * min(s.start_s):.0f}", f"{1000 * median(s.start_s):.0f}",
         f"{1000 * max(s.start_s):.0f}", f"{1000 * median(s.stop_s):.0f}")
        for s in found
    ]  # fmt: skip
    columns = ("server", "starts", "fastest ms", "median ms", "slowest ms", "median stop ms")
    print_table("From start to accepting", columns, rows)
    ours = next((starts for starts in found if starts.server == "pycast"), None)
    bars = [
        Bar("the median start", figure(ours, lambda s: median(s.start_s)), 0.2, "s"),
        Bar("the slowest start", figure(ours, lambda s: max(s.start_s)), 0.5, "s"),
    ]
    return finish(plan, "start", [asdict(starts) for starts in found], bars, {})


def _starts(plan: Plan, name: str) -> Starts:
    pairs = [_start(plan, name) for _ in range((QUICK_STARTS if plan.quick else STARTS) + 1)]
    return Starts(name, tuple(pair[0] for pair in pairs[1:]), tuple(pair[1] for pair in pairs[1:]))


def _start(plan: Plan, name: str) -> tuple[float, float]:
    """Starts and stops the server once. Returns the seconds of each."""
    server: Server = (
        Pycast(plan.cores.server, has_mounts=False) if name == "pycast" else make_server(name, plan.cores.server)
    )
    with pinned(plan.cores.server):
        until = time.monotonic() + AWAKE_S
        while time.monotonic() < until:
            pass
    try:
        began = time.monotonic()
        server.start()
        if not accepts(server.port):
            raise ServerError("it says that it is ready, but does not accept")
        started = time.monotonic()
    finally:
        stopping = time.monotonic()
        server.stop()
    return started - began, time.monotonic() - stopping


if __name__ == "__main__":
    sys.exit(main())
