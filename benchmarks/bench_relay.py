"""What do relays cost: 300 streams of 64 kbit/s, fetched from a master by one node on one core, one listener each?

The master is the generator itself. Each listener is read for real and every frame is checked. One number: the share of
the core; beside it memory, and the longest time for which any listener got nothing.
"""

import contextlib
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import core_busy_s, cpu_s, pinned, rss_bytes
from benchmarks.relay_upstream import FRAME_S, RelayUpstream
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import Icecast, Pycast, Server, ServerError

RELAYS = 300
STALL_S = 2.0
_CONNECT_S = 60.0
# More than a ring holds at this rate would take minutes; so long a burst is full and what is loaded late is there.
_WARM_S = 12.0


@dataclass(frozen=True, slots=True)
class Relayed:
    """The figures of one server."""

    server: str
    relays: int
    """How many of the streams it fetched."""
    span_s: float
    cpu_s: float
    core_s: float
    rss_bytes: int
    broken: int
    longest_gap_s: float
    worst_latency_s: float
    least_share: float
    """The least that any listener got, as a share of what was sent in the span."""
    wrong: int


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found = []
    for name in plan.uses("pycast", "icecast2"):
        try:
            found.append(_trial(plan, name, plan.sized(RELAYS)))
        except ServerError as error:
            progress(f"{name}: no figure: {error}")
    _print(found)
    return finish(plan, "relay", [asdict(one) for one in found], _bars(plan, found), {"relays": plan.sized(RELAYS)})


def _trial(plan: Plan, name: str, count: int) -> Relayed:
    progress(f"{name}: {count} relays")
    with contextlib.ExitStack() as undo:
        undo.enter_context(pinned(plan.cores.load))
        upstream = RelayUpstream(count)
        undo.callback(upstream.close)
        core = plan.cores.server
        server: Server = (
            Pycast(core, master_port=upstream.port) if name == "pycast" else Icecast(core, master_port=upstream.port)
        )
        undo.callback(server.stop)
        server.start()
        deadline = time.monotonic() + _CONNECT_S
        while upstream.connected < count and time.monotonic() < deadline:
            upstream.run(0.1)
        progress(f"  {upstream.connected} streams are fetched")
        upstream.run(_WARM_S if plan.scale >= 0.5 else 3.0)
        upstream.hear(server.port)
        upstream.run(3.0)
        for heard in upstream.listeners:
            heard.begin_span()
        pid, began = server.pid, time.monotonic()
        cpu, busy = cpu_s(pid), core_busy_s(core)
        upstream.run(plan.span_s)
        span = time.monotonic() - began
        for heard in upstream.listeners:
            heard.longest_gap_s = max(heard.longest_gap_s, time.monotonic() - heard.last_at)
        return Relayed(
            server=name,
            relays=upstream.connected,
            span_s=span,
            cpu_s=cpu_s(pid) - cpu,
            core_s=core_busy_s(core) - busy,
            rss_bytes=rss_bytes(pid),
            broken=upstream.broken,
            longest_gap_s=max(heard.longest_gap_s for heard in upstream.listeners),
            worst_latency_s=max(heard.worst_latency_s for heard in upstream.listeners),
            least_share=min(heard.frames for heard in upstream.listeners) / (span / FRAME_S),
            wrong=sum(heard.errors for heard in upstream.listeners),
        )


def _bars(plan: Plan, found: list[Relayed]) -> list[Bar]:
    ours = next((one for one in found if one.server == "pycast"), None)
    return [
        Bar("CPU of one core", figure(ours, lambda one: 100 * one.cpu_s / one.span_s), 50, "%"),
        Bar("memory", figure(ours, lambda one: one.rss_bytes / 1e6), 400, "MB"),
        Bar("streams that are not fetched", figure(ours, lambda one: plan.sized(RELAYS) - one.relays), 0),
        Bar("streams that broke off", figure(ours, lambda one: one.broken), 0),
        Bar("longest time without audio", figure(ours, lambda one: one.longest_gap_s), STALL_S, "s"),
        # A span begins and ends between two writes to a listener.
        Bar("least that any listener got", figure(ours, lambda one: 100 * one.least_share), 90, "%", True),
        Bar("wrong, missing or repeated frames", figure(ours, lambda one: one.wrong), 0),
    ]


def _print(found: list[Relayed]) -> None:
    columns = ("server", "relays", "core %", "other %", "MB", "longest gap s", "worst latency s", "least %", "wrong")
    rows = [
        (
            one.server, str(one.relays), f"{100 * one.cpu_s / one.span_s:.1f}",
            f"{100 * max(0.0, one.core_s - one.cpu_s) / one.span_s:.1f}", f"{one.rss_bytes / 1e6:.1f}",
            f"{one.longest_gap_s:.2f}", f"{one.worst_latency_s:.2f}", f"{100 * one.least_share:.1f}", str(one.wrong),
        )
        for one in found
    ]  # fmt: skip
    print_table("Relays at 64 kbit/s on one core, a listener each", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
