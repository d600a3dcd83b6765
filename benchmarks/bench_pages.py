"""What do the public pages cost, which anybody may ask for as often as he likes?

A server with 200 mounts and 2,000 listeners. Nobody asks; then 500 times a second, each time on a new connection, for
`status-json.xsl`, as browsers do (gzip); then nobody; then for `/`; then nobody. One number: the share of a core more
than before and after it, because a machine that others use as well is not equally quick all the time; beside it the CPU
of one answer, the longest that a listener waits for audio, and the slowest `/livez` meanwhile. Then 1,000 ask
within some 40 ms: how long a health check and a new listener wait. Then 5,000 ask for `/` and do not read: the memory.
"""

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.page_visitors import Visitors
from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import cpu_s, pinned, rss_bytes
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage

MOUNTS = 200
LISTENERS = 2_000
RATE = 500
UNREAD = 5_000
BURST = 1_000
_PATHS = ("/status-json.xsl", "/")


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one span: nobody asks (`path` is empty), or `RATE` requests a second."""

    path: str
    span_s: float
    cpu_s: float
    answers: int
    wrong: int
    bytes_per_answer: float
    worst_lag_s: float
    worst_livez_s: float

    @property
    def core(self) -> float:
        """The share of a core that the server used."""
        return self.cpu_s / self.span_s


@dataclass(frozen=True, slots=True)
class Crowds:
    """The figures of those who do not read, and of those who come at once. Times are seconds, memory is bytes."""

    unread_bytes: int
    unread_peak_bytes: int
    unread_livez_s: float
    burst_sent_s: float
    burst_answers: int
    burst_wrong: int
    burst_last_s: float
    burst_livez_s: float
    burst_listener_s: float


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    loads: list[Load] = []
    crowds: Crowds | None = None
    if plan.uses("pycast"):
        mounts = [f"/m{number}.mp3" for number in range(plan.sized(MOUNTS))]
        progress(f"pycast: {len(mounts)} mounts, {plan.sized(LISTENERS):,} listeners, {plan.sized(RATE)} requests/s")
        try:
            with Stage(plan, "pycast", mounts, preload_s=5.0) as stage:
                stage.connect(plan.sized(LISTENERS))
                loads = [_load(stage, path) for path in ("", _PATHS[0], "", _PATHS[1], "")]
            with Stage(plan, "pycast", mounts, preload_s=5.0) as stage:
                crowds = _crowds(stage)
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
    _print(loads, crowds)
    rows = [asdict(load) for load in loads] + ([asdict(crowds)] if crowds else [])
    settings = {"mounts": MOUNTS, "listeners": LISTENERS, "rate": RATE, "unread": UNREAD, "burst": BURST}
    return finish(plan, "pages", rows, _bars(loads, crowds), settings)


def _load(stage: Stage, path: str) -> Load:
    plan, pid, port = stage.plan, stage.server.pid, stage.server.port
    visitors = _visitors(plan, port, path, plan.sized(RATE), plan.span_s + 2) if path else None
    stage.crowd.run(1.0)
    probe = _probe(plan, port, plan.span_s)
    stage.crowd.begin_span()
    began, cpu = time.monotonic(), cpu_s(pid)
    stage.crowd.run(plan.span_s)
    span, cpu = time.monotonic() - began, cpu_s(pid) - cpu
    stage.crowd.end_span()
    livez = json.loads(probe.communicate(timeout=30)[0])["seconds"]
    found = json.loads(visitors.communicate(timeout=60)[0]) if visitors else {"answers": 0, "wrong": 0, "bytes": 0}
    answers = int(found["answers"])
    stage.crowd.run(1.0)
    return Load(
        path,
        span,
        cpu,
        answers,
        int(found["wrong"]),
        found["bytes"] / answers if answers else 0.0,
        stage.crowd.outcome().worst_lag_s,
        livez[-1],
    )


def _crowds(stage: Stage) -> Crowds:
    plan, pid, port = stage.plan, stage.server.pid, stage.server.port
    with Visitors(port, "/", takes_gzip=True) as visitors:
        time.sleep(3)  # the first page, and what is loaded late
        visitors.ask(1)
        visitors.read(5.0)
        sent_s = visitors.ask(plan.sized(BURST))
        livez, listener = visitors.probe("/livez", 0), visitors.probe(stage.mounts[0], 5_000)
        burst = visitors.read(60.0)
    before = rss_bytes(pid)
    with Visitors(port, "/") as visitors:
        peak = visitors.ask_slowly(plan.sized(UNREAD), lambda: rss_bytes(pid))
        slow_livez = visitors.probe("/livez", 0)()
        after = rss_bytes(pid)
    return Crowds(
        after - before,
        peak - before,
        slow_livez,
        sent_s,
        burst.answers,
        burst.wrong,
        burst.last_s,
        livez(),
        listener(),
    )


def _visitors(plan: Plan, port: int, path: str, rate: int, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.page_visitors", str(port), path, str(rate), str(seconds)]
    with pinned(plan.cores.load):
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _probe(plan: Plan, port: int, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "benchmarks.probe", str(port), "/livez", str(seconds)]
    with pinned(plan.cores.load):
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _more(loads: list[Load], path: str) -> tuple[Load, float, float] | None:
    """Returns the span in which `path` was asked for, and how much more than beside it were the share of a core and the
    longest time without audio.
    """
    places = [place for place, load in enumerate(loads) if load.path == path]
    if not places:
        return None
    before, load, after = loads[places[0] - 1 : places[0] + 2]
    lag_s = (before.worst_lag_s + after.worst_lag_s) / 2
    return load, load.core - (before.core + after.core) / 2, load.worst_lag_s - lag_s


def _bars(loads: list[Load], crowds: Crowds | None) -> list[Bar]:
    bars = []
    for path in _PATHS:
        more, asked = _more(loads, path), f"{RATE} {path} a second"
        bars += [
            Bar(f"{asked}: more of a core", figure(more, lambda one: 100 * one[1]), 15, "%"),
            Bar(f"{asked}: longer without audio", figure(more, lambda one: one[2]), 0.1, "s"),
            Bar(f"{asked}: slowest /livez", figure(more, lambda one: 1000 * one[0].worst_livez_s), 50, "ms"),
            Bar(f"{asked}: wrong answers", figure(more, lambda one: one[0].wrong), 0),
        ]
    return [
        *bars,
        Bar(f"{UNREAD:,} unread /: more memory", figure(crowds, lambda one: one.unread_peak_bytes / 1e6), 30, "MB"),
        Bar(f"{UNREAD:,} unread /: /livez", figure(crowds, lambda one: 1000 * one.unread_livez_s), 50, "ms"),
        Bar(f"{BURST:,} / at once: /livez", figure(crowds, lambda one: 1000 * one.burst_livez_s), 500, "ms"),
        Bar(f"{BURST:,} / at once: a new listener", figure(crowds, lambda one: 1000 * one.burst_listener_s), 500, "ms"),
    ]


def _print(loads: list[Load], crowds: Crowds | None) -> None:
    columns = ("asked for", "answers", "wrong", "kB each", "core %", "µs each", "worst lag s", "livez ms")
    rows = []
    for load in loads:
        more = _more(loads, load.path) if load.path else None
        each = 1e6 * more[1] / RATE if more else 0.0
        rows.append((
            load.path or "nothing", f"{load.answers:,}", str(load.wrong), f"{load.bytes_per_answer / 1000:.1f}",
            f"{100 * load.core:.1f}", f"{each:.0f}", f"{load.worst_lag_s:.2f}", f"{1000 * load.worst_livez_s:.1f}",
        ))  # fmt: skip
    print_table(f"{RATE} requests a second, {MOUNTS} mounts, {LISTENERS:,} listeners", columns, rows)
    if crowds:
        facts = asdict(crowds)
        print_table("Crowds", ("figure", "value"), [(name, f"{value:,.4g}") for name, value in facts.items()])


if __name__ == "__main__":
    sys.exit(main())
