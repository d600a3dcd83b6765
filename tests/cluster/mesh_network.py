"""A simulated network of meshes: no sockets, no clock, only events in the order of their times.

Each node runs the real `Mesh`, driven as `mesh_registry.py` drives it: a line from each node to each
other one, whose messages arrive in order or not at all; questions and answers, which may overtake each other; beats,
ticks, hellos. What is random comes from the seed. Invariant: a node that accepts a lower epoch after a higher one, or
two owners with one epoch, raise at once.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from random import Random

from pycast.cluster.codec import decode, encode
from pycast.cluster.link.message_kinds import Notification
from pycast.cluster.link.questions import Beat, HelloAgain, HelloAnswer, OriginGone, OriginNews, Proposal, Verdict
from pycast.cluster.mesh.mesh_registry import PROPOSALS, PROPOSE_S, TICK_S
from pycast.cluster.mesh.protocol import BEAT_S, Mesh, with_epoch
from pycast.cluster.registry.cluster_state import ClusterState, OriginChanged
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held

RETRY_S = 0.2


@dataclass(eq=False)
class Owned:
    """One ownership as its node sees it: from `begun` until `ended`."""

    node: str
    mount: str
    epoch: Epoch
    over: Epoch
    begun: float
    ended: float | None = None


class Line:
    """A connection from one node to another: its messages arrive in order, or it breaks."""

    def __init__(self) -> None:
        self.state = "down"
        self.number = 0
        self.beats = False
        self.last = 0.0
        self.queued: list[Notification] = []


@dataclass(eq=False)
class Claim:
    """A claim that is under way, and its result."""

    node: "Node"
    mount: str
    over: Epoch
    tries: int = 0
    answer: Claimed | Held | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    open: int = 0


class Node:
    """One process of a node."""

    def __init__(self, network: "Network", name: str, boot: int, skew: float) -> None:
        self.network = network
        self.name = name
        self.boot = f"{name}{boot}"
        self.skew = skew
        self.state = ClusterState()
        self.mesh = Mesh(NodeRecord(name, self.boot, f"{name}:8000"), self.state, network.size)
        self.lines = {other: Line() for other in network.names if other != name}
        self.owned: dict[str, Owned] = {}
        self.accepted: dict[str, OriginRecord] = {}
        self.is_alive = True
        self.state.origin_changed.subscribe(self._on_origin_changed)

    @property
    def now(self) -> float:
        """Its own monotonic clock."""
        return self.network.now + self.skew

    def _on_origin_changed(self, change: OriginChanged) -> None:
        after, gone = change.after, self.mesh.gone(change)
        if after is not None:
            last = self.accepted.get(change.mount)
            if last is not None:
                is_same = (last.node, last.boot) == (after.node, after.boot)
                assert after.epoch > last.epoch or (after.epoch == last.epoch and is_same), (self.name, last, after)
            self.accepted[change.mount] = after
        if gone is not None:
            self.broadcast(gone)
        owned = self.owned.get(change.mount)
        if owned is not None and self.state.highest(change.mount) > owned.epoch:
            self.network.end(self.owned.pop(change.mount))

    def own(self, record: OriginRecord, over: Epoch) -> None:
        """Makes the mount this node's."""
        held = self.owned.pop(record.mount, None)
        if held is not None:
            self.network.end(held)
        self.owned[record.mount] = self.network.begin(Owned(self.name, record.mount, record.epoch, over, 0.0))
        assert self.state.put_origin(record)
        self.broadcast(OriginNews(record))

    def release(self, mount: str) -> None:
        """Gives the mount up."""
        owned = self.owned.pop(mount)
        self.network.end(owned)
        self.state.remove_origin(mount, owned.epoch)

    def broadcast(self, news: Notification) -> None:
        """Sends to all nodes, on the lines that are open. The next hello of the others includes it."""
        for other, line in self.lines.items():
            if line.state == "opening":
                line.queued.append(news)
            elif line.state == "open":
                self.network.send(self, other, news)


