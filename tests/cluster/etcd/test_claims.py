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
class Desk:
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
        """All anew, as joining does."""
        self.cache.take(self.etcd.range(KEYS.prefix), self.cache.revision)

    def offer(self, base: int = 0) -> OriginRecord:
        return OriginRecord(X, self.name, f"{self.name}1", NO_EPOCH, base, True)

    def claim(self, over: Epoch = NO_EPOCH) -> Claimed | Held:
        return self.claims.claim(self.offer(), over, lambda: 0.0)

    def there(self) -> OriginEntry:
        """What etcd has of the mount."""
        return records.decode_origin(self.etcd.entries[KEYS.origin(X)])


@pytest.fixture
def etcd() -> MemoryEtcd:
    made = MemoryEtcd()
    made.put(KEYS.meta, records.encode_meta(1))
    return made


@pytest.fixture
def desks(etcd: MemoryEtcd) -> Iterator[tuple[Desk, Desk]]:
    group = Group()
    yield Desk(etcd, "a", group), Desk(etcd, "b", group)
    group.kill()


def won(answer: Claimed | Held) -> Epoch:
    assert isinstance(answer, Claimed)
    return answer.epoch


def test_the_epoch_of_a_claim_is_the_revision_of_its_write(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    epoch = won(a.claim())
    assert epoch == Epoch(1, a.etcd.revision, 0, "a")
    assert a.state.highest(X) == epoch
    assert a.there().record == a.state.origin(X)


def test_of_two_that_claim_without_knowing_of_each_other_the_second_learns_of_the_first(
    desks: tuple[Desk, Desk],
) -> None:
    a, b = desks
    first = won(a.claim())
    answer = b.claim()
    assert isinstance(answer, Held) and answer.epoch == first
    assert b.state.origin(X) == a.state.origin(X)
    assert won(b.claim(over=first)) > first


def test_an_owner_that_was_overtaken_gives_up_what_it_had(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    first = won(a.claim())
    b.read()
    second = won(b.claim(over=first))
    a.claims.publish(replace(a.offer(), epoch=first, is_live=False))
    a.claims.reconcile_all()
    assert a.there().record.epoch == a.state.highest(X) == second
    a.claims.on_highest(X)
    a.claims.reconcile_all()
    assert a.there().record.node == "b"


def test_what_has_changed_is_written_under_the_same_epoch(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    epoch = won(a.claim())
    a.claims.publish(replace(a.offer(), epoch=epoch, is_live=False))
    a.claims.reconcile_all()
    assert (a.there().record.epoch, a.there().record.is_live) == (epoch, False)
    before = a.etcd.revision
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert a.etcd.revision == before, "what is right is not written again"


def test_a_mount_that_is_given_up_is_taken_out_and_only_by_its_epoch(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    epoch = won(a.claim())
    a.claims.release(X, NO_EPOCH)
    a.claims.reconcile_all()
    assert KEYS.origin(X) in a.etcd.entries
    a.claims.release(X, epoch)
    a.claims.reconcile_all()
    assert KEYS.origin(X) not in a.etcd.entries
    assert (a.state.origin(X), a.state.highest(X)) == (None, epoch)


def test_a_claim_whose_answer_was_lost_is_known_again(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    a.etcd.loses = 1
    with pytest.raises(EtcdUnreachable):
        a.claim()
    answer = a.claims.claim_provisionally(a.offer(), NO_EPOCH)
    assert answer.is_provisional
    a.claims.reconcile_all()
    origin = a.state.origin(X)
    assert origin is not None and not origin.is_provisional
    assert origin == a.there().record
    assert origin.epoch > answer.epoch


def test_a_claim_that_could_not_be_asked_yields_to_one_that_was_confirmed(desks: tuple[Desk, Desk]) -> None:
    a, b = desks
    a.claims.claim_provisionally(a.offer(), NO_EPOCH)
    confirmed = won(b.claim())
    a.claims.reconcile_all()
    origin = a.state.origin(X)
    assert origin is not None and (origin.node, origin.epoch) == ("b", confirmed)


def test_what_could_not_be_written_stays_planned(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    epoch = won(a.claim())
    a.claims.publish(replace(a.offer(), epoch=epoch, is_live=False))
    a.etcd.is_away = True
    with pytest.raises(EtcdUnreachable):
        a.claims.reconcile_all()
    a.etcd.is_away = False
    a.claims.reconcile_all()
    assert not a.there().record.is_live


def test_after_a_lost_lease_the_mount_is_claimed_anew_without_asking_its_owner(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    first = won(a.claim())
    a.etcd.expire(a.claims.lease)
    a.claims.lease = a.etcd.grant(10)
    a.read()
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert a.there().lease == a.claims.lease
    assert a.there().record.epoch == a.state.highest(X) > first


def test_a_new_lease_takes_over_what_is_still_there(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    epoch = won(a.claim())
    a.claims.lease = a.etcd.grant(10)
    a.claims.plan_all()
    a.claims.reconcile_all()
    assert (a.there().lease, a.there().record.epoch) == (a.claims.lease, epoch)


def test_nothing_is_written_into_a_generation_that_this_node_has_not_read(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    first = won(a.claim())
    a.etcd.put(KEYS.meta, records.encode_meta(2))
    with pytest.raises(MetaChanged):
        a.claim(over=first)
    a.read()
    epoch = won(a.claim(over=first))
    assert epoch.generation == 2 and epoch > first


def test_an_answer_from_before_what_was_seen_is_not_taken(desks: tuple[Desk, Desk]) -> None:
    a, _ = desks
    a.cache.revision = a.etcd.revision + 100
    with pytest.raises(Restored):
        a.claim()
    assert a.state.origin(X) is None
