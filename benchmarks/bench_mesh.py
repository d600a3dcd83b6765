"""How soon does a cluster of eight nodes have a new mount, and what does it cost while idle?

Eight `pycast serve` on loopback, each with the other seven as its peers. Idle first: CPU of all processes together, and
their traffic, by the kernel's counters. Then encoders connect, one after the other, each to a random node; all nodes
are asked for the mount (`/readyz?mount=`) every 20 ms, and as soon as one has it, for its audio. One number: the time
from the encoder's first packet until the last of the eight nodes has the mount.
"""

import random
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Thread
from typing import Any

from benchmarks import traffic
from benchmarks.encoder import Encoder
from benchmarks.frames import find_frame
from benchmarks.plan import Plan, read_plan
from benchmarks.procfs import pinned, process_s
from benchmarks.report import Bar, figure, finish, print_table, progress
from benchmarks.servers import get
from benchmarks.traffic import Traffic
from pycast.testing import Cluster, Server, ServerDied, ServerTimeout

NODES = 8
MOUNTS, MOUNTS_QUICK = 200, 50
SILENT_MOUNTS = 10
# Eight nodes on one core have loaded by then what they leave for later (`app/late_imports.py`).
_SETTLE_S = 20.0
_POLL_S = 0.02
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Idle:
    """The figures of an idle cluster over a span."""

    span_s: float
    cpu_s: float
    said: Traffic

    @property
    def cpu_percent(self) -> float:
        """The CPU of all nodes together, in percent of one core."""
        return 100 * self.cpu_s / self.span_s

    def each(self, count: int) -> float:
        """Returns `count`, which is of the whole cluster, for each node and second."""
        return count / self.span_s / NODES


@dataclass(frozen=True, slots=True)
class Show:
    """One new mount. Seconds since its encoder began to connect, of each node; inf for one that never had it."""

    visible_s: tuple[float, ...]
    audio_s: tuple[float, ...]


def main() -> int:
    """Runs the benchmark. Returns the exit status, 0 if all bars are passed."""
    plan = read_plan(__doc__ or "")
    shows: list[Show] = []
    idle, news = None, None
    try:
        with _cluster(plan) as nodes:
            progress(f"{NODES} nodes, idle for {plan.span_s:g} s")
            time.sleep(_SETTLE_S)
            idle = _idle(plan, nodes)
            progress(f"  {idle.cpu_percent:.2f} % of a core")
            news = _news(plan, nodes, idle)
            shows = _shows(plan, nodes)
    except (ServerDied, ServerTimeout, traffic.NoCounters) as error:
        progress(f"  no figure: {error}")
    _print(idle, news, shows)
    rows: list[dict[str, Any]] = [{"idle": idle and asdict(idle), "new_mount": news and asdict(news)}]
    rows += map(_row, shows)
    settings = {"nodes": NODES, "mounts": len(shows), "poll_s": _POLL_S}
    return finish(plan, "mesh", rows, _bars(idle, shows), settings)


@contextmanager
def _cluster(plan: Plan) -> Iterator[list[Server]]:
    # No dump of what comes in, which a server under test makes otherwise.
    no_dump = [{"type": "default", "dump_file": ""}]
    with pinned(plan.cores.server):
        cluster = Cluster(NODES, mount=no_dump).start()
    try:
        with pinned(plan.cores.load):
            yield list(cluster)
    finally:
        cluster.stop()


def _idle(plan: Plan, nodes: list[Server]) -> Idle:
    ports = [node.port for node in nodes]
    before, cpu, began = traffic.read(ports), sum(process_s(node.pid) for node in nodes), time.monotonic()
    time.sleep(plan.span_s)
    cpu, span = sum(process_s(node.pid) for node in nodes) - cpu, time.monotonic() - began
    return Idle(span, cpu, traffic.between(before, traffic.read(ports)))


def _news(plan: Plan, nodes: list[Server], idle: Idle) -> Traffic:
    """Measures the traffic of the whole cluster about one new mount without listeners, less the beats."""
    ports, count = [node.port for node in nodes], plan.sized(SILENT_MOUNTS)
    before, began = traffic.read(ports), time.monotonic()
    socks = []
    for number in range(count):
        node = nodes[number % NODES]
        socks.append(_source(node, f"/silent{number}.mp3"))
    time.sleep(1.0)
    kept = {end: now for end, now in traffic.read(ports).items() if end in before}
    all_of_it, share = traffic.between(before, kept), (time.monotonic() - began) / idle.span_s
    for sock in socks:
        sock.close()
    return Traffic(
        max(0, round((all_of_it.payload_bytes - share * idle.said.payload_bytes) / count)),
        max(0, round((all_of_it.messages - share * idle.said.messages) / count)),
        max(0, round((all_of_it.segments - share * idle.said.segments) / count)),
    )


