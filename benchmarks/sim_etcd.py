"""Nodes with etcd in simulated time: the real `cache.py`, `etcd_records.py` and `probes.py`, over a dictionary with
revisions in place of etcd.

Each write goes to the watches of all nodes, in its order. Leases are renewed as in `session.py`, and end with their
keys. The messages that a node receives and sends are counted as JSON of etcd's gateway, without the headers of HTTP. As
in `sim_mesh.py`, only some of very many nodes are observers, and the others only write.
"""

import base64
import json
import random
import time
from dataclasses import replace

import gevent

from benchmarks.sim_mesh import ALL_OBSERVE, MOST_OBSERVERS, Timeline, make_records
from pycast.cluster.codec import encode
from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache
from pycast.cluster.etcd.client import Range, WatchEvent
from pycast.cluster.etcd.etcd_records import Entry, Keys
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.etcd.session import LEASE_S, RENEWALS
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import NO_EPOCH
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.net.group import Group

# A write is answered when it is on the disks of most members in three zones; then the watches are notified.
COMMIT_S, NOTIFY_S = (0.003, 0.01), (0.001, 0.005)
EXPIRY_S = (0.2, 0.5)  # after the end of a lease, until its keys go (measured with etcd 3.4)

_KEYS = Keys("radio")


class Watcher:
    """One node with its cache."""

    def __init__(self, network: "EtcdNetwork", record: NodeRecord) -> None:
        self.record = record
        self.state = ClusterState()
        self.messages = self.bytes = 0
        self.cpu_s = 0.0
        self.last = 0.0
        self.is_there = True
        probes = LivenessProbes(self.state, network.group, network.answers, lambda: network.now)
        self.cache = Cache(_KEYS, record, self.state, probes)
        self.state.put_node(record)


