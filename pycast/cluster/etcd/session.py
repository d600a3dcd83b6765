"""One node's life in etcd: registers it, follows the others, keeps what etcd has of it.

Joining is one act: read everything, hold a lease, register, settle this node's mounts. Whatever goes wrong later (no
answer, lease lost, watch that cannot be resumed, generation raised) leads back to it, again and again until it is done;
meanwhile the table stays as it is, nodes are asked directly whether they are alive, and claims are provisional.

Four loops: `_follow` joins and has the watch read, `_renew` keeps the lease, `_reconcile` writes this node's mounts,
`_report` its record. Nobody ever waits for one of them.
"""

import logging
from collections.abc import Callable
from random import Random

import gevent
from gevent.event import Event

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache, MetaChanged, Restored
from pycast.cluster.etcd.claims import Claims
from pycast.cluster.etcd.client import (
    EtcdClient,
    EtcdError,
    EtcdUnreachable,
    LeaseGone,
    WatchBroken,
    absent,
    get,
    put,
    unchanged,
)
from pycast.cluster.etcd.etcd_records import Keys, NodeEntry
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.registry.records import NodeRecord
from pycast.cluster.registry.registry import DuplicateNode
from pycast.net.group import Group, Task

log = logging.getLogger(__name__)

# Ten seconds: nobody waits for it, because a node that is gone is asked before its mounts are claimed; and a node that
# renews every three has two more tries.
LEASE_S = 10
RENEWALS = 0.3
JITTER = 0.2
# From one try to join to the next while etcd is away, and while it answers.
PAUSE_S = 1.0
SHORT_PAUSE_S = 0.3
REPORT_EVERY_S = 2.0


