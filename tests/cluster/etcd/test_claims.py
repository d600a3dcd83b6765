"""Claims against an etcd in memory: one writer, one epoch for each write, and nothing forgotten when an answer is lost.

What only a real etcd can show (members, watches, restores) is in test_etcd_registry.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache, MetaChanged, Restored
from pycast.cluster.etcd.claims import Claims
from pycast.cluster.etcd.client import EtcdUnreachable
from pycast.cluster.etcd.etcd_records import Keys, OriginEntry
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held
from pycast.net.group import Group
from tests.cluster.etcd.memory_etcd import MemoryEtcd

KEYS, X = Keys("radio"), "/x"


@dataclass
class Claimant:
    """One node's claims, and what it knows."""

    etcd: MemoryEtcd
    name: str
    group: Group

    def __post_init__(self) -> None:
        me, self.state = NodeRecord(self.name, f"{self.name}1", f"{self.name}:8000"), ClusterState()
        probes = LivenessProbes(self.state, self.group, lambda node: True, lambda: 0.0)
        self.cache = Cache(KEYS, me, self.state, probes)
        client: Any = self.etcd
        self.claims = Claims(client, KEYS, me, self.cache, Random(self.name))
        self.claims.lease = self.etcd.grant(10)
        self.read()

    def read(self) -> None:
        """Reads everything again, as joining does."""
        self.cache.take(self.etcd.range(KEYS.prefix), self.cache.revision)

    def offer(self, base: int = 0) -> OriginRecord:
        return OriginRecord(X, self.name, f"{self.name}1", NO_EPOCH, base, True)

    def claim(self, over: Epoch = NO_EPOCH) -> Claimed | Held:
        return self.claims.claim(self.offer(), over, lambda: 0.0)

    def stored(self) -> OriginEntry:
        """Returns the mount's origin in etcd."""
        return records.decode_origin(self.etcd.entries[KEYS.origin(X)])


@pytest.fixture
def etcd() -> MemoryEtcd:
    made = MemoryEtcd()
    made.put(KEYS.meta, records.encode_meta(1))
    return made


@pytest.fixture
def claimants(etcd: MemoryEtcd) -> Iterator[tuple[Claimant, Claimant]]:
    group = Group()
    yield Claimant(etcd, "a", group), Claimant(etcd, "b", group)
    group.kill()


def won(answer: Claimed | Held) -> Epoch:
    assert isinstance(answer, Claimed)
    return answer.epoch


def test_the_epoch_of_a_claim_is_the_revision_of_its_write(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    epoch = won(a.claim())
    assert epoch == Epoch(1, a.etcd.revision, 0, "a")
    assert a.state.highest(X) == epoch
    assert a.stored().record == a.state.origin(X)


def test_of_two_that_claim_without_knowing_of_each_other_the_second_learns_of_the_first(
    claimants: tuple[Claimant, Claimant],
) -> None:
    a, b = claimants
    first = won(a.claim())
    answer = b.claim()
    assert isinstance(answer, Held) and answer.epoch == first
    assert b.state.origin(X) == a.state.origin(X)
    assert won(b.claim(over=first)) > first


def test_an_owner_that_was_superseded_gives_its_mount_up(claimants: tuple[Claimant, Claimant]) -> None:
    a, b = claimants
    first = won(a.claim())
    b.read()
    second = won(b.claim(over=first))
    a.claims.publish(replace(a.offer(), epoch=first, is_live=False))
    a.claims.reconcile_all()
    assert a.stored().record.epoch == a.state.highest(X) == second
    a.claims.on_highest(X)
    a.claims.reconcile_all()
    assert a.stored().record.node == "b"


def test_a_changed_origin_is_written_under_the_same_epoch(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    epoch = won(a.claim())
    a.claims.publish(replace(a.offer(), epoch=epoch, is_live=False))
    a.claims.reconcile_all()
    assert (a.stored().record.epoch, a.stored().record.is_live) == (epoch, False)
    before = a.etcd.revision
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert a.etcd.revision == before, "what is right is not written again"


def test_a_released_mount_is_deleted_and_only_by_its_epoch(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    epoch = won(a.claim())
    a.claims.release(X, NO_EPOCH)
    a.claims.reconcile_all()
    assert KEYS.origin(X) in a.etcd.entries
    a.claims.release(X, epoch)
    a.claims.reconcile_all()
    assert KEYS.origin(X) not in a.etcd.entries
    assert (a.state.origin(X), a.state.highest(X)) == (None, epoch)


def test_a_claim_whose_answer_was_lost_is_recognized(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    a.etcd.loses = 1
    with pytest.raises(EtcdUnreachable):
        a.claim()
    answer = a.claims.claim_provisionally(a.offer(), NO_EPOCH)
    assert answer.is_provisional
    a.claims.reconcile_all()
    origin = a.state.origin(X)
    assert origin is not None and not origin.is_provisional
    assert origin == a.stored().record
    assert origin.epoch > answer.epoch


def test_a_provisional_claim_yields_to_one_that_was_confirmed(claimants: tuple[Claimant, Claimant]) -> None:
    a, b = claimants
    a.claims.claim_provisionally(a.offer(), NO_EPOCH)
    confirmed = won(b.claim())
    a.claims.reconcile_all()
    origin = a.state.origin(X)
    assert origin is not None and (origin.node, origin.epoch) == ("b", confirmed)


def test_a_write_that_failed_stays_planned(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    epoch = won(a.claim())
    a.claims.publish(replace(a.offer(), epoch=epoch, is_live=False))
    a.etcd.is_away = True
    with pytest.raises(EtcdUnreachable):
        a.claims.reconcile_all()
    a.etcd.is_away = False
    a.claims.reconcile_all()
    assert not a.stored().record.is_live


def test_after_a_lost_lease_the_mount_is_claimed_anew_without_asking_its_owner(
    claimants: tuple[Claimant, Claimant],
) -> None:
    a, _ = claimants
    first = won(a.claim())
    a.etcd.expire(a.claims.lease)
    a.claims.lease = a.etcd.grant(10)
    a.read()
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert a.stored().lease == a.claims.lease
    assert a.stored().record.epoch == a.state.highest(X) > first


def test_a_new_lease_takes_over_keys_that_still_exist(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    epoch = won(a.claim())
    a.claims.lease = a.etcd.grant(10)
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert (a.stored().lease, a.stored().record.epoch) == (a.claims.lease, epoch)


def test_nothing_is_written_into_a_generation_that_this_node_has_not_read_yet(
    claimants: tuple[Claimant, Claimant],
) -> None:
    a, _ = claimants
    first = won(a.claim())
    a.etcd.put(KEYS.meta, records.encode_meta(2))
    with pytest.raises(MetaChanged):
        a.claim(over=first)
    a.read()
    epoch = won(a.claim(over=first))
    assert epoch.generation == 2 and epoch > first


def test_an_answer_that_is_older_than_what_was_seen_is_refused(claimants: tuple[Claimant, Claimant]) -> None:
    a, _ = claimants
    a.cache.revision = a.etcd.revision + 100
    with pytest.raises(Restored):
        a.claim()
    assert a.state.origin(X) is None
