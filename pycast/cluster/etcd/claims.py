"""This node's mounts in etcd: claims them, and keeps their keys as they should be.

Apart from a claim itself, `reconcile_all` is the only way to write them. For each planned mount it compares what this
node has with what etcd has, and makes the one guarded write that brings them together. It does not matter why they
differ: the mount has changed or was released, etcd did not answer when it was claimed, the lease or an answer was lost.
If another node has a higher epoch nothing is written: that origin goes into the cluster's state, whose signal makes
this node give the mount up (`on_highest`).

The one invariant: each write is guarded by the key's last known revision and by the generation, so no key is
overwritten unseen.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from gevent.event import Event

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache, MetaChanged
from pycast.cluster.etcd.client import BUDGET_S, EtcdClient, EtcdUnreachable, Outcome, delete, get, put, unchanged
from pycast.cluster.etcd.etcd_records import Entry, Keys, OriginEntry
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held

# How often a guarded write that failed is tried again, with what it has found in the key. Then a claim fails, and a
# reconciliation is planned again.
TRIES = 5


class Claims:
    """The mounts that this node has claimed and not given up."""

    def __init__(self, client: EtcdClient, keys: Keys, me: NodeRecord, cache: Cache, rng: Random) -> None:
        self.lease = 0
        self.is_due = Event()
        """Set when a mount is planned to be reconciled."""
        self._client = client
        self._keys = keys
        self._me = me
        self._state = cache.state
        self._cache = cache
        self._rng = rng
        self._mine: dict[str, OriginRecord] = {}
        self._claiming: set[str] = set()
        self._due: dict[str, None] = {}

    def claim(self, offer: OriginRecord, over: Epoch, clock: Callable[[], float]) -> Claimed | Held:
        """Claims a mount. Raises EtcdError if etcd could not decide it. May switch, for BUDGET_S at most."""
        deadline = clock() + BUDGET_S
        self._claiming.add(offer.mount)
        try:
            result = self._claim(offer, over, lambda: deadline - clock())
        finally:
            self._claiming.discard(offer.mount)
            self.plan(offer.mount)
        if isinstance(result, OriginEntry):
            self._hold(result.record)
            return Claimed(result.record.epoch)
        return result

    def claim_provisionally(self, offer: OriginRecord, over: Epoch) -> Claimed:
        """Claims a mount without etcd: the epoch is just above the highest one known. Never switches."""
        highest = max(over, self._state.highest(offer.mount))
        generation = max(highest.generation, self._cache.meta.generation)
        epoch = Epoch(generation, highest.number, highest.rank + 1, self._me.node)
        self._hold(replace(offer, epoch=epoch, is_provisional=True))
        self.plan(offer.mount)
        return Claimed(epoch, is_provisional=True)

    def publish(self, origin: OriginRecord) -> None:
        """Plans to write a changed origin of this node. Never switches."""
        held = self._mine.get(origin.mount)
        if held is not None and held.epoch == origin.epoch:
            self._hold(replace(origin, is_provisional=held.is_provisional))
            self.plan(origin.mount)

    def release(self, mount: str, epoch: Epoch) -> None:
        """Gives a mount up and plans to delete its key. Never switches."""
        held = self._mine.get(mount)
        if held is not None and held.epoch == epoch:
            del self._mine[mount]
            self._state.remove_origin(mount, epoch)
            self.plan(mount)

    def plan(self, mount: str) -> None:
        """Plans to reconcile a mount."""
        self._due[mount] = None
        self.is_due.set()

    def plan_all(self) -> None:
        """Plans to reconcile all mounts of this node: those that it has, and those that it has in etcd."""
        stored = [mount for mount, origin in self._cache.origins.items() if origin.record.node == self._me.node]
        for mount in (*self._mine, *stored):
            self.plan(mount)

    def reconcile_all(self) -> None:
        """Reconciles the planned mounts. Raises EtcdError; the rest stays planned. May switch."""
        while self._due:
            mount = next(iter(self._due))
            del self._due[mount]
            try:
                self._reconcile(mount)
            except BaseException:
                self._due[mount] = None
                raise

    # -- what this node has

    def _hold(self, record: OriginRecord) -> None:
        self._mine[record.mount] = record
        if not self._state.put_origin(record):
            self.on_highest(record.mount)

    def on_highest(self, mount: str) -> None:
        """Gives up a mount of which a higher epoch was seen. Never switches."""
        held = self._mine.get(mount)
        if held is not None and held.epoch < self._state.highest(mount):
            del self._mine[mount]
            self._state.remove_origin(mount, held.epoch)
            self.plan(mount)

    # -- what etcd has

    def _claim(self, offer: OriginRecord, over: Epoch, left: Callable[[], float]) -> OriginEntry | Held:
        token = self._token()
        for _ in range(TRIES):
            highest, stored = self._state.highest(offer.mount), self._cache.origins.get(offer.mount)
            # Our own write of an earlier try, whose answer was lost.
            if stored is not None and stored.claim == token:
                return stored
            # Another node has the mount in a higher epoch than the one that this claim follows.
            if stored is not None and stored.record.epoch > over and not self._cache.is_ours(stored.record):
                return Held(max(highest, stored.record.epoch), stored.record)
            if highest > over:
                return Held(highest, self._state.origin(offer.mount))
            # Write the key if it is as known; if not, its new value is known for the next try.
            written = self._write(offer, token, stored, left())
            if written is not None:
                return written
        raise EtcdUnreachable(f"{offer.mount} changes too fast")

    def _reconcile(self, mount: str) -> None:
        for _ in range(TRIES):
            stored, wanted = self._cache.origins.get(mount), self._mine.get(mount)
            # A claim is under way: it plans the mount again when it is done.
            if mount in self._claiming:
                return
            if wanted is None:
                # Released: delete the key, unless it is already gone or another node's.
                if stored is None or stored.record.node != self._me.node or self._erase(mount, stored):
                    return
            elif stored is None or (stored.record.epoch < wanted.epoch and not self._is_same_claim(stored, wanted)):
                # The key is missing, or of an epoch before ours, as after a provisional claim: claim the mount in etcd.
                self._confirm(wanted, stored)
            elif not self._cache.is_ours(stored.record):
                # Another node has claimed the mount after us: its origin makes this node give the mount up.
                self._state.put_origin(stored.record)
                return
            elif stored.record.epoch > wanted.epoch:
                # A claim of ours whose answer was lost: take its epoch, and compare once more.
                self._hold(replace(wanted, epoch=stored.record.epoch, is_provisional=False))
            # The epoch is the same: write the record if it, or the lease, has changed.
            elif (stored.record == wanted and stored.lease == self.lease) or self._rewrite(wanted, stored):
                return
        # Too many changes meanwhile: it is tried again later.
        self.plan(mount)

    def _is_same_claim(self, stored: OriginEntry, wanted: OriginRecord) -> bool:
        return self._cache.is_ours(stored.record) and stored.record.epoch == wanted.epoch

    def _confirm(self, wanted: OriginRecord, stored: OriginEntry | None) -> None:
        """Claims in etcd what this node already has. The origin gets the new epoch."""
        written = self._write(wanted, self._token(), stored)
        now = self._mine.get(wanted.mount)
        if written is not None and now is not None and now.epoch == wanted.epoch:
            self._hold(replace(now, epoch=written.record.epoch, is_provisional=False))

    def _write(
        self, offer: OriginRecord, token: str, stored: OriginEntry | None, budget_s: float = BUDGET_S
    ) -> OriginEntry | None:
        """Claims the mount if its key is as this node knows it; if not, reads the key and returns None."""
        value = records.encode_claim(offer, self._cache.meta.generation, token)
        return self._guarded(offer.mount, stored, value, budget_s)

    def _rewrite(self, wanted: OriginRecord, stored: OriginEntry) -> bool:
        value = records.encode_origin(wanted, stored.claim)
        return self._guarded(wanted.mount, stored, value, BUDGET_S) is not None

    def _guarded(self, mount: str, stored: OriginEntry | None, value: bytes, budget_s: float) -> OriginEntry | None:
        key, lease = self._keys.origin(mount), self.lease
        outcome = self._txn(key, stored.revision if stored is not None else 0, put(key, value, lease), budget_s)
        if not outcome.is_done:
            return None
        entry = records.decode_origin(Entry(key, value, outcome.revision, lease))
        known = self._cache.origins.get(mount)
        if known is None or known.revision < entry.revision:
            self._cache.origins[mount] = entry
        return entry

    def _erase(self, mount: str, stored: OriginEntry) -> bool:
        key = self._keys.origin(mount)
        outcome = self._txn(key, stored.revision, delete(key), BUDGET_S)
        if outcome.is_done:
            known = self._cache.origins.get(mount)
            if known is not None and known.revision < outcome.revision:
                del self._cache.origins[mount]
        return outcome.is_done

    def _txn(self, key: str, seen: int, request: dict[str, object], budget_s: float) -> Outcome:
        """Carries out `request` if neither key nor generation has changed; if one has, reads the key into the cache.

        Raises EtcdError, of which MetaChanged and Restored are kinds.
        """
        cache = self._cache
        floor, meta = cache.revision, cache.meta
        guards = [unchanged(self._keys.meta, meta.revision), unchanged(key, seen)]
        outcome = self._client.txn(guards, [request], [get(self._keys.meta), get(key)], budget_s)
        cache.check(outcome.revision, floor)
        if not outcome.is_done:
            if not any(one.key == self._keys.meta and one.revision == meta.revision for one in outcome.entries):
                raise MetaChanged("the generation was written")
            cache.apply_answer(key, outcome.entries, outcome.revision)
        return outcome

    def _token(self) -> str:
        return f"{self._rng.getrandbits(64):016x}"
