"""The mounts of this node in etcd: claiming them, and keeping what etcd has as it should be.

`settle` is the one way to write them, apart from a claim itself: it compares what this node has with what is there, and
does the one guarded write that brings them together, whatever made them differ: the mount changed or was released; the
registry was away when it was claimed; the lease was lost; an answer was. If somebody else has a higher epoch, nothing
is written and the table gets theirs: the owner hears that from the table, and steps down.
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

# A guarded write that fails is tried again with what it found: so often, then it is somebody's turn to wait.
TRIES = 5


class Claims:
    """What this node has claimed and not given up."""

    def __init__(self, client: EtcdClient, keys: Keys, me: NodeRecord, cache: Cache, rng: Random) -> None:
        self.lease = 0
        self.is_due = Event()
        """Set when there is something new to settle."""
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
        """Raises EtcdError if it could not be decided. May switch."""
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
        """The registry is away: the epoch is just above the highest one known. Never switches."""
        highest = max(over, self._state.highest(offer.mount))
        generation = max(highest.generation, self._cache.meta.generation)
        epoch = Epoch(generation, highest.number, highest.rank + 1, self._me.node)
        self._hold(replace(offer, epoch=epoch, is_provisional=True))
        self.plan(offer.mount)
        return Claimed(epoch, is_provisional=True)

    def publish(self, origin: OriginRecord) -> None:
        """Never switches."""
        held = self._mine.get(origin.mount)
        if held is not None and held.epoch == origin.epoch:
            self._hold(replace(origin, is_provisional=held.is_provisional))
            self.plan(origin.mount)

    def release(self, mount: str, epoch: Epoch) -> None:
        """Never switches."""
        held = self._mine.get(mount)
        if held is not None and held.epoch == epoch:
            del self._mine[mount]
            self._state.remove_origin(mount, epoch)
            self.plan(mount)

    def plan(self, mount: str) -> None:
        """The mount is to be reconciled."""
        self._due[mount] = None
        self.is_due.set()

    def plan_all(self) -> None:
        """All mounts that are this node's business are to be reconciled."""
        there = [mount for mount, origin in self._cache.origins.items() if origin.record.node == self._me.node]
        for mount in (*self._mine, *there):
            self.plan(mount)

    def reconcile_all(self) -> None:
        """Settles what is planned. Raises EtcdError: the rest stays planned. May switch."""
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
        """Gives up a mount of which a higher epoch was seen."""
        held = self._mine.get(mount)
        if held is not None and held.epoch < self._state.highest(mount):
            del self._mine[mount]
            self._state.remove_origin(mount, held.epoch)
            self.plan(mount)

    # -- what etcd has

    def _claim(self, offer: OriginRecord, over: Epoch, left: Callable[[], float]) -> OriginEntry | Held:
        token = self._token()
        for _ in range(TRIES):
            highest, there = self._state.highest(offer.mount), self._cache.origins.get(offer.mount)
            if there is not None and there.claim == token:
                return there
            if there is not None and there.record.epoch > over and not self._cache.is_ours(there.record):
                return Held(max(highest, there.record.epoch), there.record)
            if highest > over:
                return Held(highest, self._state.origin(offer.mount))
            written = self._write(offer, token, there, left())
            if written is not None:
                return written
        raise EtcdUnreachable(f"{offer.mount} changes too fast")

    def _reconcile(self, mount: str) -> None:
        for _ in range(TRIES):
            there, wanted = self._cache.origins.get(mount), self._mine.get(mount)
            if mount in self._claiming:
                return  # its claim plans it anew
            if wanted is None:
                if there is None or there.record.node != self._me.node or self._erase(mount, there):
                    return
            elif there is None or (there.record.epoch < wanted.epoch and not self._is_same(there, wanted)):
                self._confirm(wanted, there)
            elif not self._cache.is_ours(there.record):
                self._state.put_origin(there.record)
                return
            elif there.record.epoch > wanted.epoch:
                # A claim of ours whose answer was lost.
                self._hold(replace(wanted, epoch=there.record.epoch, is_provisional=False))
            elif (there.record == wanted and there.lease == self.lease) or self._rewrite(wanted, there):
                return
        self.plan(mount)

    def _is_same(self, there: OriginEntry, wanted: OriginRecord) -> bool:
        return self._cache.is_ours(there.record) and there.record.epoch == wanted.epoch

    def _confirm(self, wanted: OriginRecord, there: OriginEntry | None) -> None:
        """Claims what this node has and the registry does not know of."""
        written = self._write(wanted, self._token(), there)
        now = self._mine.get(wanted.mount)
        if written is not None and now is not None and now.epoch == wanted.epoch:
            self._hold(replace(now, epoch=written.record.epoch, is_provisional=False))

    def _write(
        self, offer: OriginRecord, token: str, there: OriginEntry | None, budget_s: float = BUDGET_S
    ) -> OriginEntry | None:
        """Claims the mount if it is as this node knows it, else learns how it is."""
        value = records.encode_claim(offer, self._cache.meta.generation, token)
        return self._guarded(offer.mount, there, value, budget_s)

    def _rewrite(self, wanted: OriginRecord, there: OriginEntry) -> bool:
        value = records.encode_origin(wanted, there.claim)
        return self._guarded(wanted.mount, there, value, BUDGET_S) is not None

    def _guarded(self, mount: str, there: OriginEntry | None, value: bytes, budget_s: float) -> OriginEntry | None:
        key, lease = self._keys.origin(mount), self.lease
        outcome = self._txn(key, there.revision if there is not None else 0, put(key, value, lease), budget_s)
        if not outcome.is_done:
            return None
        entry = records.decode_origin(Entry(key, value, outcome.revision, lease))
        known = self._cache.origins.get(mount)
        if known is None or known.revision < entry.revision:
            self._cache.origins[mount] = entry
        return entry

    def _erase(self, mount: str, there: OriginEntry) -> bool:
        key = self._keys.origin(mount)
        outcome = self._txn(key, there.revision, delete(key), BUDGET_S)
        if outcome.is_done:
            known = self._cache.origins.get(mount)
            if known is not None and known.revision < outcome.revision:
                del self._cache.origins[mount]
        return outcome.is_done

    def _txn(self, key: str, seen: int, request: dict[str, object], budget_s: float) -> Outcome:
        """Does `request` if the key is as seen and the generation as well; otherwise learns how the key is.

        Raises MetaChanged and Restored.
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
