"""What etcd has, as far as this node has heard, and how it comes into the table.

Two rules stand here. What was seen does not go backward: a registry with a lower generation than one seen, or with a
lower revision in the same generation, was restored from an old backup, and nothing of it is taken (`Restored`) until an
operator has raised the generation. And nothing is removed from the table because it is missing, save for what its own
node took out: the rest is in doubt first (`probes.py`).

This node's own records are not taken from here: what they are, their owner knows (`claims.py`).
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

# Fewer mounts than that may well go at once; more, and most of those known, is rather the registry's fault.
FEW = 3


class Restored(EtcdError):
    """The registry is older than what was seen of it."""


class MetaChanged(EtcdError):
    """The generation was written: everything is to be read anew."""


@dataclass(frozen=True, slots=True)
class Meta:
    """The registry's generation, and the revision of the write that set it."""

    generation: int
    revision: int


class Cache:
    """Nodes and origins as in etcd."""

    def __init__(self, keys: Keys, me: NodeRecord, state: ClusterState, probes: LivenessProbes) -> None:
        self.nodes: dict[str, NodeEntry] = {}
        self.origins: dict[str, OriginEntry] = {}
        self.meta = Meta(0, 0)
        self.revision = 0
        """The highest that was seen."""
        self.read_to = 0
        """What happened up to this revision is in here."""
        self._keys = keys
        self._me = me
        self.state = state
        self._probes = probes

    @property
    def position(self) -> Position:
        """How far the registry is."""
        return Position(self.meta.generation, self.revision)

    def expect(self, position: Position) -> None:
        """An earlier run of this node has seen that."""
        self.meta = Meta(position.generation, 0)
        self.revision = position.revision

    def check(self, revision: int, floor: int) -> None:
        """An answer that all members agree on has this revision; `floor` was seen when it was asked for.

        Raises Restored.
        """
        if revision < floor:
            raise Restored(f"its revision is {revision}, and was {floor}")
        self.revision = max(self.revision, revision)

    def take(self, found: Range, floor: int) -> None:
        """Everything that is there. Raises Restored, and MetaChanged if there is no generation yet."""
        self._check_meta(found, floor)
        entries = {entry.key: entry for entry in found.entries}
        self.nodes, self.origins = {}, {}
        for entry in entries.values():
            self._put(entry)
        self._follow_nodes()
        gone = [origin for origin in self.state.origins if origin.mount not in self.origins]
        self._on_missing(origin for origin in gone if not self.is_ours(origin))

    def take_events(self, events: Iterable[WatchEvent]) -> list[str]:
        """What has happened; gives the mounts that are this node's business. Raises MetaChanged."""
        missing, ours = [], []
        # Of a lease that has expired all keys go at once: first the node, then what it had.
        for event in sorted(events, key=lambda one: (one.revision, self._keys.maybe_node(one.key) is None)):
            self.read_to = max(self.read_to, event.revision)
            self.revision = max(self.revision, event.revision)
            if event.key == self._keys.meta:
                raise MetaChanged("the generation was written")
            mount = self._keys.maybe_mount(event.key)
            known = self.state.origin(mount) if mount is not None else None
            before = self.origins.get(mount) if mount is not None else None
            self.apply(event)
            after = self.origins.get(mount) if mount is not None else None
            if known is not None and after is None and not self.is_ours(known):
                missing.append(known)
            if mount is not None and any(one and one.record.node == self._me.node for one in (before, after)):
                ours.append(mount)
        self._on_missing(origin for origin in missing if origin.mount not in self.origins)
        return ours

    def apply(self, event: WatchEvent) -> None:
        """One key as it is now, unless something newer is known of it."""
        node, mount = self._keys.maybe_node(event.key), self._keys.maybe_mount(event.key)
        known = self.nodes.get(node) if node is not None else self.origins.get(mount) if mount is not None else None
        if known is not None and event.revision < known.revision:
            return
        if event.entry is not None:
            self._put(event.entry)
        elif node is not None:
            self.nodes.pop(node, None)
            if node != self._me.node and self.state.peer(node) is not None:
                self._probes.gone(node)
        elif mount is not None:
            self.origins.pop(mount, None)

    def apply_answer(self, key: str, entries: Iterable[Entry], revision: int) -> None:
        """What a failed transaction has found in `key`."""
        entry = next((one for one in entries if one.key == key), None)
        self.apply(WatchEvent(key, entry.revision if entry is not None else revision, entry))

    def others(self) -> list[Peer]:
        """The nodes in the table without this one."""
        return [peer for peer in self.state.peers if peer.record.node != self._me.node]

    def is_ours(self, origin: OriginRecord) -> bool:
        """Whether this very process wrote it."""
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
            log.warning("not understood in the registry: %s: %s", entry.key[:200], error)

    def _put_node(self, name: str, node: NodeEntry) -> None:
        if node.record.node != name:
            raise ValueError(f"it is of {node.record.node!r}")
        self.nodes[name] = node
        if name == self._me.node:
            return
        was_gone = self._probes.node_settled(name)
        if node.is_leaving:
            self.state.remove_node(name)
            return
        self.state.put_node(node.record)
        if was_gone:
            # It is back: what it had and does not put back, it has given up meanwhile.
            for origin in self.state.origins_of(name):
                if origin.mount not in self.origins:
                    self._probes.origin_gone(name, origin.mount, origin.epoch)

    def _put_origin(self, mount: str, origin: OriginEntry) -> None:
        if origin.record.mount != mount:
            raise ValueError(f"it is of {origin.record.mount!r}")
        self.origins[mount] = origin
        self._probes.origin_settled(origin.record.node, mount)
        if origin.record.node != self._me.node:
            self.state.put_origin(origin.record)
        elif not self.is_ours(origin.record):
            # An earlier process of this name had it: nobody has it now, and its epoch is used.
            self.state.see(mount, origin.record.epoch)

    def _follow_nodes(self) -> None:
        for peer in self.others():
            if peer.record.node not in self.nodes:
                self._probes.gone(peer.record.node)

    def _on_missing(self, origins: Iterable[OriginRecord]) -> None:
        """Their keys are gone: given up by a node that is there, or lost with it, or by accident."""
        missing = list(origins)
        known = sum(1 for origin in self.state.origins if not self.is_ours(origin))
        are_many = len(missing) >= FEW and len(missing) * 2 > known
        for origin in missing:
            node = self.nodes.get(origin.node)
            if node is None and self.state.peer(origin.node) is not None:
                continue  # its node is asked, and it goes or stays with it
            if are_many and node is not None and node.record.boot == origin.boot:
                self._probes.origin_gone(origin.node, origin.mount, origin.epoch)
            else:
                self.state.remove_origin(origin.mount, origin.epoch)