class Session:
    """Between a node's start and its stop."""

    def __init__(
        self,
        client: EtcdClient,
        keys: Keys,
        node: NodeRecord,
        group: Group,
        cache: Cache,
        probes: LivenessProbes,
        clock: Callable[[], float],
        rng: Random,
        lease_s: int,
    ) -> None:
        self.is_up = False
        """Whether etcd answers, and what it says is taken."""
        self.cache = cache
        self.claims = Claims(client, keys, node, cache, rng)
        self._client = client
        self._keys = keys
        self._node = node
        self._group = group
        self._probes = probes
        self._clock = clock
        self._rng = rng
        self._lease_s = lease_s
        self._tasks: list[Task] = []
        self._has_changed = Event()
        self._trouble = Event()
        self._joined_at = clock()
        self._complaint: type[Exception] | None = None

    def start(self) -> None:
        """Begins the loops."""
        loops = {"follow": self._follow, "renew": self._renew, "settle": self._reconcile, "report": self._report}
        self._tasks = [self._group.spawn_forever(f"etcd {name}", run) for name, run in loops.items()]

    def stop(self, time_s: float) -> None:
        """Ends the loops, and takes this node with its mounts out."""
        gevent.killall(self._tasks, timeout=1.0)
        self._tasks = []
        self._probes.forget()
        was_up, self.is_up = self.is_up, False
        try:
            with gevent.Timeout(time_s, EtcdUnreachable("no time")):
                if was_up:
                    self._write_node(self.cache.nodes.get(self._node.node), is_leaving=True)
                    self._client.revoke(self.claims.lease)
        except EtcdError as error:
            log.info("this node could not take itself out of the registry: %s", error)
        self._client.close()

    def update(self, node: NodeRecord) -> None:
        """The node's record has changed. Never switches."""
        self._node = node
        self._has_changed.set()

    def failed(self, error: Exception) -> None:
        """A call has failed: all is read anew. Never switches."""
        was_known = self._trouble.is_set()
        self._trouble.set()
        if isinstance(error, EtcdUnreachable | Restored | DuplicateNode):
            self.is_up = False
            self._complain(error)
            for peer in self.cache.others():
                self._probes.probe(peer.record.node)
        elif not was_known:
            log.info("the registry is read anew: %s", error)

    # -- joining

    def join(self) -> None:
        """Raises EtcdError, DuplicateNode."""
        self._trouble.clear()
        self._joined_at = self._clock()
        floor = self.cache.revision
        try:
            self.cache.take(self._client.range(self._keys.prefix), floor)
        except MetaChanged:
            # The first node of the cluster.
            self._client.txn([absent(self._keys.meta)], [put(self._keys.meta, records.encode_meta(1))])
            self.cache.take(self._client.range(self._keys.prefix), floor)
        self._hold_lease()
        self._register()
        self.claims.plan_all()
        self._has_changed.set()  # what it was told meanwhile
        self.is_up = True
        if self._complaint is not None:
            log.info("the registry is back")
            self._complaint = None

    def _hold_lease(self) -> None:
        if self.claims.lease:
            try:
                self._client.keep_alive(self.claims.lease)
                return
            except LeaseGone:
                log.info("this node's lease has expired: it registers anew")
        self.claims.lease = self._client.grant(self._lease_s)

    def _register(self) -> None:
        if self._is_registered():
            return
        there = self.cache.nodes.get(self._node.node)
        if there is not None and there.record.boot != self._node.boot and self._is_alive(there):
            raise DuplicateNode(f"another process is node {self._node.node!r}, at {there.record.address}")
        if not self._write_node(there):
            raise EtcdError("another process registers with this node's name")

    def _is_registered(self) -> bool:
        there = self.cache.nodes.get(self._node.node)
        return there is not None and there.record.boot == self._node.boot and there.lease == self.claims.lease

    def _is_alive(self, other: NodeEntry) -> bool:
        """Whether another process that has registered with this node's name still runs.

        One that does not answer may be cut from us only: it is alive if its lease was renewed lately. But not at our
        own address: there it was this node's earlier life.
        """
        if other.is_leaving:
            return False
        if self._probes.asked(other.record):
            return True
        if other.record.address == self._node.address:
            return False
        return self._client.time_to_live(other.lease) > self._lease_s * (1 - RENEWALS * (1 + JITTER)) - 1

    def _write_node(self, there: NodeEntry | None, is_leaving: bool = False) -> bool:
        """Whether the node's key was as known, and is written."""
        node, lease = self._node, self.claims.lease
        key, value = self._keys.node(node.node), records.encode_node(node, is_leaving)
        guard = unchanged(key, there.revision if there is not None else 0)
        outcome = self._client.txn([guard], [put(key, value, lease)], [get(key)])
        if outcome.is_done:
            self.cache.nodes[node.node] = NodeEntry(node, outcome.revision, lease, is_leaving)
            return True
        self.cache.apply_answer(key, outcome.entries, outcome.revision)
        now = self.cache.nodes.get(node.node)
        # True for a write of ours whose answer was lost.
        return now is not None and (now.record, now.lease, now.is_leaving) == (node, lease, is_leaving)

    # -- loops

    def _follow(self) -> None:
        """Joins if something is wrong, and has the watch read until something is."""
        while True:
            if not self.is_up or self._trouble.is_set():
                pause = self._about(SHORT_PAUSE_S if self.is_up else PAUSE_S)
                gevent.sleep(max(self._joined_at + pause - self._clock(), 0))
                try:
                    self.join()
                except (EtcdError, DuplicateNode) as error:
                    self.failed(error)
                    continue
            watch = self._group.spawn("etcd watch", self._watch)
            watch.rawlink(lambda _: self._trouble.set())
            try:
                self._trouble.wait()
            finally:
                watch.kill()

    def _watch(self) -> None:
        """Follows what happens, on one member after the other, until none has a watch or all is to be read anew."""
        failed = 0
        while failed <= len(self._client):
            failed += 1
            try:
                for note in self._client.watch(self._keys.prefix, self.cache.read_to + 1):
                    failed = 0
                    if note.revision < self.cache.read_to:
                        return  # this member lags, or etcd is older than it was: joining finds out
                    for mount in self.cache.take_events(note.events):
                        self.claims.plan(mount)
                    if not self._is_registered():
                        return  # somebody has taken this node out
            except WatchBroken as error:
                log.debug("! registry: %s", error)
            except EtcdError as error:
                self.failed(error)
                return
        self.failed(EtcdUnreachable("no member has a watch"))

    def _renew(self) -> None:
        while True:
            gevent.sleep(self._about(RENEWALS * self._lease_s))
            if self.is_up:
                try:
                    self._client.keep_alive(self.claims.lease)
                except EtcdError as error:
                    self.failed(error)
                if self._client.is_watch_doubtful:
                    self._trouble.set()

    def _reconcile(self) -> None:
        while True:
            self.claims.is_due.wait()
            self.claims.is_due.clear()
            if self.is_up and not self._trouble.is_set():  # otherwise joining plans everything anew
                try:
                    self.claims.reconcile_all()
                except EtcdError as error:
                    self.failed(error)

    def _report(self) -> None:
        """Writes this node's record when it has changed enough, at most every REPORT_EVERY_S."""
        while True:
            self._has_changed.wait()
            self._has_changed.clear()
            if self.is_up:
                try:
                    self._write_changes()
                except EtcdError as error:
                    self.failed(error)
            gevent.sleep(REPORT_EVERY_S)

    def _write_changes(self) -> None:
        there = self.cache.nodes.get(self._node.node)
        if there is None or not self._is_registered():
            self._trouble.set()
        elif records.has_moved(there.record, self._node) and not self._write_node(there):
            self._has_changed.set()

    def _about(self, seconds: float) -> float:
        """So that many nodes do not do it at the same moment."""
        return seconds * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def _complain(self, error: Exception) -> None:
        """Once for each kind of trouble."""
        if self._complaint is type(error) or (self._complaint is not None and isinstance(error, EtcdUnreachable)):
            return
        self._complaint = type(error)
        if isinstance(error, Restored):
            log.error(
                "the registry went backward: %s. Nothing of it is taken until its generation is raised, in %s",
                error,
                self._keys.meta,
            )
        elif isinstance(error, DuplicateNode):
            log.error("not registered: %s", error)
        else:
            log.error("the registry is lost: %s", error)
