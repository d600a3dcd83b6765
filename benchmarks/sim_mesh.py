"""A mesh of nodes in simulated time: the real `pycast.cluster.mesh.protocol.Mesh`, on simulated lines.

Each line does what `mesh_registry.py` does: a hello and its answer, then beats and changes in their order, a dial after
a break, questions for a claim. Latency, breaks and silence are simulated; random values come from the seed.

There are observers and speakers. An observer is a complete node that receives the messages of all, and everything is
measured on observers. Up to a hundred nodes all are observers; of a thousand a dozen, in equal parts from the zones.
The speakers send (hellos, beats, answers, verdicts on claims) with a real `Mesh` of their own, but do not receive each
other's messages: a thousand nodes have a million lines, and each observer does the same work anyway. Only observers get
sources.
"""

import heapq
import itertools
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pycast.cluster.codec import encode
from pycast.cluster.link.frames import Kind, pack_json
from pycast.cluster.link.message_kinds import Notification, Question
from pycast.cluster.link.questions import WIRE_NAMES, Beat, Hello, HelloAgain, HelloAnswer, OriginNews, Verdict
from pycast.cluster.mesh.mesh_registry import FIRST_RETRY_S, LONGEST_RETRY_S, PROPOSALS, PROPOSE_S, TICK_S
from pycast.cluster.mesh.protocol import BEAT_S, Mesh, with_epoch
from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed

T = TypeVar("T")

MOST_OBSERVERS = 12
ALL_OBSERVE = 100
ZONES = ("x", "y", "z")
NEAR_S, FAR_S = (0.0003, 0.0006), (0.001, 0.003)
DIAL_S = 1.0


def make_records(count: int) -> list[NodeRecord]:
    """Returns the records of `count` nodes, in turn in each zone."""
    return [
        NodeRecord(f"node{i:04}", f"boot{i}", f"10.{i % 3}.{i // 3 // 250}.{i // 3 % 250 + 1}:8000", ZONES[i % 3])
        for i in range(count)
    ]


class Timeline:
    """Events in the order of their times."""

    def __init__(self, rng: random.Random) -> None:
        self.now = 0.0
        self.rng = rng
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._turns = itertools.count()

    def at(self, delay: float, do: Callable[..., None], *args: object) -> None:
        """Schedules `do(*args)` after `delay` seconds."""
        heapq.heappush(self._events, (self.now + delay, next(self._turns), do, args))

    def run(self, seconds: float) -> None:
        """Runs the events of the next `seconds`."""
        end, events = self.now + seconds, self._events
        while events and events[0][0] <= end:
            self.now, _, do, args = heapq.heappop(events)
            do(*args)
        self.now = end

    def latency(self, one: NodeRecord, other: NodeRecord) -> float:
        """Returns a random delay from one node to another."""
        return self.rng.uniform(*(NEAR_S if one.zone == other.zone else FAR_S))


@dataclass(slots=True)
class Line:
    """A connection from one node to another."""

    is_open: bool = False
    life: int = 0
    wait_s: float = FIRST_RETRY_S


class Node:
    """One process of a node. `is_there` is False once it has ended; `is_mute` while nothing passes from or to it."""

    def __init__(self, record: NodeRecord, size: int, is_observer: bool) -> None:
        self.record = record
        self.state = ClusterState()
        self.mesh = Mesh(record, self.state, size)
        self.is_observer = is_observer
        self.is_there = self.is_mute = False
        self.sent = self.sent_bytes = 0
        self.cpu_s = 0.0
        self.lines: dict[str, Line] = {}