class EtcdNetwork(Timeline):
    """The nodes, not started yet."""

    def __init__(self, count: int, seed: int) -> None:
        super().__init__(random.Random(seed))
        self.group = Group()
        self.nodes = {record.node: record for record in make_records(count)}
        self.alive: set[str] = set()
        self.truth: dict[str, str] = {}
        self.writes = 0
        self.revision = 1
        self._data: dict[str, Entry] = {_KEYS.meta: Entry(_KEYS.meta, records.encode_meta(1), 1)}
        self._renewed: dict[str, float] = {}
        whole = count if count <= ALL_OBSERVE else MOST_OBSERVERS
        self._observed = set(list(self.nodes)[:whole])
        self.watchers: dict[str, Watcher] = {}

    def answers(self, node: NodeRecord) -> bool:
        """Whether a node that is probed answers."""
        return node.node in self.alive

    def start_all(self, within_s: float) -> None:
        """Registers all nodes, each at a random time."""
        for name in self.nodes:
            self.at(self.rng.uniform(0, within_s), self._start, name)

    def claim(self, mount: str, name: str) -> None:
        """Claims a mount for a node: a transaction, then events for all watches."""
        node = self.nodes[name]
        offer = OriginRecord(mount, name, node.boot, NO_EPOCH, 0, True, False, "audio/mpeg")
        self._broadcast(name, {"compare": [_KEYS.origin(mount)], "success": [encode(offer)]})
        value = records.encode_claim(offer, 1, "0123456789abcdef")
        self.at(self.rng.uniform(*COMMIT_S), self._claimed, mount, name, value)

    def die(self, names: list[str]) -> None:
        """Ends these nodes; their leases expire."""
        for name in names:
            self.alive.discard(name)
            if name in self.watchers:
                self.watchers[name].is_there = False
            rest = self._renewed[name] + LEASE_S - self.now
            self.at(max(rest, 0) + self.rng.uniform(*EXPIRY_S), self._expire, name)
        self.truth = {mount: name for mount, name in self.truth.items() if name in self.alive}

    @property
    def has_converged(self) -> bool:
        """Whether the state of all observers is right."""
        for watcher in self.watchers.values():
            if not watcher.is_there:
                continue
            if {node.node for node in watcher.state.up_nodes()} != self.alive:
                return False
            if {origin.mount: origin.node for origin in watcher.state.origins} != self.truth:
                return False
        return len(self.alive) > 0

    # -- etcd

    def _start(self, name: str) -> None:
        self.alive.add(name)
        self._renewed[name] = self.now
        self._broadcast(name, {"TTL": str(LEASE_S)})
        self._write(_KEYS.node(name), records.encode_node(self.nodes[name]))
        if name in self._observed:
            watcher = self.watchers[name] = Watcher(self, self.nodes[name])
            found = Range(self.revision, tuple(self._data.values()))
            self._on_change(watcher, {"kvs": [_kv(entry) for entry in found.entries]})
            self._timed(watcher, lambda: watcher.cache.take(found, 0))
        self.at(LEASE_S * RENEWALS, self._renew, name)

    def _renew(self, name: str) -> None:
        if name in self.alive:
            self._renewed[name] = self.now
            self._broadcast(name, {"ID": str(1 << 62)})
            if name in self.watchers:
                self._on_change(self.watchers[name], {"result": {"ID": str(1 << 62), "TTL": str(LEASE_S)}})
            self.at(LEASE_S * RENEWALS * self.rng.uniform(0.8, 1.0), self._renew, name)

    def _claimed(self, mount: str, name: str, value: bytes) -> None:
        entry = self._write(_KEYS.origin(mount), value)
        self.truth[mount] = name
        if name in self.watchers:  # a node ignores its own records in the watch
            self.watchers[name].state.put_origin(records.decode_origin(entry).record)

    def _write(self, key: str, value: bytes) -> Entry:
        self.revision += 1
        entry = self._data[key] = Entry(key, value, self.revision, 1)
        self._notify_watchers((WatchEvent(key, self.revision, entry),))
        return entry

    def _expire(self, name: str) -> None:
        """Deletes all keys of a lease in one revision."""
        self.revision += 1
        held = [_KEYS.node(name)]
        for key, entry in self._data.items():
            if _KEYS.maybe_mount(key) is not None and records.decode_origin(entry).record.node == name:
                held.append(key)
        for key in held:
            del self._data[key]
        self._notify_watchers(tuple(WatchEvent(key, self.revision, None) for key in held))

    def _notify_watchers(self, events: tuple[WatchEvent, ...]) -> None:
        self.writes += 1
        message = {"result": {"header": {"revision": str(self.revision)}, "events": [_event(one) for one in events]}}
        for watcher in self.watchers.values():
            if watcher.is_there:
                watcher.last = max(watcher.last + 1e-6, self.now + self.rng.uniform(*NOTIFY_S))
                self.at(watcher.last - self.now, self._arrive, watcher, events, message)

    def _arrive(self, watcher: Watcher, events: tuple[WatchEvent, ...], message: dict[str, object]) -> None:
        if watcher.is_there:
            self._on_change(watcher, message)
            self._timed(watcher, lambda: watcher.cache.take_events(events))
            for _ in range(3 if any(event.entry is None for event in events) else 0):
                gevent.sleep(0)  # runs the probes

    # -- books

    def _timed(self, watcher: Watcher, do: object) -> None:
        began = time.perf_counter()
        assert callable(do)
        do()
        watcher.cpu_s += time.perf_counter() - began

    def _broadcast(self, name: str, message: object) -> None:
        if name in self.watchers:
            self._on_change(self.watchers[name], message)

    def _on_change(self, watcher: Watcher, message: object) -> None:
        watcher.messages += 1
        watcher.bytes += len(json.dumps(message, separators=(",", ":")))


def _kv(entry: Entry) -> dict[str, object]:
    return {
        "key": base64.b64encode(entry.key.encode()).decode(),
        "create_revision": str(entry.revision),
        "mod_revision": str(entry.revision),
        "version": "1",
        "value": base64.b64encode(entry.value).decode(),
        "lease": str(1 << 62),
    }


def _event(event: WatchEvent) -> dict[str, object]:
    if event.entry is None:
        gone = replace(Entry(event.key, b"", event.revision))
        return {"type": "DELETE", "kv": {"key": _kv(gone)["key"], "mod_revision": str(event.revision)}}
    return {"kv": _kv(event.entry)}
