"""How many more listeners can two workers serve than one, each with the same share of a core?

One server with one worker, then one with two, each worker pinned to a core of its own and with as many listeners. From
each worker's CPU per listener follows how many it can serve at that share; a server can serve as many as its workers
together. One number: listeners with two workers against one.
"""

import sys
from dataclasses import dataclass

from benchmarks.plan import Plan, read_plan
from benchmarks.players import Outcome
from benchmarks.procfs import cpu_s, open_fds, pin, worker_cores
from benchmarks.report import Bar, finish, print_table, progress, ratio
from benchmarks.servers import Pycast, ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage, outcome_row

# Of one core, for each worker. Whatever else the machine does stays out of it: only a worker's own CPU time counts.
SHARE = 0.25
LISTENERS_EACH = 5_000
COUNTS = (1, 2)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one trial. The lists have an entry for each worker."""

    workers: int
    listeners: list[int]
    """How the kernel dealt them out."""
    shares: list[float]
    """Of a core."""
    parent_share: float
    outcome: Outcome

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per listener and second, of all workers and their parent."""
        return (sum(self.shares) + self.parent_share) / sum(self.listeners) * 1e6

    @property
    def carried(self) -> float:
        """The listeners that the server can serve if each worker uses its share of a core."""
        return sum(SHARE * count / share for count, share in zip(self.listeners, self.shares, strict=True))


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found: dict[int, Figures] = {}
    for workers in COUNTS:
        count = workers * plan.sized(LISTENERS_EACH)
        progress(f"pycast with {workers} worker(s): {count:,} listeners")
        try:
            found[workers] = _trial(plan, workers, count)
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
            continue
        progress(f"  {found[workers].cpu_us:.1f} µs per listener and second")
    _print(found)
    rows = [_row(figures) for figures in found.values()]
    return finish(plan, "workers", rows, _bars(found), {"bitrate_kbit_s": 128, "share_of_a_core": SHARE})


def _trial(plan: Plan, workers: int, count: int) -> Figures:
    cores = worker_cores(workers)  # before the stage keeps this process on the load's
    with Stage(plan, "pycast", workers=workers, clients=2 * count + 1_000) as stage:
        assert isinstance(stage.server, Pycast)
        pids = stage.server.worker_pids()
        for pid, core in zip(pids, cores, strict=True):
            pin(pid, core)
        before = [open_fds(pid) for pid in pids]
        stage.connect(count)
        listeners = [open_fds(pid) - files for pid, files in zip(pids, before, strict=True)]
        measured = sorted({stage.server.pid, *pids})
        stage.crowd.begin_span()
        began = {pid: cpu_s(pid) for pid in measured}
        stage.crowd.run(plan.span_s)
        shares = {pid: (cpu_s(pid) - began[pid]) / plan.span_s for pid in measured}
        stage.crowd.end_span()
        parent = shares[stage.server.pid] if workers > 1 else 0.0
        return Figures(workers, listeners, [shares[pid] for pid in pids], parent, stage.finish())


def _row(figures: Figures) -> dict[str, object]:
    return {
        "workers": figures.workers,
        "listeners": figures.listeners,
        "shares": figures.shares,
        "parent_share": figures.parent_share,
        "cpu_us_per_listener_s": figures.cpu_us,
        "carried": figures.carried,
    } | outcome_row(figures.outcome)


def _bars(found: dict[int, Figures]) -> list[Bar]:
    one, two = (found[count].carried if count in found else None for count in COUNTS)
    outcomes = [figures.outcome for figures in found.values()]
    return [
        Bar(
            "listeners with two workers against one, at the same share of a core each", ratio(two, one), 1.8, "x", True
        ),
        Bar("least rate of any listener", min((100 * o.least_share for o in outcomes), default=None), 99, "%", True),
        Bar(
            "wrong, missing or repeated frames in the sample", max((o.frame_errors for o in outcomes), default=None), 0
        ),
        Bar("listeners that failed", max((o.players - o.playing for o in outcomes), default=None), 0),
    ]


def _print(found: dict[int, Figures]) -> None:
    columns = ("workers", "listeners", "core % of each", "parent %", "µs/listener·s", f"carried at {SHARE:.0%}",
               "flush s", "least rate %", "worst lag s", "failed", "wrong")  # fmt: skip
    rows = []
    for figures in found.values():
        o = figures.outcome
        rows.append((
            str(figures.workers), " + ".join(f"{count:,}" for count in figures.listeners),
            " + ".join(f"{100 * share:.1f}" for share in figures.shares), f"{100 * figures.parent_share:.1f}",
            f"{figures.cpu_us:.1f}", f"{figures.carried:,.0f}", f"{o.flush_s:.3f}",
            f"{100 * o.least_share:.2f}", f"{o.worst_lag_s:.2f}",
            f"{o.players - o.playing:,}", str(o.frame_errors),
        ))  # fmt: skip
    print_table("Listeners at a fixed share of a core for each worker, 128 kbit/s", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
