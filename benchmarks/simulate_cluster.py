"""How much do the nodes of clusters of 10, 100 and 1,000 send, how soon do they agree, and how many listeners fit?

    python -m benchmarks.simulate_cluster [--nodes 10 100 1000] [--seed N] [--listeners N] [--out FOLDER]

A seeded simulation of events. The decisions are made by the real code: `protocol.Mesh` and `ClusterState`
(`sim_mesh.py`), `cache.Cache` (`sim_etcd.py`), `choose_parents`, `headroom.Weight` and `drain_plan.DrainPlan`
(`sim_load.py`). Network, etcd and balancer are simulated. There are three zones and ten million listeners. Each
scenario begins when the one before is over. It has converged when the state of all (observed) nodes is right, and its
traffic is that of the first five seconds. `CPU` is the time that this machine took for one node's share of the real
code, for each simulated second. Sockets, greenlets and parsing of received JSON are not included, so a real node needs
more.

Prints tables and bars, writes `simulation.json` and `simulation.svg`.
"""

import argparse
import itertools
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.plan import RESULTS
from benchmarks.procfs import machine, versions
from benchmarks.report import Bar, print_table, progress
from benchmarks.sim_etcd import EtcdNetwork
from benchmarks.sim_load import Outcome, Site
from benchmarks.sim_mesh import MeshNetwork, make_records
from benchmarks.sim_plot import draw
from pycast.cluster.mirror.parents import choose_parents

LISTENERS = 10_000_000
SPAN_S = 5.0
LIMIT_S = 40.0
STEP_S = 0.02
MOUNTS_EACH, MOST_MOUNTS = 2, 200
TREE_MOUNTS = {1_000: 10}
"""How many mounts' mirrors are checked: with a thousand nodes each costs a third of a million hashes."""


@dataclass(frozen=True, slots=True)
class Talk:
    """One scenario of a registry. Messages and bytes are for each node and second: what a node sends, with etcd also
    what it receives.
    """

    registry: str
    nodes: int
    scenario: str
    messages: float
    bytes: float
    converged_s: float
    cpu_percent: float


@dataclass(frozen=True, slots=True)
class Tree:
    """The mirrors of some mounts that have listeners on every node."""

    nodes: int
    scenario: str
    mounts: int
    crossings: tuple[int, ...]
    """For each mount, the number of links from one zone to another."""
    zones: int
    most_children: int


def main() -> int:
    """Runs all scenarios. Returns the exit status, 0 if all bars are passed."""
    options = _arguments()
    talks: list[Talk] = []
    trees: list[Tree] = []
    loads: dict[tuple[int, str], Outcome] = {}
    began = time.monotonic()
    for count in options.nodes:
        progress(f"{count:,} nodes: mesh")
        talks += _mesh(count, options.seed)
        progress(f"{count:,} nodes: etcd")
        talks += _etcd(count, options.seed)
        progress(f"{count:,} nodes: mirrors and listeners")
        trees += _trees(count, options.seed)
        loads |= _loads(count, options.listeners, options.seed)
    progress(f"took {time.monotonic() - began:.0f} s")
    _print(talks, trees, loads)
    bars = _bars(talks, trees, loads)
    for bar in bars:
        print(bar.line())
    _write(options, talks, trees, loads, bars)
    return 0 if all(bar.passed for bar in bars) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 100, 1_000], help="sizes, each 6 or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--listeners", type=int, default=LISTENERS)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the files")
    options = parser.parse_args()
    if min(options.nodes) < 6:
        parser.error("with less than six nodes a zone has no second one")
    return options


# -- registries


