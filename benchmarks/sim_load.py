"""Listeners in simulated time, as counts: a balancer distributes them, and full nodes refuse them.

The balancer is HAProxy's leastconn: the next listener goes to the node with the fewest for its weight. The weights are
the nodes' own (`headroom.Weight`), read every two seconds as by an agent-check. A dead node is out after three failed
checks; listeners that are sent there meanwhile get another node at once (`option redispatch`). A node that drains
follows `drain_plan.DrainPlan`. A node accepts a third of its slots in a second (5,000 of 15,000: `bench_storm`), and
the rest waits. A full node refuses, and the listener returns after the five seconds of `Retry-After`.

Egress and the loop's lag, which a real weight includes, are not simulated.
"""

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from pycast.balance.drain_plan import DrainPlan, DrainState
from pycast.balance.headroom import Load, Weight
from pycast.config.schema import DrainSection

SPARE = 1.5
"""Slots for each listener of an ordinary day: the nodes are two thirds full."""

ACCEPTED_IN_A_SECOND = 1 / 3
AGENT_S = 2.0
RETRY_AFTER_S = 5.0
RESTART_S = 5.0
COMEBACK_S = 1.0
"""The mean time that a disconnected player takes to come back."""


class Node:
    """One node, with the number of its listeners."""

    def __init__(self, zone: int, slots: int) -> None:
        self.zone = zone
        self.slots = slots
        self.count = 0
        self.waiting = 0
        self.is_there = True
        self.weight = 100
        """The weight that the balancer knows; 0 for a node that drains."""
        self.plan = DrainPlan()
        self._weight = Weight()

    def announce_weight(self) -> None:
        """Tells the balancer the node's weight."""
        own = self._weight.update(Load(self.count, self.slots))
        self.weight = 0 if not self.is_there or self.plan.is_draining else own


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a scenario. `worst` is the highest load of a node, as a share of its slots."""

    worst: float
    refused: int
    """How often listeners were refused; one may be refused many times."""
    back_s: float
    """Seconds until 99.9 % of those that had to move were on a node again; inf if they never were."""
    moved: int


class Site:
    """All nodes, and the listeners that are between two of them."""

    def __init__(self, count: int, listeners: int, seed: int) -> None:
        slots = math.ceil(listeners * SPARE / count)
        self.nodes = [Node(index % 3, slots) for index in range(count)]
        self.now = 0.0
        self.refused = 0
        self.worst = 0.0
        self._listeners = listeners
        self._returns: deque[tuple[float, int]] = deque()
        self._rng = random.Random(seed)
        self._next_agent = 0.0
        share, rest = divmod(listeners, count)
        for index, node in enumerate(self.nodes):
            node.count = share + (index < rest)
            node.announce_weight()

    @property
    def missing(self) -> int:
        """The number of listeners that are on no node."""
        return self._listeners - sum(node.count for node in self.nodes)

    def lose(self, lost: Sequence[Node]) -> Outcome:
        """Ends these nodes, and runs until their listeners are back."""
        moved, gone = sum(node.count for node in lost), 0.0
        for node in lost:
            node.is_there, node.count = False, 0
        begun, slices = self.now, 200
        # Each two-hundredth of them at its quantile of an exponential distribution.
        for index in range(slices):
            size = moved * (index + 1) // slices - moved * index // slices
            self._returns.append((begun - COMEBACK_S * math.log(1 - (index + 0.5) / slices), size))
        back = math.inf
        while gone < 120 and back == math.inf:
            self.step(0.1)
            gone = self.now - begun
            if self.missing <= moved // 1000:
                back = gone
        return self._outcome(moved, back)

    def roll(self, batch: int) -> Outcome:
        """Drains and restarts all nodes, `batch` at a time."""
        begun, moved = self.now, 0
        for first in range(0, len(self.nodes), batch):
            moved += self._drain(self.nodes[first : first + batch])
        return self._outcome(moved, self.now - begun)

    def step(self, seconds: float) -> None:
        """Runs one step: listeners that are due arrive, and waiting ones are accepted."""
        self.now += seconds
        if self.now >= self._next_agent:
            self._next_agent = self.now + AGENT_S
            for node in self.nodes:
                node.announce_weight()
        coming = 0
        while self._returns and self._returns[0][0] <= self.now:
            coming += self._returns.popleft()[1]
        self._deal(coming)
        for node in self.nodes:
            if node.waiting:
                self._admit(node, seconds)

    def _drain(self, batch: Sequence[Node]) -> int:
        moved = 0
        for node in batch:
            node.plan.begin(DrainSection(), self.now)
        while any(node.plan.state is not DrainState.DONE for node in batch):
            self.step(0.5)
            for node in batch:
                going = node.plan.step(self.now, node.count, has_moved=True)
                node.count -= going
                moved += going
                if going:
                    self._later(going, COMEBACK_S * self._rng.uniform(0.5, 1.5))
        for node in batch:
            node.is_there = False
            self._later(node.waiting, COMEBACK_S)
            node.waiting = 0
        for _ in range(int(RESTART_S / 0.5)):
            self.step(0.5)
        for node in batch:
            node.is_there = True
            node.plan = DrainPlan()
        while self.missing > self._listeners // 100_000:
            self.step(0.5)
        return moved

    def _deal(self, coming: int) -> None:
        """Distributes listeners by leastconn: all nodes are filled to the same level for their weight."""
        open_ = [node for node in self.nodes if node.is_there and node.weight > 0]
        if not open_:  # all are full: HAProxy's backups answer with a refusal
            open_ = [node for node in self.nodes if node.is_there and not node.plan.is_draining]
        by_load = sorted(open_, key=lambda node: (node.count + node.waiting) / max(node.weight, 1))
        held = weights = 0
        level, reached = 0.0, 0
        for reached, node in enumerate(by_load, 1):
            held += node.count + node.waiting
            weights += max(node.weight, 1)
            level = (held + coming) / weights
            if reached < len(by_load):
                following = by_load[reached]
                if level <= (following.count + following.waiting) / max(following.weight, 1):
                    break
        left = coming
        for node in by_load[:reached]:
            more = min(left, max(0, math.ceil(level * max(node.weight, 1)) - node.count - node.waiting))
            node.waiting += more
            left -= more

    def _admit(self, node: Node, seconds: float) -> None:
        turn = min(node.waiting, math.ceil(node.slots * ACCEPTED_IN_A_SECOND * seconds))
        taken = min(turn, node.slots - node.count)
        node.count += taken
        node.waiting -= turn
        if turn > taken:
            self.refused += turn - taken
            self._later(turn - taken, RETRY_AFTER_S * self._rng.uniform(0.9, 1.1))
        self.worst = max(self.worst, node.count / node.slots)

    def _later(self, size: int, wait_s: float) -> None:
        if size:
            self._returns.append((self.now + wait_s, size))
            if len(self._returns) > 1 and self._returns[-2][0] > self._returns[-1][0]:
                self._returns = deque(sorted(self._returns))

    def _outcome(self, moved: int, back: float) -> Outcome:
        outcome = Outcome(self.worst, self.refused, back, moved)
        self.worst, self.refused = 0.0, 0
        return outcome
