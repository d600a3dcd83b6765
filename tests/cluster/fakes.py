"""The others of a cluster, as one node's sources see them: a referee, a node that answers, mirrors.

Helpers only. They decide at once, unless the test gives them something to wait for.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pycast.cluster.link.message_kinds import Notification, Question
from pycast.cluster.link.questions import Alive, IsAlive, Yield, Yielded
from pycast.cluster.link.rpc import NoAnswer
from pycast.cluster.mirror.pull import ParentLost
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held
from pycast.signals import Signal

ME = NodeRecord("a", "a1", "a:1")
OTHER = NodeRecord("b", "b1", "b:1")


class FakeRegistry:
    """A registry that decides at once, or when the test allows it."""

    def __init__(self) -> None:
        self.state = ClusterState()
        self.state.put_node(ME)
        self.published: list[bool] = []
        self.released: list[Epoch] = []
        self.claims = 0
        self.is_provisional = False
        self.before_claim: Callable[[], object] = lambda: None

    def claim(self, offer: OriginRecord, over: Epoch) -> Claimed | Held:
        self.claims += 1
        self.before_claim()
        highest = self.state.highest(offer.mount)
        if highest > over:
            return Held(highest, self.state.origin(offer.mount))
        epoch = Epoch(0, highest.number + 1, 1, offer.node)
        self.state.put_origin(replace(offer, epoch=epoch, is_provisional=self.is_provisional))
        return Claimed(epoch, self.is_provisional)

    def publish(self, origin: OriginRecord) -> None:
        self.published.append(origin.is_live)
        self.state.put_origin(origin)

    def release(self, mount: str, epoch: Epoch) -> None:
        self.released.append(epoch)
        self.state.remove_origin(mount, epoch)


class FakeRpcClient:
    """The answers of the other node; None: it does not answer."""

    def __init__(self) -> None:
        self.is_alive: bool | None = True
        self.asked: list[Question[Any]] = []
        self.notified: list[Notification] = []
        self.on_make_way: Callable[[], object] = lambda: None

    def call(self, address: str, question: IsAlive | Yield, timeout: float) -> Alive | Yielded:
        self.asked.append(question)
        if self.is_alive is None:
            raise NoAnswer("gone")
        if isinstance(question, IsAlive):
            return Alive(self.is_alive)
        self.is_alive = False
        self.on_make_way()
        return Yielded()

    def notify(self, address: str, notification: Notification) -> None:
        self.notified.append(notification)


class FakeMirrors:
    """Mirrors whose results the test sets."""

    def __init__(self) -> None:
        self.parent_lost: Signal[ParentLost] = Signal()
        self.ensured: list[str] = []
        self.base = 0
        self.parent = False

    def ensure(self, name: str) -> None:
        self.ensured.append(name)

    def level(self, name: str, over: Epoch) -> int:
        return self.base

    def has_parent(self, name: str) -> bool:
        return self.parent
