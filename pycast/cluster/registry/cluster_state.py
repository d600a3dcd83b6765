"""What this node knows of the cluster: a pure object with queries, fed by a registry's driver.

It holds two kinds of facts, each written by the node that it is about: nodes, and origins (which node has a mount's
source). The one invariant: for each mount the origin with the highest epoch ever seen is valid, and one with a lower
epoch is never accepted from any node.

Whether a node answers (`Status`) is what this node has found out itself, never what another node reports.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum

from pycast.cluster.registry.epoch import NO_EPOCH, Ceiling, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.http.mount_names import why_no_mount
from pycast.signals import Signal


class Status(Enum):
    """How a node answers, as far as this node knows."""

    UP = "up"
    SUSPECT = "suspect"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Peer:
    """A node's record and its status."""

    record: NodeRecord
    status: Status = Status.UP

    @property
    def is_up(self) -> bool:
        """Whether the node answers."""
        return self.status is Status.UP


@dataclass(frozen=True, slots=True)
class NodeChanged:
    """A node was added (`before` is None), removed (`after` is None) or changed."""

    node: str
    before: Peer | None
    after: Peer | None


@dataclass(frozen=True, slots=True)
class OriginChanged:
    """A mount's origin was added (`before` is None), removed (`after` is None) or changed."""

    mount: str
    before: OriginRecord | None
    after: OriginRecord | None


@dataclass(frozen=True, slots=True)
class OriginRefused:
    """The refusal of an origin whose mount cannot have its name on this node."""

    origin: OriginRecord
    address: str
    """That of the origin's node; empty if the node is not known."""
    why: str


class ClusterState:
    """The nodes and origins of the cluster. Each change emits a signal after it is made."""

    def __init__(self) -> None:
        self.node_changed: Signal[NodeChanged] = Signal()
        self.origin_changed: Signal[OriginChanged] = Signal()
        self.origin_refused: Signal[OriginRefused] = Signal()
        self._peers: dict[str, Peer] = {}
        self._origins: dict[str, OriginRecord] = {}
        self._by_node: dict[str, dict[str, None]] = {}
        self._highest: dict[str, Epoch] = {}
        self._ceiling = Ceiling()

    # -- nodes

    def put_node(self, record: NodeRecord, status: Status = Status.UP) -> None:
        """Adds a node, or replaces its record and status."""
        self._set_peer(record.node, Peer(record, status))

    def set_status(self, node: str, status: Status) -> None:
        """Sets a node's status. Does nothing if the node is unknown."""
        peer = self._peers.get(node)
        if peer is not None:
            self._set_peer(node, replace(peer, status=status))

    def remove_node(self, node: str) -> None:
        """Removes a node and its origins."""
        for origin in list(self.origins_of(node)):
            self.remove_origin(origin.mount, origin.epoch)
        self._set_peer(node, None)

    def peer(self, node: str) -> Peer | None:
        """Returns the node of that name."""
        return self._peers.get(node)

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All nodes, by name."""
        return tuple(self._peers[name] for name in sorted(self._peers))

    def up_nodes(self) -> tuple[NodeRecord, ...]:
        """Returns the nodes that answer, by name."""
        return tuple(peer.record for peer in self.peers if peer.is_up)

    def is_up(self, node: str) -> bool:
        """Whether the node is known and answers."""
        peer = self._peers.get(node)
        return peer is not None and peer.is_up

    # -- origins

    def check_epoch(self, epoch: Epoch) -> None:
        """Raises ValueError for an epoch from another node that is too far above all that were seen. Then it is not to
        be used at all.
        """
        self._ceiling.check(epoch)

    def put_origin(self, record: OriginRecord) -> bool:
        """Stores an origin unless a higher epoch of the mount has been seen, or its name cannot be a mount: no node may
        put its audio where this one has a page. Returns whether it was stored.
        """
        if record.epoch < self.highest(record.mount):
            return False
        if why := why_no_mount(record.mount):
            peer = self._peers.get(record.node)
            self.origin_refused.emit(OriginRefused(record, peer.record.address if peer else "", why))
            return False
        self._highest[record.mount] = record.epoch
        self._ceiling.see(record.epoch)
        self._set_origin(record.mount, record)
        return True

    def remove_origin(self, mount: str, epoch: Epoch) -> None:
        """Removes the mount's origin if it has this epoch. The epoch still counts as seen."""
        held = self._origins.get(mount)
        if held is not None and held.epoch == epoch:
            self._set_origin(mount, None)

    def see(self, mount: str, epoch: Epoch) -> None:
        """Records that this epoch of the mount exists, and removes an origin with a lower one."""
        if epoch > self.highest(mount):
            self._highest[mount] = epoch
            self._ceiling.see(epoch)
            held = self._origins.get(mount)
            if held is not None and held.epoch < epoch:
                self._set_origin(mount, None)

    def origin(self, mount: str) -> OriginRecord | None:
        """Returns the mount's origin. Its node may no longer answer: `is_up` tells."""
        return self._origins.get(mount)

    @property
    def origins(self) -> tuple[OriginRecord, ...]:
        """All origins, by mount."""
        return tuple(self._origins[mount] for mount in sorted(self._origins))

    def origins_of(self, node: str) -> Iterator[OriginRecord]:
        """Returns the origins of one node, by mount."""
        return (self._origins[mount] for mount in sorted(self._by_node.get(node, ())))

    def count_origins(self, node: str) -> int:
        """Returns how many origins one node has."""
        return len(self._by_node.get(node, ()))

    def highest(self, mount: str) -> Epoch:
        """Returns the highest epoch of the mount that was ever seen."""
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