class MeshNetwork(Timeline):
    """The nodes, not started yet: call `start_all`, then `claim`, `crash`, `mute` …"""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__(random.Random(seed))
        whole = count if count <= ALL_OBSERVE else MOST_OBSERVERS
        self.nodes = {
            record.node: Node(record, count, index < whole) for index, record in enumerate(make_records(count))
        }
        self.observers = [node for node in self.nodes.values() if node.is_observer]
        self.truth: dict[str, tuple[str, Epoch]] = {}
        """The owner of each mount."""
        self._cut: set[str] = set()
        self._last_disagreement: tuple[Node, str] | None = None

    # -- for the scenarios

    def start_all(self, within_s: float) -> None:
        """Starts all nodes, each at a random time."""
        for node in self.nodes.values():
            self.at(self.rng.uniform(0, within_s), self._start, node)

    def crash(self, names: Sequence[str]) -> None:
        """Ends the processes of these nodes: lines break, and their ports refuse."""
        for name in names:
            self._gone(self.nodes[name])
        for node in self.observers:
            for name in names if node.is_there else ():
                self._break(node, self.nodes[name])

    def mute(self, names: Sequence[str]) -> None:
        """Cuts off the machines of these nodes: nothing arrives from them, not even the end of a connection."""
        for name in names:
            self._gone(self.nodes[name])
            self.nodes[name].is_mute = True

    def break_lines(self, share: float) -> None:
        """Breaks a share of the observers' own lines at once."""
        for node in self.observers:
            for name in node.lines:
                if self.rng.random() < share:
                    self._break(node, self.nodes[name])

    def cut(self, names: Sequence[str]) -> None:
        """Cuts these nodes off from the others; lines between them hang."""
        self._cut = set(names)

    def heal(self) -> None:
        """Ends the partition."""
        self._cut = set()

    def claim(self, mount: str, node: Node, tries: int = PROPOSALS) -> None:
        """Claims a mount for a node, as when an encoder connects."""
        over = node.state.highest(mount)
        proposal = self._timed(node, node.mesh.propose, mount, over)
        asked = [peer.record.node for peer in node.state.peers if peer.is_up and peer.record.node != node.record.node]
        verdicts: list[Verdict] = []
        state = {"open": len(asked), "done": False}

        def decide() -> None:
            if state["done"] or not node.is_there:
                return
            state["done"] = True
            answer = self._timed(node, node.mesh.decide, proposal, verdicts)
            if isinstance(answer, Claimed):
                offer = OriginRecord(mount, node.record.node, node.record.boot, NO_EPOCH, 0, True, False, "audio/mpeg")
                self._own(node, with_epoch(offer, answer))
            elif tries > 1:
                self.at(self.rng.uniform(0.01, 0.05), self.claim, mount, node, tries - 1)

        def collect(verdict: Verdict) -> None:
            verdicts.append(verdict)
            state["open"] -= 1
            if not state["open"]:
                decide()

        def judge(other: Node) -> None:
            if self._passes(node, other):
                verdict = self._timed(other, other.mesh.judge, proposal)
                self._count(other, verdict)
                self.at(self.latency(node.record, other.record), collect, verdict)

        for name in asked:
            self._count(node, proposal)
            self.at(self.latency(node.record, self.nodes[name].record), judge, self.nodes[name])
        self.at(PROPOSE_S, decide)

    @property
    def has_converged(self) -> bool:
        """Whether the state of all observers is right: which nodes are up, and which has which mount."""
        if self._last_disagreement is not None and not self._agrees(*self._last_disagreement):
            return False
        for node in self.observers:
            for name in self.nodes if node.is_there else ():
                if not self._agrees(node, name):
                    self._last_disagreement = (node, name)
                    return False
            if node.is_there and not self._has_origins(node):
                return False
        return True

    # -- lines

    def _start(self, node: Node) -> None:
        node.is_there = True
        for other in self.nodes.values():
            if other is not node and (node.is_observer or other.is_observer):
                node.lines[other.record.node] = Line()
                self._dial(node, other, 0)
        self.at(self.rng.random() * BEAT_S, self._beat, node)
        if node.is_observer:
            self.at(self.rng.random() * TICK_S, self._tick, node)

    def _gone(self, node: Node) -> None:
        node.is_there = False
        self.truth = {mount: owner for mount, owner in self.truth.items() if owner[0] != node.record.node}

    def _dial(self, node: Node, other: Node, life: int) -> None:
        line = node.lines[other.record.node]
        if not node.is_there or line.is_open or line.life != life:
            return
        if not self._passes(node, other):
            # Refused at once if the machine answers; otherwise the dial fails at its time limit.
            is_refused = not other.is_mute and not self._is_cut(node, other)
            if is_refused:
                self._timed(node, node.mesh.refused, other.record.address)
            self._retry(node, other, line, 0.0 if is_refused else DIAL_S)
            return
        hello = node.mesh.hello()
        self._count(node, hello)
        line.is_open = True
        self.at(self.latency(node.record, other.record), self._receive_hello, node, other, line.life, hello)

    def _receive_hello(self, node: Node, other: Node, life: int, hello: Hello) -> None:
        line = node.lines[other.record.node]
        if line.life != life or not self._passes(node, other):
            self._break(node, other)
            return
        answer = self._timed(other, other.mesh.on_hello, hello, self.now)
        self._count(other, answer)
        self.at(self.latency(node.record, other.record), self._receive_answer, node, other, life, answer)

    def _receive_answer(self, node: Node, other: Node, life: int, answer: HelloAnswer) -> None:
        line = node.lines[other.record.node]
        if line.life == life and node.is_there:
            line.wait_s = FIRST_RETRY_S
            self._timed(node, node.mesh.on_answer, answer, self.now)

    def _break(self, node: Node, other: Node) -> None:
        line = node.lines.get(other.record.node)
        if line is None or not line.is_open or not node.is_there:
            return
        line.is_open = False
        line.life += 1
        self._timed(node, node.mesh.lost, other.record.address)
        self._retry(node, other, line, 0.0)

    def _retry(self, node: Node, other: Node, line: Line, later_s: float) -> None:
        self.at(later_s + line.wait_s * self.rng.uniform(0.8, 1.2), self._dial, node, other, line.life)
        line.wait_s = min(2 * line.wait_s, LONGEST_RETRY_S)

    def _beat(self, node: Node) -> None:
        if node.is_there:
            beat = self._timed(node, node.mesh.beat)
            self._broadcast(node, beat)
            self.at(BEAT_S, self._beat, node)

    def _tick(self, node: Node) -> None:
        if node.is_there:
            self._timed(node, node.mesh.tick, self.now)
            self.at(TICK_S, self._tick, node)

    def _own(self, node: Node, origin: OriginRecord) -> None:
        self._timed(node, node.state.put_origin, origin)
        held = self.truth.get(origin.mount)
        if held is None or held[1] < origin.epoch:
            self.truth[origin.mount] = (node.record.node, origin.epoch)
        self._broadcast(node, OriginNews(origin))

    def _broadcast(self, node: Node, news: Beat | OriginNews) -> None:
        lines = [name for name, line in node.lines.items() if line.is_open]
        if node.is_observer:
            node.sent += len(lines)
            node.sent_bytes += len(lines) * _size(news)
        for name in lines:
            other = self.nodes[name]
            if other.is_observer:
                life = node.lines[name].life
                self.at(self.latency(node.record, other.record), self._arrive, node, other, life, news)

    def _arrive(self, node: Node, other: Node, life: int, news: Beat | OriginNews) -> None:
        if node.lines[other.record.node].life == life and other.is_there and not self._is_cut(node, other):
            if isinstance(news, OriginNews):
                self._timed(other, other.mesh.on_origin, news.origin, self.now)
            else:
                self._on_beat(node, other, news)

    def _on_beat(self, node: Node, other: Node, beat: Beat) -> None:
        if not self._timed(other, other.mesh.on_beat, beat, self.now):
            self._break(node, other)
        elif self._timed(other, other.mesh.differs, beat):
            self._count(other, HelloAgain(other.record.node))
            line = node.lines[other.record.node]
            line.is_open, line.life = False, line.life + 1
            self.at(self.latency(node.record, other.record), self._dial, node, other, line.life)

    # -- books

    def _timed(self, node: Node, do: Callable[..., T], *args: object) -> T:
        began = time.perf_counter()
        result = do(*args)
        node.cpu_s += time.perf_counter() - began
        return result

    def _count(self, node: Node, message: object) -> None:
        if node.is_observer:
            node.sent += 1
            node.sent_bytes += _size(message)

    def _is_cut(self, one: Node, other: Node) -> bool:
        return bool(self._cut) and (one.record.node in self._cut) != (other.record.node in self._cut)

    def _passes(self, one: Node, other: Node) -> bool:
        return one.is_there and other.is_there and not self._is_cut(one, other)

    def _agrees(self, node: Node, name: str) -> bool:
        if not node.is_there or name == node.record.node:
            return True
        other, peer = self.nodes[name], node.state.peer(name)
        if self._passes(node, other):
            return peer is not None and peer.is_up
        return peer is None or peer.status is Status.DEAD

    def _has_origins(self, node: Node) -> bool:
        for mount, (owner, epoch) in self.truth.items():
            if not self._is_cut(node, self.nodes[owner]):
                origin = node.state.origin(mount)
                if origin is None or origin.epoch != epoch:
                    return False
        return True


def _size(message: object) -> int:
    """Returns the size of a message as `rpc.py` sends it, in bytes."""
    value: dict[str, object] = {"with": encode(message)}
    if isinstance(message, Question | Notification):
        value["what"] = WIRE_NAMES[type(message)]
    if not isinstance(message, Notification):
        value["n"] = 1
    return len(pack_json(Kind.CALL, value))