def _mesh(count: int, seed: int) -> list[Talk]:
    network = MeshNetwork(count, seed)
    observers, names = network.observers, itertools.count()
    home = itertools.cycle(observers)

    def claims(number: int) -> None:
        for _ in range(number):
            node = next(home)
            while not node.is_there:
                node = next(home)
            network.at(network.rng.random(), network.claim, f"/mount{next(names)}.mp3", node)

    def scenario(name: str, begin: Callable[[], object]) -> Talk:
        before = [(node.sent, node.sent_bytes, node.cpu_s) for node in observers]
        begin()
        begun = network.now
        converged = _until(network, lambda: network.has_converged, lambda: _span_over(network.now - begun))
        spans = [
            (node.sent - was[0], node.sent_bytes - was[1], node.cpu_s - was[2])
            for node, was in zip(observers, before, strict=True)
            if node.is_there
        ]
        sent, size, cpu = (sum(values) / len(spans) / (network.now - begun) for values in zip(*spans, strict=True))
        return Talk("mesh", count, name, sent, size, converged, 100 * cpu)

    zone = [name for name, node in network.nodes.items() if node.record.zone == "z"]
    other = next(node.record.node for node in reversed(observers) if node.record.zone == "x")
    silent = next(node.record.node for node in reversed(observers) if node.record.zone == "y")
    return [
        scenario("cold start", lambda: network.start_all(1.0)),
        scenario("sources come", lambda: claims(min(MOUNTS_EACH * count, MOST_MOUNTS))),
        scenario("quiet", lambda: None),
        scenario("a new mount", lambda: network.claim("/new.mp3", observers[0])),
        scenario("a process dies", lambda: network.crash([other])),
        scenario("a machine falls silent", lambda: network.mute([silent])),
        scenario("a tenth of the lines break", lambda: network.break_lines(0.1)),
        scenario("a zone is cut off", lambda: network.cut(zone)),
        scenario("and comes back", network.heal),
        scenario("a zone falls silent", lambda: network.mute(zone)),
    ]


def _etcd(count: int, seed: int) -> list[Talk]:
    network = EtcdNetwork(count, seed)
    names = list(network.nodes)
    zone = [name for name in names if network.nodes[name].zone == "z"]
    rng = random.Random(seed)

    def scenario(name: str, begin: Callable[[], object]) -> Talk:
        before = {key: (one.messages, one.bytes, one.cpu_s) for key, one in network.watchers.items()}
        begin()
        begun = network.now
        converged = _until(network, lambda: network.has_converged, lambda: _span_over(network.now - begun))
        spans = []
        for key, one in network.watchers.items():
            was = before.get(key, (0, 0, 0.0))
            if one.is_there:
                spans.append((one.messages - was[0], one.bytes - was[1], one.cpu_s - was[2]))
        sent, size, cpu = (sum(values) / len(spans) / (network.now - begun) for values in zip(*spans, strict=True))
        return Talk("etcd", count, name, sent, size, converged, 100 * cpu)

    def claims() -> None:
        for number in range(min(MOUNTS_EACH * count, MOST_MOUNTS)):
            network.at(rng.random(), network.claim, f"/mount{number}.mp3", rng.choice(names))

    return [
        scenario("cold start", lambda: network.start_all(1.0)),
        scenario("sources come", claims),
        scenario("quiet", lambda: None),
        scenario("a new mount", lambda: network.claim("/new.mp3", names[0])),
        scenario("a process dies", lambda: network.die([names[3]])),
        scenario("a zone falls silent", lambda: network.die(zone)),
    ]


def _span_over(gone: float) -> bool:
    return gone >= SPAN_S - STEP_S / 2


def _until(network: MeshNetwork | EtcdNetwork, is_so: Callable[[], bool], is_over: Callable[[], bool]) -> float:
    """Runs a scenario. Returns when the nodes agreed for good, within its span; inf if they never did."""
    begun, agreed = network.now, math.inf
    while not is_over() or (agreed == math.inf and network.now - begun < LIMIT_S):
        network.run(STEP_S)
        agreed = min(agreed, network.now - begun) if is_so() else math.inf
    return agreed


# -- mirrors and listeners


def _trees(count: int, seed: int) -> list[Tree]:
    rng, nodes = random.Random(seed), make_records(count)
    mounts = TREE_MOUNTS.get(count, 20)
    left = [node for node in nodes if node.zone != "z"]
    found = []
    for scenario, up in (("all nodes", nodes), ("a zone lost", left)):
        zone_of = {node.node: node.zone for node in up}
        crossings, most = [], 0
        for number in range(mounts):
            origin = rng.choice(left)
            pulls = [(choose_parents(f"/mount{number}.mp3", me, origin, up)[0], me) for me in up if me != origin]
            crossings.append(sum(zone_of[parent] != me.zone for parent, me in pulls))
            most = max(most, max(Counter(parent for parent, _ in pulls).values()))
        found.append(Tree(count, scenario, mounts, tuple(crossings), len(set(zone_of.values())), most))
    return found