def _source(node: Server, mount: str) -> socket.socket:
    return Encoder(node.port, mount, node.source_password, 0).connect()


def _shows(plan: Plan, nodes: list[Server]) -> list[Show]:
    rng = random.Random(8)
    count = max(2, plan.sized(MOUNTS_QUICK if plan.quick else MOUNTS))
    progress(f"{count} encoders, one after the other")
    with ThreadPoolExecutor(NODES) as pool:
        return [_show(pool, nodes, rng.choice(nodes), f"/new{number}.mp3") for number in range(count)]


def _show(pool: ThreadPoolExecutor, nodes: list[Server], chosen: Server, mount: str) -> Show:
    encoder = Encoder(chosen.port, mount, chosen.source_password, 0.1)
    thread = Thread(target=encoder.run, args=(lambda what, why, seq: None,))
    began = time.monotonic()
    thread.start()
    try:
        times = list(pool.map(lambda node: _find(node, mount, began), nodes))
    finally:
        encoder.stop.set()
        thread.join()
    return Show(tuple(seen for seen, _ in times), tuple(heard for _, heard in times))


def _find(node: Server, mount: str, began: float) -> tuple[float, float]:
    """Returns when the node reports the mount, and when its first frame arrives, both since `began`."""
    deadline = began + _PATIENCE_S
    while time.monotonic() < deadline:
        if get(node.port, f"/readyz?mount={mount}")[0] == 200:
            seen = time.monotonic() - began
            break
        time.sleep(_POLL_S)
    else:
        return float("inf"), float("inf")
    while time.monotonic() < deadline:
        if _hears(node.port, mount):
            return seen, time.monotonic() - began
        time.sleep(_POLL_S)
    return seen, float("inf")


def _hears(port: int, mount: str) -> bool:
    """Whether a new listener is accepted, and gets a frame soon."""
    data = b""
    with socket.create_connection(("127.0.0.1", port), _PATIENCE_S) as sock:
        sock.sendall(f"GET {mount} HTTP/1.0\r\nUser-Agent: pycast-bench\r\n\r\n".encode())
        while part := sock.recv(65536):
            data += part
            if b"\r\n\r\n" in data and b" 200 " not in data[:16]:
                return False
            if find_frame(data) is not None:
                return True
    return False


def _quantile(values: list[float], share: float) -> float | None:
    """Returns the value that `share` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else None


def _bars(idle: Idle | None, shows: list[Show]) -> list[Bar]:
    visible = [max(show.visible_s) for show in shows]
    audio = [max(show.audio_s) for show in shows]
    return [
        Bar("p99: a new mount is visible on all nodes", _quantile(visible, 0.99), 1.0, "s"),
        Bar("p99: a listener of each node has its first frame", _quantile(audio, 0.99), 1.0, "s"),
        Bar(
            "CPU of the idle cluster, all nodes together", figure(idle, lambda one: one.cpu_percent), 2.0, "% of a core"
        ),
    ]


def _row(show: Show) -> dict[str, Any]:
    return {name: [t if t < float("inf") else None for t in times] for name, times in asdict(show).items()}


def _print(idle: Idle | None, news: Traffic | None, shows: list[Show]) -> None:
    if idle is not None and news is not None:
        said = idle.said
        rows = [
            ("CPU, all nodes, % of a core", f"{idle.cpu_percent:.2f}"),
            ("messages per node and second", f"{idle.each(said.messages):.1f}"),
            ("bytes per node and second", f"{idle.each(said.payload_bytes):.0f}"),
            ("with IP and TCP headers", f"{idle.each(said.wire_bytes):.0f}"),
            ("messages for a new mount, whole cluster", str(news.messages)),
            ("bytes for a new mount, whole cluster", str(news.payload_bytes)),
        ]
        print_table(f"{NODES} idle nodes over {idle.span_s:.0f} s", ("figure", "value"), rows)
    if not shows:
        return
    columns = ("a new mount is", "p50 s", "p90 s", "p99 s", "worst s", "never")
    quantile_rows = []
    for title, times in (
        ("visible on all nodes", [max(show.visible_s) for show in shows]),
        ("heard from all nodes", [max(show.audio_s) for show in shows]),
    ):
        quantiles = [f"{_quantile(times, share) or 0:.3f}" for share in (0.5, 0.9, 0.99, 1.0)]
        quantile_rows.append((title, *quantiles, str(sum(time == float("inf") for time in times))))
    print_table(f"{len(shows)} encoders, each at a node drawn by lot", columns, quantile_rows)


if __name__ == "__main__":
    sys.exit(main())
