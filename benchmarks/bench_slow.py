"""What do players that stop reading cost the others? 2,000 healthy listeners and 500 that never read.

The stalled ones ask for the stream and read nothing, with a small receive buffer. They must be gone within the time of
the queue (`queue_size` at the stream's rate, plus what the two kernels' buffers hold), which is measured by the
server's open descriptors; meanwhile the healthy ones must get every byte on time and the server's memory must not grow.
"""

import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.frames import BYTES_PER_S
from benchmarks.plan import Plan, read_plan
from benchmarks.players import Outcome
from benchmarks.procfs import open_fds, rss_bytes, tcp_memory_bytes
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import ServerError
from benchmarks.source import SourceError
from benchmarks.trial import Stage, outcome_row

HEALTHY, STALLED = 2_000, 500
QUEUE_BYTES, QUICK_QUEUE_BYTES = 524_288, 196_608
# What a stalled player may have been given beyond the queue is its receive buffer and the server's send buffer: under
# 10 s of audio. Its burst does not come on top: it is behind live by that much from the start.
_BUFFERS_S = 10.0
# A crowded node takes up to a second between two passes (`stream/pacer.py`), and reads a source ten times a second. A
# frame that waits for all of that, and for the pass itself, is on time.
_LATE_S = 1.25
_FLAT_BYTES = 8_000_000
_STALLED_RECEIVE_BUFFER = 8_192


@dataclass(frozen=True, slots=True)
class Slow:
    """The figures of one server with stalled players."""

    server: str
    stalled: int
    gone: int
    gone_s: float
    """When the last of them was gone, from their connecting; the whole time if some never were."""
    rss_before: int
    rss_peak: int
    tcp_peak: int
    rounds_s: tuple[float, float]
    """The time between two passes by the server's own figures: before the stalled players came, and the longest that
    was seen while they were there. 0 of a server that has no such figure.
    """
    healthy: Outcome

    def as_row(self) -> dict[str, Any]:
        """Returns all figures by name."""
        own = {name: getattr(self, name) for name in self.__slots__ if name != "healthy"}
        return own | {"healthy": outcome_row(self.healthy)}


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    queue = QUICK_QUEUE_BYTES if plan.quick else QUEUE_BYTES
    found = []
    for name in plan.uses("pycast", "icecast2"):
        progress(f"{name}: {plan.sized(HEALTHY):,} healthy, {plan.sized(STALLED):,} stalled, queue {queue:,} bytes")
        try:
            found.append(_trial(plan, name, queue))
        except (ServerError, SourceError) as error:
            progress(f"  no figure: {error}")
    _print(found)
    settings = {"queue_bytes": queue, "allowed_s": allowed_s(queue), "late_s": _LATE_S}
    return finish(plan, "slow", [slow.as_row() for slow in found], _bars(found, queue), settings)


def allowed_s(queue_bytes: int) -> float:
    """The time after which a stalled player must be gone."""
    return queue_bytes / BYTES_PER_S + _BUFFERS_S


def _trial(plan: Plan, name: str, queue: int) -> Slow:
    count = plan.sized(STALLED)
    with Stage(plan, name, queue_bytes=queue) as stage:
        pid, crowd = stage.server.pid, stage.crowd
        stage.connect(plan.sized(HEALTHY), sample=100)
        crowd.begin_span()
        fds, rss, before_s = open_fds(pid), rss_bytes(pid), stage.flush_metric() or 0.0
        sockets = [_stall(stage, i) for i in range(count)]
        began = time.monotonic()
        try:
            gone, gone_s, rss_peak, tcp_peak, round_s = _watch(stage, fds, count, began + allowed_s(queue) + 10)
        finally:
            for sock in sockets:
                sock.close()
        crowd.end_span()
        progress(f"  {gone} of {count} gone after {gone_s - began:.1f} s")
        return Slow(name, count, gone, gone_s - began, rss, rss_peak, tcp_peak, (before_s, round_s), stage.finish())