class Network:
    """The nodes by name, and the lines between them. `loss` is the probability that a message breaks its line."""

    def __init__(self, size: int, rng: Random, *, delay: float = 0.02, loss: float = 0.0, skew: float = 0.0) -> None:
        self.now = 0.0
        self.rng = rng
        self.size = size
        self.delay = delay
        self.loss = loss
        self.skew = skew
        self.names = [chr(ord("a") + one) for one in range(size)]
        self.cut: set[frozenset[str]] = set()
        self.history: list[Owned] = []
        self.claims: list[Claim] = []
        self._boots = count(1)
        self._turns = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self.nodes: dict[str, Node] = {}
        for name in self.names:
            self.start(name)

    # -- time

    def at(self, delay: float, run: Callable[[], None]) -> None:
        """Schedules `run` after `delay`."""
        heapq.heappush(self._events, (self.now + delay, next(self._turns), run))

    def run(self, seconds: float) -> None:
        """Runs the events of the next `seconds`."""
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def some_delay(self) -> float:
        """Returns a random delay: most are short, some are long."""
        return self.rng.random() ** 3 * self.delay * 4

    # -- for the tests

    def start(self, name: str) -> Node:
        """Starts a new process of that name."""
        node = Node(self, name, next(self._boots), self.rng.uniform(-self.skew, self.skew))
        self.nodes[name] = node
        self.at(self.rng.random() * TICK_S, lambda: self._tick(node))
        for other in node.lines:
            self.at(self.some_delay(), lambda other=other: self._dial(node, other))  # type: ignore[misc]
        return node

    def crash(self, name: str) -> None:
        """Ends the node's process; the lines of the others break."""
        node = self.nodes[name]
        node.is_alive = False
        for owned in node.owned.values():
            self.end(owned)
        for other in self.alive():
            if other is not node:
                self._lost(other, name)

    def partition(self, one: set[str], *, breaks: bool) -> None:
        """Cuts `one` off from the rest. If lines do not break, their messages arrive after `heal`."""
        for name in one:
            for other in set(self.names) - one:
                self.cut.add(frozenset((name, other)))
                if breaks:
                    self._lost(self.nodes[name], other)
                    self._lost(self.nodes[other], name)

    def heal(self) -> None:
        """Ends all partitions."""
        self.cut.clear()

    def claim(self, name: str, mount: str, over: Epoch | None = None) -> Claim:
        """Claims a mount for the node."""
        node = self.nodes[name]
        claim = Claim(node, mount, node.state.highest(mount) if over is None else over)
        self.claims.append(claim)
        self._propose(claim)
        return claim

    def alive(self) -> list[Node]:
        """Returns the nodes that run."""
        return [node for node in self.nodes.values() if node.is_alive]

    def owners(self, mount: str) -> list[Node]:
        """Returns the nodes that have the mount in their own view."""
        return [node for node in self.alive() if mount in node.owned]

    # -- ownerships

    def begin(self, owned: Owned) -> Owned:
        """Adds an ownership to the history."""
        assert all(one.epoch != owned.epoch or one.mount != owned.mount for one in self.history), f"twice: {owned}"
        owned.begun = self.now
        self.history.append(owned)
        return owned

    def end(self, owned: Owned) -> None:
        """Ends an ownership."""
        owned.ended = self.now

    # -- claims, as the driver makes them

    def _propose(self, claim: Claim) -> None:
        node = claim.node
        if not node.is_alive:
            return
        claim.tries += 1
        claim.verdicts = []
        proposal = node.mesh.propose(claim.mount, claim.over)
        names = [peer.record.node for peer in node.state.peers if peer.is_up and peer.record.node != node.name]
        claim.open = len(names)
        number = claim.tries
        for name in names:
            self._ask(claim, number, name, proposal)
        if names:
            self.at(PROPOSE_S, lambda: self._decide(claim, number, proposal))
        else:
            self._decide(claim, number, proposal)

    def _ask(self, claim: Claim, number: int, name: str, proposal: Proposal) -> None:
        asked = self.nodes[name]

        def judge() -> None:
            if self._passes(claim.node, asked):
                verdict = asked.mesh.judge(decode(Proposal, encode(proposal)))
                self.at(self.some_delay(), lambda: answer(verdict))

        def answer(verdict: Verdict) -> None:
            if self._passes(claim.node, asked) and number == claim.tries and claim.answer is None:
                claim.verdicts.append(verdict)
                claim.open -= 1
                if not claim.open:
                    self._decide(claim, number, proposal)

        self.at(self.some_delay(), judge)

    def _decide(self, claim: Claim, number: int, proposal: Proposal) -> None:
        node = claim.node
        if number != claim.tries or claim.answer is not None or not node.is_alive:
            return
        answer = node.mesh.decide(proposal, claim.verdicts)
        if isinstance(answer, Claimed):
            offer = OriginRecord(claim.mount, node.name, node.boot, NO_EPOCH, 0, True)
            claim.answer = answer
            node.own(with_epoch(offer, answer), claim.over)
        elif node.state.highest(claim.mount) > claim.over or claim.tries == PROPOSALS:
            claim.answer = answer
        else:
            self.at(self.rng.uniform(0.01, 0.05), lambda: self._propose(claim))

    # -- lines, as the driver keeps them

    def send(self, node: Node, other: str, news: Notification) -> None:
        """Sends in the line's order; a message that is lost breaks its line."""
        line, receiver = node.lines[other], self.nodes[other]
        line.last = max(line.last + 1e-6, self.now + self.some_delay())
        if self.loss and self.rng.random() < self.loss:
            self._lost(node, other)
            return
        number = line.number
        self.at(line.last - self.now, lambda: self._arrive(node, receiver, line, number, news))

    def _arrive(self, node: Node, receiver: Node, line: Line, number: int, news: Notification) -> None:
        if frozenset((node.name, receiver.name)) in self.cut:
            if number == line.number:  # it waits in the sender's kernel
                self.at(0.1, lambda: self._arrive(node, receiver, line, number, news))
            return
        # A message arrives although its sender is gone by then.
        is_there = receiver.is_alive and (number == line.number or not node.is_alive)
        if is_there and not self._take(receiver, news):
            self._lost(node, receiver.name)

    def _take(self, node: Node, news: Notification) -> bool:
        """Takes a message. Returns whether the line stays open."""
        mesh = node.mesh
        match news:
            case Beat():
                if not mesh.on_beat(news, node.now):
                    return False
                if mesh.differs(news):
                    self._ask_for_hello(node, news.node)
            case OriginNews(origin):
                if not mesh.on_origin(origin, node.now):
                    self._ask_for_hello(node, origin.node)
            case OriginGone(mount, epoch):
                mesh.on_gone(mount, epoch)
            case HelloAgain(other) if node.lines[other].state == "open":
                self._send_hello(node, other)
        return True

    def _ask_for_hello(self, node: Node, other: str) -> None:
        if node.lines[other].state == "open":
            self.send(node, other, HelloAgain(node.name))

    def _dial(self, node: Node, other: str) -> None:
        line = node.lines[other]
        if node.is_alive and line.state == "down":
            line.number += 1
            line.last = self.now
            self._send_hello(node, other)

    def _send_hello(self, node: Node, other: str) -> None:
        line, receiver = node.lines[other], self.nodes[other]
        line.state, line.queued = "opening", []
        number, hello = line.number, node.mesh.hello()

        def arrive() -> None:
            if number != line.number or not node.is_alive:
                return
            if not receiver.is_alive:
                node.mesh.refused(receiver.mesh.me.address)
                self._lost(node, other)
            elif not self._passes(node, receiver):
                self._lost(node, other)
            else:
                answer = receiver.mesh.on_hello(hello, receiver.now)
                self.at(self.some_delay(), lambda: reach(answer))

        def reach(answer: HelloAnswer) -> None:
            if number != line.number or not self._passes(node, receiver):
                self._lost(node, other, number)
                return
            node.mesh.on_answer(answer, node.now)
            line.state = "open"
            queued, line.queued = line.queued, []
            for news in queued:
                self.send(node, other, news)
            if not line.beats:
                line.beats = True
                self._beat(node, other, number)

        line.last = max(line.last, self.now + self.some_delay())
        self.at(line.last - self.now, arrive)

    def _beat(self, node: Node, other: str, number: int) -> None:
        line = node.lines[other]
        if not node.is_alive or number != line.number:
            return
        if line.state == "open":
            self.send(node, other, node.mesh.beat())
        self.at(BEAT_S, lambda: self._beat(node, other, number))

    def _lost(self, node: Node, other: str, number: int | None = None) -> None:
        line = node.lines[other]
        if not node.is_alive or line.state == "down" or (number is not None and number != line.number):
            return
        was_open, line.state = line.state == "open", "down"
        line.number += 1
        line.beats = False
        if was_open:
            node.mesh.lost(f"{other}:8000")
        self.at(RETRY_S * self.rng.uniform(0.8, 1.2), lambda: self._dial(node, other))

    def _passes(self, one: Node, other: Node) -> bool:
        return one.is_alive and other.is_alive and frozenset((one.name, other.name)) not in self.cut

    def _tick(self, node: Node) -> None:
        if node.is_alive:
            node.mesh.tick(node.now)
            self.at(TICK_S, lambda: self._tick(node))
