"""A node's session in etcd: registers the node, follows the others, and keeps this node's keys up to date.

To join is one step: read everything, get a lease, register, plan to reconcile this node's mounts. Any later failure (no
answer, a lost lease, a watch that cannot be resumed, a raised generation) leads back to it, and it is repeated until it
succeeds. While etcd does not answer the cluster's state stays as it is, nodes are asked directly whether they are alive
(`probes.py`), and claims are provisional.

There are four loops: `_follow` joins and runs the watch, `_renew` renews the lease, `_reconcile` writes this node's
mounts, `_report` its record. No other part waits for one of them.
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

# Nothing waits for a lease to expire: the owner of a mount is asked before the mount is claimed. A node that renews its
# lease every three seconds has two more tries.
LEASE_S = 10
RENEWALS = 0.3
JITTER = 0.2
# Between two tries to join: while etcd does not answer, and while it does.
PAUSE_S = 1.0
SHORT_PAUSE_S = 0.3
REPORT_EVERY_S = 2.0


class Session:
    """The work of a node in etcd between its start and its stop."""

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
        """Whether etcd answers and this node is registered there."""
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
        loops = {"follow": self._follow, "renew": self._renew, "reconcile": self._reconcile, "report": self._report}
        self._tasks = [self._group.spawn_forever(f"etcd {name}", run) for name, run in loops.items()]

    def stop(self, time_s: float) -> None:
        """Ends the loops, and removes this node and its mounts from etcd. May switch, for `time_s` and a second."""
        gevent.killall(self._tasks, timeout=1.0)
        self._tasks = []
        self._probes.cancel_all()
        was_up, self.is_up = self.is_up, False
        try:
            with gevent.Timeout(time_s, EtcdUnreachable("no time")):
                if was_up:
                    self._write_node(self.cache.nodes.get(self._node.node), is_leaving=True)
                    self._client.revoke(self.claims.lease)
        except EtcdError as error:
            log.info("this node could not be removed from the registry: %s", error)
        self._client.close()

    def update(self, node: NodeRecord) -> None:
        """Sets this node's record, to be written. Never switches."""
        self._node = node
        self._has_changed.set()

    def failed(self, error: Exception) -> None:
        """Notes that a call has failed: everything is read again. Never switches."""
        was_known = self._trouble.is_set()
        self._trouble.set()
        if isinstance(error, EtcdUnreachable | Restored | DuplicateNode):
            self.is_up = False
            self._complain(error)
            for peer in self.cache.others():
                self._probes.probe(peer.record.node)
        elif not was_known:
            log.info("the registry is read again: %s", error)

    # -- joining

    def join(self) -> None:
        """Reads everything, gets a lease, and registers this node. Raises EtcdError, DuplicateNode. May switch."""
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
        self._has_changed.set()  # the record may have changed meanwhile
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
                log.info("this node's lease has expired: it registers again")
        self.claims.lease = self._client.grant(self._lease_s)

    def _register(self) -> None:
        if self._is_registered():
            return
        stored = self.cache.nodes.get(self._node.node)
        if stored is not None and stored.record.boot != self._node.boot and self._is_alive(stored):
            raise DuplicateNode(f"another process is node {self._node.node!r}, at {stored.record.address}")
        if not self._write_node(stored):
            raise EtcdError("another process registers with this node's name")

    def _is_registered(self) -> bool:
        stored = self.cache.nodes.get(self._node.node)
        return stored is not None and stored.record.boot == self._node.boot and stored.lease == self.claims.lease

    def _is_alive(self, other: NodeEntry) -> bool:
        """Whether another process that has registered with this node's name still runs. May switch.

        One that does not answer may be cut off from this node only: it counts as alive if its lease was renewed lately.
        At this node's own address it was an earlier process of this node, and is gone.
        """
        if other.is_leaving:
            return False
        if self._probes.is_alive(other.record):
            return True
        if other.record.address == self._node.address:
            return False
        return self._client.time_to_live(other.lease) > self._lease_s * (1 - RENEWALS * (1 + JITTER)) - 1

    def _write_node(self, stored: NodeEntry | None, is_leaving: bool = False) -> bool:
        """Writes the node's key if it is as this node knows it. Returns whether it was written. May switch."""
        node, lease = self._node, self.claims.lease
        key, value = self._keys.node(node.node), records.encode_node(node, is_leaving)
        guard = unchanged(key, stored.revision if stored is not None else 0)
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
        """Joins again after each failure, and runs the watch until the next one."""
        while True:
            if not self.is_up or self._trouble.is_set():
                pause = self._jittered(SHORT_PAUSE_S if self.is_up else PAUSE_S)
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
        """Applies events, of one member after the other, until none has a watch or everything has to be read again."""
        failed = 0
        while failed <= len(self._client):
            failed += 1
            try:
                for note in self._client.watch(self._keys.prefix, self.cache.read_to + 1):
                    failed = 0
                    if note.revision < self.cache.read_to:
                        return  # this member lags, or etcd went backward: joining finds out which
                    for mount in self.cache.take_events(note.events):
                        self.claims.plan(mount)
                    if not self._is_registered():
                        return  # this node's key was deleted or replaced
            except WatchBroken as error:
                log.debug("! registry: %s", error)
            except EtcdError as error:
                self.failed(error)
                return
        self.failed(EtcdUnreachable("no member has a watch"))

    def _renew(self) -> None:
        while True:
            gevent.sleep(self._jittered(RENEWALS * self._lease_s))
            if self.is_up:
                try:
                    self._client.keep_alive(self.claims.lease)
                except EtcdError as error:
                    self.failed(error)
                if self._client.is_watch_suspect:
                    self._trouble.set()

    def _reconcile(self) -> None:
        while True:
            self.claims.is_due.wait()
            self.claims.is_due.clear()
            if self.is_up and not self._trouble.is_set():  # otherwise joining plans everything again
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
        stored = self.cache.nodes.get(self._node.node)
        if stored is None or not self._is_registered():
            self._trouble.set()
        elif records.has_moved(stored.record, self._node) and not self._write_node(stored):
            self._has_changed.set()

    def _jittered(self, seconds: float) -> float:
        """Returns a random time near `seconds`, so that nodes do not act at the same moment."""
        return seconds * self._rng.uniform(1 - JITTER, 1 + JITTER)

    def _complain(self, error: Exception) -> None:
        """Logs the error, once for each kind."""
        if self._complaint is type(error) or (self._complaint is not None and isinstance(error, EtcdUnreachable)):
            return
        self._complaint = type(error)
        if isinstance(error, Restored):
            log.error(
                "the registry went backward: %s. Nothing of it is accepted until its generation is raised, in %s",
                error,
                self._keys.meta,
            )
        elif isinstance(error, DuplicateNode):
            log.error("not registered: %s", error)
        else:
            log.error("the registry is lost: %s", error)