def _watch(stage: Stage, fds: int, count: int, deadline: float) -> tuple[int, float, int, int, float]:
    """Runs until the stalled players are gone. Returns (how many, when the last was, peak memory, peak TCP memory, the
    longest time between two passes).
    """
    pid = stage.server.pid
    rss_peak, tcp_peak = rss_bytes(pid), tcp_memory_bytes()
    stage.crowd.run(2.0)  # by then the server has accepted them all
    left, round_s = count, 0.0
    while left > 0 and time.monotonic() < deadline:
        stage.crowd.run(0.5)
        rss_peak, tcp_peak = max(rss_peak, rss_bytes(pid)), max(tcp_peak, tcp_memory_bytes())
        left = max(0, open_fds(pid) - fds)
        round_s = max(round_s, stage.flush_metric() or 0.0)
    return count - left, time.monotonic(), rss_peak, tcp_peak, round_s


def _stall(stage: Stage, number: int) -> socket.socket:
    """Connects a player that never reads. Its few kilobytes of buffer fill with the burst."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _STALLED_RECEIVE_BUFFER)
    sock.settimeout(5)
    sock.bind((f"127.0.0.{2 + number % 200}", 0))
    sock.connect(("127.0.0.1", stage.server.port))
    sock.sendall(f"GET {stage.mounts[0]} HTTP/1.0\r\nUser-Agent: pycast-bench-stalled\r\n\r\n".encode())
    if number % 20 == 19:
        stage.crowd.run(0.005)  # the healthy ones are read on meanwhile
    return sock


def _bars(found: list[Slow], queue: int) -> list[Bar]:
    ours = next((slow for slow in found if slow.server == "pycast"), None)
    healthy = None if ours is None else ours.healthy
    flat_mb = _FLAT_BYTES / 1e6
    return [
        Bar("stalled players still there", figure(ours, lambda s: s.stalled - s.gone), 0),
        Bar("the last one was gone after", figure(ours, lambda s: s.gone_s), allowed_s(queue), "s"),
        Bar("memory grew by", figure(ours, lambda s: (s.rss_peak - s.rss_before) / 1e6), flat_mb, "MB"),
        Bar("least that a healthy listener got", figure(healthy, lambda o: 100 * o.least_share), 100, "%", True),
        Bar("furthest that a healthy listener was behind", figure(healthy, lambda o: o.worst_lag_s), _LATE_S, "s"),
        Bar("frames that came late", figure(healthy, lambda o: o.late(_LATE_S)), 0),
        Bar("wrong, missing or repeated frames", figure(healthy, lambda o: o.frame_errors), 0),
        Bar("healthy listeners that were lost", figure(healthy, lambda o: o.players - o.playing), 0),
    ]


def _print(found: list[Slow]) -> None:
    columns = ("server", "stalled", "gone", "after s", "MB before", "MB peak", "TCP MB peak", "healthy", "lost",
               "least %", "worst lag s", "p99 ms", "wrong", "pass s")  # fmt: skip
    rows = []
    for slow in found:
        o = slow.healthy
        rows.append((
            slow.server, str(slow.stalled), str(slow.gone), f"{slow.gone_s:.1f}", f"{slow.rss_before / 1e6:.1f}",
            f"{slow.rss_peak / 1e6:.1f}", f"{slow.tcp_peak / 1e6:.1f}", f"{o.players:,}", str(o.players - o.playing),
            f"{100 * o.least_share:.2f}", f"{o.worst_lag_s:.2f}", f"{1000 * o.latency_s(0.99):.1f}",
            str(o.frame_errors), f"{slow.rounds_s[0]:.2f}, {slow.rounds_s[1]:.2f}",
        ))  # fmt: skip
    print_table("Stalled players, and what the healthy ones notice", columns, rows)


if __name__ == "__main__":
    sys.exit(main())