def _loads(count: int, listeners: int, seed: int) -> dict[tuple[int, str], Outcome]:
    one, zone, rolled = (Site(count, listeners, seed) for _ in range(3))
    return {
        (count, "a node dies"): one.lose(one.nodes[:1]),
        (count, "a zone is lost"): zone.lose([node for node in zone.nodes if node.zone == 2]),
        (count, "rolling restart"): rolled.roll(max(1, count // 10)),
    }


# -- what came of it


def _bars(talks: list[Talk], trees: list[Tree], loads: dict[tuple[int, str], Outcome]) -> list[Bar]:
    news = [talk.converged_s for talk in talks if talk.scenario == "a new mount"]
    extra = [crossing - (tree.zones - 1) for tree in trees for crossing in tree.crossings]
    planned = [one for (_, name), one in loads.items() if name != "a zone is lost"]
    return [
        Bar("a new mount is known to all nodes", max(news), 1.0, "s"),
        Bar("lines across zones for a mount, beyond one for each other zone", max(map(abs, extra)), 0),
        Bar("worst load of a node", max(one.worst for one in loads.values()), 1.0, "of its slots"),
        Bar("listeners refused when a node dies or all restart", sum(one.refused for one in planned), 0),
        Bar("scenarios in which the nodes never agreed", sum(talk.converged_s == math.inf for talk in talks), 0),
    ]


def _print(talks: list[Talk], trees: list[Tree], loads: dict[tuple[int, str], Outcome]) -> None:
    rows = [
        (f"{t.registry}, {t.nodes:,} nodes: {t.scenario}", f"{t.messages:,.1f}", f"{t.bytes:,.0f}",
         f"{t.converged_s:.2f}", f"{t.cpu_percent:.2f}")
        for t in talks
    ]  # fmt: skip
    print_table("Registries", ("scenario", "messages/node·s", "bytes/node·s", "agreed after s", "CPU %"), rows)
    rows = [
        (f"{t.nodes:,} nodes, {t.scenario}", str(t.mounts), f"{min(t.crossings)} to {max(t.crossings)}",
         str(t.zones - 1), str(t.most_children))
        for t in trees
    ]  # fmt: skip
    columns = ("mirrors", "mounts", "lines across zones", "other zones", "most children of a node")
    print_table("Mirrors of a mount with listeners on every node", columns, rows)
    rows = [
        (f"{count:,} nodes: {name}", f"{one.moved:,}", f"{100 * one.worst:.1f}", f"{one.refused:,}",
         f"{one.back_s:.1f}")
        for (count, name), one in loads.items()
    ]  # fmt: skip
    columns = ("listeners", "moved", "worst load %", "refused", "took s")
    print_table("Listeners (until 99.9 % are back; the last player needs six seconds to call again)", columns, rows)
    print()


def _write(
    options: argparse.Namespace,
    talks: list[Talk],
    trees: list[Tree],
    loads: dict[tuple[int, str], Outcome],
    bars: list[Bar],
) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "benchmark": "simulate_cluster",
        "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        "settings": {"nodes": options.nodes, "seed": options.seed, "listeners": options.listeners},
        "bars": [_finite(asdict(bar) | {"passed": bar.passed}) for bar in bars],
        "registries": [_finite(asdict(talk)) for talk in talks],
        "mirrors": [asdict(tree) for tree in trees],
        "listeners": [_finite({"nodes": c, "scenario": name} | asdict(one)) for (c, name), one in loads.items()],
    }
    (options.out / "simulation.json").write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    points = [(t.registry, t.nodes, t.messages, t.cpu_percent) for t in talks if t.scenario == "quiet"]
    times = [(t.registry, t.nodes, t.scenario, t.converged_s) for t in talks if t.scenario != "quiet"]
    (options.out / "simulation.svg").write_text(draw(points, times))


def _finite(row: dict[str, object]) -> dict[str, object]:
    return {key: None if value == math.inf else value for key, value in row.items()}


if __name__ == "__main__":
    sys.exit(main())
