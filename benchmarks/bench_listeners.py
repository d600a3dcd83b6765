"""What does one listener cost? CPU of the server per listener at 128 kbit/s, plain, with ICY titles, on a mount whose
listeners have a user and a password (htpasswd), and on one that has an intro, which each of them has heard.

For each size the servers run one after another: pycast, icecast2 (not with passwords), and (plain only) the kernel's
floor at the flush interval that pycast used in the same run. One number: CPU microseconds per listener and second.
"""

import sys

from benchmarks.plan import Plan, read_plan
from benchmarks.report import Bar, figure, finish, print_table, progress, ratio
from benchmarks.servers import GUARDED, INTRODUCED, LOGIN, ServerError
from benchmarks.source import SourceError
from benchmarks.trial import TITLE, Figures, Stage

SIZES = (1_000, 4_000, 8_000)
BAR_SIZE = 8_000

Key = tuple[str, str, int]


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    found: dict[Key, Figures] = {}
    for size in (BAR_SIZE,) if plan.quick else SIZES:
        for kind in ("plain", "icy", "htpasswd", "intro"):
            _compare(plan, kind, size, found)
    _print(found)
    rows = [figures.as_row() for figures in found.values()]
    return finish(plan, "listeners", rows, bars(found), {"bitrate_kbit_s": 128, "sizes": sorted({k[2] for k in found})})


def _compare(plan: Plan, kind: str, size: int, found: dict[Key, Figures]) -> None:
    """Runs all servers at one size, the floor last, because it uses pycast's flush interval."""
    flush_s = 0.5
    for name in plan.uses("pycast", "icecast2", "floor"):
        if (name == "floor" and kind != "plain") or (name == "icecast2" and kind in ("htpasswd", "intro")):
            continue
        progress(f"{name}: {plan.sized(size):,} listeners, {kind}" + (f", {flush_s:.3f} s" if name == "floor" else ""))
        try:
            figures = _trial(plan, name, kind, plan.sized(size), flush_s)
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
            continue
        found[name, kind, size] = figures
        progress(f"  {figures.cpu_us:.1f} µs per listener and second")
        if name == "pycast" and figures.outcome.flush_s == figures.outcome.flush_s:
            flush_s = figures.outcome.flush_s


def _trial(plan: Plan, name: str, kind: str, count: int, flush_s: float) -> Figures:
    is_icy, head = kind == "icy", LOGIN if kind == "htpasswd" else ""
    mounts = ({"htpasswd": GUARDED, "intro": INTRODUCED}.get(kind, "/bench.mp3"),)
    # An intro is for each address and agent once.
    agent = "bench {}" if kind == "intro" else "pycast-bench"
    with Stage(plan, name, mounts, flush_s=flush_s, title=TITLE if is_icy else "") as stage:
        stage.connect(count, is_icy=is_icy, head=head, agent=agent)
        return stage.measure(kind)


def bars(found: dict[Key, Figures]) -> list[Bar]:
    """Returns the bars, for the figures of the largest size."""

    def cpu(name: str, kind: str) -> float | None:
        return figure(found.get((name, kind, BAR_SIZE)), lambda figures: figures.cpu_us)

    ours = [figures.outcome for (name, _, _), figures in found.items() if name == "pycast"]
    return [
        Bar("CPU per listener, plain, against icecast2", ratio(cpu("pycast", "plain"), cpu("icecast2", "plain")), 0.25),
        Bar("CPU per listener, ICY, against icecast2", ratio(cpu("pycast", "icy"), cpu("icecast2", "icy")), 0.25),
        Bar("CPU per listener, plain, against the floor", ratio(cpu("pycast", "plain"), cpu("floor", "plain")), 1.35),
        Bar("ICY against plain", ratio(cpu("pycast", "icy"), cpu("pycast", "plain")), 1.25),
        Bar("with htpasswd against plain", ratio(cpu("pycast", "htpasswd"), cpu("pycast", "plain")), 1.1),
        Bar("with an intro against plain", ratio(cpu("pycast", "intro"), cpu("pycast", "plain")), 1.1),
        Bar("least rate of any listener", min((100 * o.least_share for o in ours), default=None), 99, "%", True),
        Bar("wrong, missing or repeated frames in the sample", max((o.frame_errors for o in ours), default=None), 0),
        Bar("listeners that failed", max((o.players - o.playing for o in ours), default=None), 0),
    ]


def _print(found: dict[Key, Figures]) -> None:
    columns = ("server", "listeners", "kind", "µs/listener·s", "core %", "other %", "flush s", "least rate %",
               "worst lag s", "failed", "frames checked", "wrong")  # fmt: skip
    rows = []
    for (name, kind, _), figures in found.items():
        o = figures.outcome
        rows.append((
            name, f"{figures.listeners:,}", kind, f"{figures.cpu_us:.1f}",
            f"{100 * figures.cpu_s / figures.span_s:.1f}", f"{100 * figures.other_share:.1f}", f"{o.flush_s:.3f}",
            f"{100 * o.least_share:.2f}", f"{o.worst_lag_s:.2f}", f"{o.players - o.playing:,}",
            f"{o.frames:,}", str(o.frame_errors),
        ))  # fmt: skip
    print_table("CPU of the server per listener at 128 kbit/s (server alone on one core)", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
