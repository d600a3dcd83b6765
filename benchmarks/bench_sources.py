"""What do many small mounts cost: 200 sources at 128 kbit/s, 5 listeners each, on one core?

One listener of each mount is read for real and checked; the others are counted. Late is what arrives more than a second
after it was sent (the flush interval is half a second at most). One number: the share of the core.
"""

import sys

from benchmarks.plan import Plan, read_plan
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Figures, Stage

MOUNTS = 200
LISTENERS_EACH = 5
LATE_S = 1.0


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    mounts = plan.sized(MOUNTS)
    found = []
    for name in plan.uses("pycast", "icecast2"):
        progress(f"{name}: {mounts} sources, {LISTENERS_EACH} listeners each")
        try:
            found.append(_trial(plan, name, mounts))
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
    _print(found)
    rows = [figures.as_row() | {"late": figures.outcome.late(LATE_S)} for figures in found]
    settings = {"mounts": mounts, "listeners_each": LISTENERS_EACH, "late_s": LATE_S}
    return finish(plan, "sources", rows, _bars(found), settings)


def _trial(plan: Plan, name: str, mounts: int) -> Figures:
    with Stage(plan, name, [f"/m{i}.mp3" for i in range(mounts)]) as stage:
        stage.connect(mounts, sample=mounts)
        stage.connect(mounts * (LISTENERS_EACH - 1), sample=0)
        return stage.measure("plain")


def _bars(found: list[Figures]) -> list[Bar]:
    ours = next((figures for figures in found if figures.server == "pycast"), None)
    outcome = None if ours is None else ours.outcome
    return [
        Bar("CPU of one core", figure(ours, lambda f: 100 * f.cpu_s / f.span_s), 100, "%"),
        Bar("frames that came late", figure(outcome, lambda o: o.late(LATE_S)), 0),
        Bar("furthest that a counted listener was behind", figure(outcome, lambda o: o.worst_lag_s), LATE_S, "s"),
        Bar("least rate of any listener", figure(outcome, lambda o: 100 * o.least_share), 99, "%", True),
        Bar("wrong, missing or repeated frames", figure(outcome, lambda o: o.frame_errors), 0),
        Bar("listeners that failed", figure(outcome, lambda o: o.players - o.playing), 0),
    ]


def _print(found: list[Figures]) -> None:
    columns = ("server", "listeners", "core %", "other %", "p50 ms", "p99 ms", "worst ms", "late", "least rate %",
               "worst lag s", "failed", "wrong", "source's own delay ms")  # fmt: skip
    rows = []
    for figures in found:
        o = figures.outcome
        latencies = (f"{1000 * o.latency_s(q):.1f}" for q in (0.5, 0.99, 1))
        rows.append((
            figures.server, f"{figures.listeners:,}", f"{100 * figures.cpu_s / figures.span_s:.1f}",
            f"{100 * figures.other_share:.1f}", *latencies, str(o.late(LATE_S)), f"{100 * o.least_share:.2f}",
            f"{o.worst_lag_s:.2f}", str(o.players - o.playing), str(o.frame_errors),
            f"{1000 * figures.source_delay_s:.1f}",
        ))  # fmt: skip
    print_table("Many sources at 128 kbit/s on one core", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
