"""One trial: starts a server, its sources and its crowd, measures them over a span, and stops them.

`Stage` owns the three and their order; `measure` is the usual course over one span. It decides no bars. The invariant:
whatever happens inside the `with`, afterwards the server, the source process and all sockets are gone.
"""

import contextlib
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any

from benchmarks.load import Crowd
from benchmarks.plan import Plan
from benchmarks.players import Outcome
from benchmarks.procfs import core_busy_s, cpu_s, pinned, rss_bytes
from benchmarks.report import progress
from benchmarks.servers import PASSWORD, get, make_server, set_title
from benchmarks.source import Source

TITLE = "Benchmark - A title of ordinary length"
# More than a burst (64 KiB are 4.1 s), so that even the first player gets a full one.
PRELOAD_S = 8.0
# By then a server of pycast has loaded what it leaves for later (`app/late_imports.py`): CPU, memory and a moment's
# delay that belong to no figure.
LOADED_S = 9.0
_DRAIN_S = 3.0
_FLUSH_METRIC = re.compile(rb"^pycast_fanout_round_seconds(?:\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a server and its crowd over one span."""

    server: str
    listeners: int
    kind: str
    span_s: float
    cpu_s: float
    """User plus system time of the server's process."""
    core_s: float
    """Busy time of the whole core, interrupts and others' processes included."""
    flush_metric_s: float | None
    """pycast's flush interval by its own figures, if it has any."""
    source_delay_s: float
    """The latest that a source sent a frame: a figure of the generator."""
    rss_bytes: int
    outcome: Outcome

    @property
    def cpu_us(self) -> float:
        """CPU microseconds per listener and second."""
        return self.cpu_s / self.span_s / self.listeners * 1e6

    @property
    def other_share(self) -> float:
        """The share of the core that other processes used: noise, if not near zero."""
        return max(0.0, self.core_s - self.cpu_s) / self.span_s

    def as_row(self) -> dict[str, Any]:
        """Returns all figures by name, for the JSON file; the latencies as quantiles."""
        row: dict[str, Any] = asdict(self)
        del row["outcome"]
        row |= {"cpu_us_per_listener_s": self.cpu_us, "other_share": self.other_share}
        return row | outcome_row(self.outcome)


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """Returns the figures of a crowd by name, for the JSON file; the latencies as quantiles."""
    row: dict[str, Any] = asdict(outcome)
    del row["latencies_s"]
    return row | {f"latency_p{q}_s": outcome.latency_s(q / 100) for q in (50, 90, 99, 100)}


class Stage:
    """A running server with sources on `mounts` that are sending already, and an empty crowd."""

    def __init__(
        self,
        plan: Plan,
        server: str,
        mounts: Sequence[str] = ("/bench.mp3",),
        *,
        flush_s: float = 0.5,
        queue_bytes: int = 524_288,
        clients: int = 15_000,
        workers: int = 1,
        preload_s: float = PRELOAD_S,
        title: str = "",
    ) -> None:
        self.plan = plan
        self.mounts = tuple(mounts)
        self.server = make_server(
            server, plan.cores.server, flush_s=flush_s, queue_bytes=queue_bytes, clients=clients, workers=workers
        )
        self.source: Source
        self.crowd: Crowd
        self._title = title
        self._preload_s = preload_s
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> "Stage":
        with contextlib.ExitStack() as undo:
            undo.callback(self.server.stop)
            self.server.start()
            started = time.monotonic()
            undo.enter_context(pinned(self.plan.cores.load))
            port = self.server.port
            preload_s = self._preload_s
            self.source = Source(port, self.mounts, PASSWORD, core=self.plan.cores.load, preload_s=preload_s)
            undo.callback(self.source.close)
            self.source.wait_connected()
            if self._title:
                set_title(port, self.mounts[0], self._title)
            self.source.run()
            self.source.wait_sent(preload_s)
            if self.server.name == "pycast":
                time.sleep(max(started + LOADED_S - time.monotonic(), 0.0))
            self.crowd = Crowd(port, self.source.sent_bytes)
            undo.callback(self.crowd.close)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def connect(
        self, count: int, *, is_icy: bool = False, sample: int = 40, head: str = "", agent: str = "pycast-bench"
    ) -> None:
        """Connects `count` players gently and waits some seconds."""
        players = self.crowd.add(self.mounts, count, is_icy=is_icy, sample=sample, head=head, agent=agent)
        began = time.monotonic()
        self.crowd.connect(players, timeout_s=60 + count / 100)
        playing, took = sum(player.is_playing for player in players), time.monotonic() - began
        progress(f"  {playing:,} of {count:,} play after {took:.1f} s, {self.crowd.retries} second tries")
        self.crowd.run(5.0 if self.plan.scale >= 0.5 else 1.0)

    def measure(self, kind: str) -> Figures:
        """Measures the server over the plan's span, then holds the source and counts what each player has received."""
        pid, core = self.server.pid, self.plan.cores.server
        metric = self.flush_metric()
        self.crowd.begin_span()
        began, cpu, busy = time.monotonic(), cpu_s(pid), core_busy_s(core)
        self.crowd.run(self.plan.span_s)
        span, cpu, busy = time.monotonic() - began, cpu_s(pid) - cpu, core_busy_s(core) - busy
        self.crowd.end_span()
        rss = rss_bytes(pid)
        outcome = self.finish()
        return Figures(
            server=self.server.name,
            listeners=outcome.players,
            kind=kind,
            span_s=span,
            cpu_s=cpu,
            core_s=busy,
            flush_metric_s=metric,
            source_delay_s=self.source.worst_delay_s,
            rss_bytes=rss,
            outcome=outcome,
        )

    def finish(self) -> Outcome:
        """Holds the source, waits until the crowd has everything, and returns its figures."""
        self.source.hold()
        self.crowd.drain(_DRAIN_S)
        return self.crowd.outcome()

    def flush_metric(self) -> float | None:
        """Returns pycast's time between two passes by its own figures; None if there is none."""
        if self.server.name != "pycast":
            return None
        try:
            _, body = get(self.server.port, "/metrics")
        except OSError:
            return None
        found = _FLUSH_METRIC.search(body)
        return None if found is None else float(found[1])
