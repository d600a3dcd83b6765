"""How long from the source's byte to the listener's socket?

Each frame carries the moment it was handed to the kernel; a sample of listeners is read the moment something arrives.
One number: the 99th percentile over all frames of the sample, with 10 listeners and with 8,000. The burst of a
new listener is not counted, only frames sent after all were connected.
"""

import sys

from benchmarks.plan import Plan, read_plan
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Figures, Stage

FEW, MANY = 10, 8_000
_SAMPLE = 200


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found: dict[tuple[str, int], Figures] = {}
    for size, count in ((FEW, FEW), (MANY, plan.sized(MANY))):
        for name in plan.uses("pycast", "icecast2"):
            progress(f"{name}: {count:,} listeners")
            try:
                found[name, size] = _trial(plan, name, count)
            except (ServerError, SourceError) as error:
                progress(f"  no figure: {error}")
    _print(found)
    return finish(plan, "latency", [f.as_row() for f in found.values()], _bars(found), {"sample": _SAMPLE})


def _trial(plan: Plan, name: str, count: int) -> Figures:
    with Stage(plan, name) as stage:
        stage.connect(count, sample=_SAMPLE)
        return stage.measure("plain")


def _bars(found: dict[tuple[str, int], Figures]) -> list[Bar]:
    few, many = found.get(("pycast", FEW)), found.get(("pycast", MANY))
    ours = [figures.outcome for figures in (few, many) if figures is not None]
    return [
        Bar("p99 with 10 listeners", figure(few, _p99_ms), 60, "ms"),
        # A crowded node collects audio for up to a second (`CROWDED_SHARE` in stream/pacer.py).
        Bar("p99 with 8,000 listeners", figure(many, _p99_ms), 1400, "ms"),
        Bar("wrong, missing or repeated frames", max((o.frame_errors for o in ours), default=None), 0),
        Bar("listeners that failed", max((o.players - o.playing for o in ours), default=None), 0),
    ]


def _p99_ms(figures: Figures) -> float:
    return 1000 * figures.outcome.latency_s(0.99)


def _print(found: dict[tuple[str, int], Figures]) -> None:
    columns = ("server", "listeners", "p50 ms", "p90 ms", "p99 ms", "worst ms", "frames", "source's own delay ms")
    rows = []
    for (name, _), figures in found.items():
        o = figures.outcome
        latencies = (f"{1000 * o.latency_s(q):.1f}" for q in (0.5, 0.9, 0.99, 1))
        delay = f"{1000 * figures.source_delay_s:.1f}"
        rows.append((name, f"{figures.listeners:,}", *latencies, f"{len(o.latencies_s):,}", delay))
    print_table("From the source's write to the listener's socket", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
