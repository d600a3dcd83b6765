"""What this node knows of the cluster: a pure object with queries, fed by a registry's driver.

Two kinds of facts, each written by the node that it is about: nodes, and origins (who has a mount's source). The one
invariant: for each mount the origin with the highest epoch ever seen holds, and one of a lower epoch is never taken,
from whomever it comes.

Whether a node answers is this node's own finding (`Status`), never somebody's word.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.signals import Signal


class Status(Enum):
    """How long ago a node was heard of."""

    UP = "up"
    SUSPECT = "suspect"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Peer:
    """A node and how it is."""

    record: NodeRecord
    status: Status = Status.UP

    @property
    def is_up(self) -> bool:
        """Whether it was heard of lately."""
        return self.status is Status.UP


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """A node came (before is None), went (after is None) or changed."""

    node: str
    before: Peer | None
    after: Peer | None


@dataclass(frozen=True, slots=True)
class OriginChanged:
    """A mount's origin came, went or changed."""

    mount: str
    before: OriginRecord | None
    after: OriginRecord | None


class ClusterState:
    """Nodes and origins. Each change is told by a signal, after it."""

    def __init__(self) -> None:
        self.node_changed: Signal[NodeChanged] = Signal()
        self.origin_changed: Signal[OriginChanged] = Signal()
        self._peers: dict[str, Peer] = {}
        self._origins: dict[str, OriginRecord] = {}
        self._by_node: dict[str, dict[str, None]] = {}
        self._highest: dict[str, Epoch] = {}

    # -- nodes

    def put_node(self, record: NodeRecord, status: Status = Status.UP) -> None:
        """A node as it says it is."""
        self._set_peer(record.node, Peer(record, status))

    def set_status(self, node: str, status: Status) -> None:
        """How a node is. Does nothing for one that is not known."""
        peer = self._peers.get(node)
        if peer is not None:
            self._set_peer(node, replace(peer, status=status))

    def remove_node(self, node: str) -> None:
        """The node is gone for good, and what it said of itself with it."""
        for origin in list(self.origins_of(node)):
            self.remove_origin(origin.mount, origin.epoch)
        self._set_peer(node, None)

    def peer(self, node: str) -> Peer | None:
        """The node of that name."""
        return self._peers.get(node)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All nodes, by name."""
        return tuple(self._peers[name] for name in sorted(self._peers))

    def up_nodes(self) -> tuple[NodeRecord, ...]:
        """Those that were heard of lately, by name."""
        return tuple(peer.record for peer in self.peers if peer.is_up)

    def is_up(self, node: str) -> bool:
        """Whether the node is known and was heard of lately."""
        peer = self._peers.get(node)
        return peer is not None and peer.is_up

    # -- origins

    def put_origin(self, record: OriginRecord) -> bool:
        """Whether it is taken: not if a higher epoch of the mount has been seen."""
        if record.epoch < self.highest(record.mount):
            return False
        self._highest[record.mount] = record.epoch
        self._set_origin(record.mount, record)
        return True

    def remove_origin(self, mount: str, epoch: Epoch) -> None:
        """The owner of that epoch has given the mount up. Another one's is not touched. The epoch is remembered."""
        held = self._origins.get(mount)
        if held is not None and held.epoch == epoch:
            self._set_origin(mount, None)

    def see(self, mount: str, epoch: Epoch) -> None:
        """Somebody has, or had, this epoch: what is lower is over."""
        if epoch > self.highest(mount):
            self._highest[mount] = epoch
            held = self._origins.get(mount)
            if held is not None and held.epoch < epoch:
                self._set_origin(mount, None)

    def origin(self, mount: str) -> OriginRecord | None:
        """Who has the mount's source; whether that node still answers is another question (`is_up`)."""
        return self._origins.get(mount)

    @property
    def origins(self) -> tuple[OriginRecord, ...]:
        """All origins, by mount."""
        return tuple(self._origins[mount] for mount in sorted(self._origins))

    def origins_of(self, node: str) -> Iterator[OriginRecord]:
        """Those of one node."""
        return (self._origins[mount] for mount in sorted(self._by_node.get(node, ())))

    def count_origins(self, node: str) -> int:
        """How many one node has."""
        return len(self._by_node.get(node, ()))

    def highest(self, mount: str) -> Epoch:
        """The highest epoch of the mount that was ever seen."""
        return self._highest.get(mount, NO_EPOCH)

    def _set_peer(self, node: str, after: Peer | None) -> None:
        before = self._peers.pop(node, None)
        if after is not None:
            self._peers[node] = after
        if before != after:
            self.node_changed.emit(NodeChanged(node, before, after))

    def _set_origin(self, mount: str, after: OriginRecord | None) -> None:
        before = self._origins.pop(mount, None)
        if before is not None:
            del self._by_node[before.node][mount]
        if after is not None:
            self._origins[mount] = after
            self._by_node.setdefault(after.node, {})[mount] = None
        if before != after:
            self.origin_changed.emit(OriginChanged(mount, before, after))
