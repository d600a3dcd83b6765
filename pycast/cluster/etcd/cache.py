"""This node's copy of what etcd holds, and how it gets into the cluster's state.

Two rules hold here. The registry does not go backward: one with a lower generation than was seen, or with a lower
revision in the same generation, was restored from an old backup. Nothing of it is accepted (`Restored`) until an
operator has raised the generation. And a missing key is not enough to remove a node: it is probed first (`probes.py`).
An origin whose key is missing is removed at once only if its node is registered, and few are missing: then the node
has given it up.

This node's own records do not come from here: `claims.py` has its mounts, the driver its node record.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.client import EtcdError, Range, WatchEvent
from pycast.cluster.etcd.etcd_records import Entry, Keys, NodeEntry, OriginEntry
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.registry.cluster_state import ClusterState, Peer
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.state_file import Position

log = logging.getLogger(__name__)

# Fewer mounts than this may well be given up at once. So many, if they are most of those known, are more likely a
# mistake of the registry.
FEW = 3


class Restored(EtcdError):
    """The error of a registry that is older than what was seen of it."""


class MetaChanged(EtcdError):
    """The error of a generation that was written, or is not there yet: everything has to be read again."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The registry's generation, and the revision of the write that set it."""

    generation: int
    revision: int


class Cache:
    """The nodes and origins as in etcd."""

    def __init__(self, keys: Keys, me: NodeRecord, state: ClusterState, probes: LivenessProbes) -> None:
        self.nodes: dict[str, NodeEntry] = {}
        self.origins: dict[str, OriginEntry] = {}
        self.meta = Meta(0, 0)
        self.revision = 0
        """The highest revision that was seen."""
        self.read_to = 0
        """All events up to this revision are included."""
        self._keys = keys
        self._me = me
        self.state = state
        self._probes = probes

    @property
    def position(self) -> Position:
        """The generation, and the highest revision that was seen."""
        return Position(self.meta.generation, self.revision)

    def expect(self, position: Position) -> None:
        """Sets the position that an earlier run of this node has seen."""
        self.meta = Meta(position.generation, 0)
        self.revision = position.revision

    def check(self, revision: int, floor: int) -> None:
        """Notes the revision of an answer. `floor` is the highest revision that was seen when the question was sent.
        All members agree on such answers, so a lower revision means older data. Raises Restored.
        """
        if revision < floor:
            raise Restored(f"its revision is {revision}, and was {floor}")
        self.revision = max(self.revision, revision)

    def take(self, found: Range, floor: int) -> None:
        """Replaces everything with what was read. Raises Restored, and MetaChanged if there is no generation yet."""
        self._check_meta(found, floor)
        entries = {entry.key: entry for entry in found.entries}
        self.nodes, self.origins = {}, {}
        for entry in entries.values():
            self._put(entry)
        self._follow_nodes()
        gone = [origin for origin in self.state.origins if origin.mount not in self.origins]
        self._on_missing(origin for origin in gone if not self.is_ours(origin))

    def take_events(self, events: Iterable[WatchEvent]) -> list[str]:
        """Applies events of the watch. Returns the mounts whose key this node has, or had, to be reconciled. Raises
        MetaChanged.
        """
        missing, ours = [], []
        # When a lease expires all its keys go in one revision. The node comes before its origins, so that an origin is
        # judged by whether its node is still registered.
        for event in sorted(events, key=lambda one: (one.revision, self._keys.maybe_node(one.key) is None)):
            self.read_to = max(self.read_to, event.revision)
            self.revision = max(self.revision, event.revision)
            # With a new generation nothing that follows may be trusted until all is read again.
            if event.key == self._keys.meta:
                raise MetaChanged("the generation was written")
            # Apply the event, and compare the mount's origin before and after.
            mount = self._keys.maybe_mount(event.key)
            known = self.state.origin(mount) if mount is not None else None
            before = self.origins.get(mount) if mount is not None else None
            self.apply(event)
            after = self.origins.get(mount) if mount is not None else None
            # An origin of another node has lost its key.
            if known is not None and after is None and not self.is_ours(known):
                missing.append(known)
            # A key of this node, written or deleted by any process.
            if mount is not None and any(one and one.record.node == self._me.node for one in (before, after)):
                ours.append(mount)
        # All missing ones together, because their number counts; without those that a later event brought back.
        self._on_missing(origin for origin in missing if origin.mount not in self.origins)
        return ours

    def apply(self, event: WatchEvent) -> None:
        """Applies a change of one key, unless a newer one is known."""
        node, mount = self._keys.maybe_node(event.key), self._keys.maybe_mount(event.key)
        known = self.nodes.get(node) if node is not None else self.origins.get(mount) if mount is not None else None
        if known is not None and event.revision < known.revision:
            return
        if event.entry is not None:
            self._put(event.entry)
        elif node is not None:
            self.nodes.pop(node, None)
            if node != self._me.node and self.state.peer(node) is not None:
                self._probes.on_node_missing(node)
        elif mount is not None:
            self.origins.pop(mount, None)

    def apply_answer(self, key: str, entries: Iterable[Entry], revision: int) -> None:
        """Applies what a failed transaction has read in `key`."""
        entry = next((one for one in entries if one.key == key), None)
        self.apply(WatchEvent(key, entry.revision if entry is not None else revision, entry))

    def others(self) -> list[Peer]:
        """Returns the nodes in the cluster's state, without this one."""
        return [peer for peer in self.state.peers if peer.record.node != self._me.node]

    def is_ours(self, origin: OriginRecord) -> bool:
        """Whether this process, not only this node, has written the origin."""
        return origin.node == self._me.node and origin.boot == self._me.boot

    def _check_meta(self, found: Range, floor: int) -> None:
        entry = next((one for one in found.entries if one.key == self._keys.meta), None)
        seen = self.meta
        if entry is None:
            if seen.generation:
                raise Restored(f"it has no generation, and had {seen.generation}")
            raise MetaChanged("there is no generation yet")
        try:
            meta = Meta(records.decode_meta(entry), entry.revision)
        except ValueError as error:
            raise Restored(f"its generation cannot be read: {error}") from error
        if meta.generation < seen.generation:
            raise Restored(f"its generation is {meta.generation}, and was {seen.generation}")
        if meta.generation == seen.generation:
            self.check(found.revision, floor)
        else:
            self.revision = found.revision
        self.meta, self.read_to = meta, found.revision

    def _put(self, entry: Entry) -> None:
        node, mount = self._keys.maybe_node(entry.key), self._keys.maybe_mount(entry.key)
        try:
            if node is not None:
                self._put_node(node, records.decode_node(entry))
            elif mount is not None:
                self._put_origin(mount, records.decode_origin(entry))
        except ValueError as error:
            log.warning("cannot read a key of the registry: %s: %s", entry.key[:200], error)

    def _put_node(self, name: str, node: NodeEntry) -> None:
        if node.record.node != name:
            raise ValueError(f"it is of {node.record.node!r}")
        self.nodes[name] = node
        if name == self._me.node:
            return
        was_gone = self._probes.on_node_present(name)
        if node.is_leaving:
            self.state.remove_node(name)
            return
        self.state.put_node(node.record)
        if was_gone:
            # The node has registered again. An origin that it does not write again it has given up meanwhile.
            for origin in self.state.origins_of(name):
                if origin.mount not in self.origins:
                    self._probes.on_origin_missing(name, origin.mount, origin.epoch)

    def _put_origin(self, mount: str, origin: OriginEntry) -> None:
        if origin.record.mount != mount:
            raise ValueError(f"it is of {origin.record.mount!r}")
        self.origins[mount] = origin
        self._probes.on_origin_present(origin.record.node, mount)
        if origin.record.node != self._me.node:
            self.state.put_origin(origin.record)
        elif not self.is_ours(origin.record):
            # An earlier process of this node wrote it: the mount has no owner now, but its epoch is used.
            self.state.see(mount, origin.record.epoch)

    def _follow_nodes(self) -> None:
        for peer in self.others():
            if peer.record.node not in self.nodes:
                self._probes.on_node_missing(peer.record.node)

    def _on_missing(self, origins: Iterable[OriginRecord]) -> None:
        """Decides about origins without a key: given up, lost with their node, or lost by accident."""
        missing = list(origins)
        known = sum(1 for origin in self.state.origins if not self.is_ours(origin))
        are_many = len(missing) >= FEW and len(missing) * 2 > known
        for origin in missing:
            node = self.nodes.get(origin.node)
            if node is None and self.state.peer(origin.node) is not None:
                continue  # its node is probed, and the origin is kept or removed with it
            if are_many and node is not None and node.record.boot == origin.boot:
                self._probes.on_origin_missing(origin.node, origin.mount, origin.epoch)
            else:
                self.state.remove_origin(origin.mount, origin.epoch)
