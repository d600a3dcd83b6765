"""Joins against an etcd in memory: whatever failed before, the node ends registered, with one lease and its mounts.

The loops, and the real etcd, are in test_etcd_registry.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from pycast.cluster.etcd import etcd_records as records
from pycast.cluster.etcd.cache import Cache
from pycast.cluster.etcd.client import EtcdUnreachable
from pycast.cluster.etcd.etcd_records import Keys, NodeEntry
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.etcd.session import LEASE_S, Session
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import NO_EPOCH
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed, DuplicateNode
from pycast.net.group import Group
from tests.cluster.etcd.memory_etcd import MemoryEtcd
from tests.conftest import WaitUntil

KEYS = Keys("radio")
ME = NodeRecord("a", "a1", "a:8000")


class Place:
    """An etcd and the nodes that answer when they are asked directly."""

    def __init__(self) -> None:
        self.etcd, self.group = MemoryEtcd(), Group()
        self.alive: set[str] = set()

    def session(self, node: NodeRecord = ME) -> Session:
        state, client = ClusterState(), self.etcd
        probes = LivenessProbes(state, self.group, lambda one: one.boot in self.alive, lambda: 0.0)
        made: Any = client
        return Session(
            made, KEYS, node, self.group, Cache(KEYS, node, state, probes), probes, lambda: 0.0, Random(1), LEASE_S
        )

    def node(self, name: str = "a") -> NodeEntry:
        """Returns the node's key in etcd."""
        return records.decode_node(self.etcd.entries[KEYS.node(name)])


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.group.kill()


def test_the_first_node_of_a_cluster_makes_its_generation(place: Place) -> None:
    session = place.session()
    session.join()
    assert records.decode_meta(place.etcd.entries[KEYS.meta]) == 1
    assert session.is_up
    assert place.node().record == ME
    assert place.node().lease == session.claims.lease in place.etcd.leases


def test_a_node_that_joins_finds_the_others_and_keeps_the_generation(place: Place) -> None:
    place.session(NodeRecord("b", "b1", "b:8000")).join()
    place.etcd.put(KEYS.meta, records.encode_meta(7))
    session = place.session()
    session.join()
    assert session.cache.meta.generation == 7
    assert [peer.record.node for peer in session.cache.others()] == ["b"]


def test_joining_again_writes_nothing_if_nothing_is_wrong(place: Place) -> None:
    session = place.session()
    session.join()
    before = place.etcd.revision
    session.join()
    assert place.etcd.revision == before


def test_a_node_whose_lease_is_gone_registers_anew_with_its_mounts(place: Place) -> None:
    session = place.session()
    session.join()
    answer = session.claims.claim(OriginRecord("/x", "a", "a1", NO_EPOCH, 0, True), NO_EPOCH, lambda: 0.0)
    assert isinstance(answer, Claimed)
    place.etcd.expire(session.claims.lease)
    session.join()
    session.claims.reconcile_all()
    origin = records.decode_origin(place.etcd.entries[KEYS.origin("/x")])
    assert place.node().lease == origin.lease == session.claims.lease in place.etcd.leases


def test_a_registration_whose_answer_was_lost_is_known_again(place: Place) -> None:
    session = place.session()
    session.join()
    place.etcd.expire(session.claims.lease)
    place.etcd.loses = 1
    with pytest.raises(EtcdUnreachable):
        session.join()
    session.join()
    assert place.node().lease == session.claims.lease


@pytest.mark.parametrize("how", ["answers", "renewed its lease lately"])
def test_a_name_that_another_living_process_has_is_refused(place: Place, how: str) -> None:
    place.session(replace(ME, boot="a2", address="elsewhere:8000")).join()
    if how == "answers":
        place.alive.add("a2")
        place.etcd.leases = dict.fromkeys(place.etcd.leases, 0.0)
    with pytest.raises(DuplicateNode, match="elsewhere:8000"):
        place.session().join()
    assert place.node().record.boot == "a2"


@pytest.mark.parametrize("how", ["same address", "stale lease", "said goodbye"])
def test_an_earlier_process_of_the_node_is_replaced(place: Place, how: str) -> None:
    earlier = replace(ME, boot="a0", address=ME.address if how == "same address" else "old:8000")
    place.session(earlier).join()
    if how == "stale lease":
        place.etcd.leases = dict.fromkeys(place.etcd.leases, 1.0)
    if how == "said goodbye":
        place.etcd.put(KEYS.node("a"), records.encode_node(earlier, is_leaving=True), place.node().lease)
    place.session().join()
    assert place.node().record.boot == ME.boot


def test_a_lost_registry_is_logged_once_and_the_others_are_asked_directly(
    place: Place, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    place.session(NodeRecord("b", "b1", "b:8000")).join()
    session = place.session()
    session.join()
    for _ in range(3):
        session.failed(EtcdUnreachable("nobody answers"))
    assert [session.is_up, session.cache.state.is_up("b")] == [False, True]
    assert caplog.text.count("the registry is lost: nobody answers") == 1
    wait_until(lambda: not session.cache.state.is_up("b"), "b to be asked")
    session.join()
    assert [session.is_up, session.cache.state.is_up("b")] == [True, True]


def test_a_stop_says_goodbye_and_gives_the_lease_back(place: Place) -> None:
    session = place.session()
    session.join()
    lease = session.claims.lease
    leaving: list[bool] = []
    place.etcd.put = recorded(place.etcd.put, leaving)  # type: ignore[method-assign]
    session.stop(1.0)
    assert leaving == [True]
    assert lease not in place.etcd.leases
    assert KEYS.node("a") not in place.etcd.entries
    assert place.etcd.is_closed


def recorded(put: Callable[..., Any], leaving: list[bool]) -> Callable[..., Any]:
    """Returns `put`, which also records whether the node announces that it leaves."""

    def recording(key: str, value: bytes, lease: int = 0) -> Any:
        entry = put(key, value, lease)
        leaving.append(records.decode_node(entry).is_leaving)
        return entry

    return recording


def test_a_stop_ends_although_etcd_does_not_answer(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    session = place.session()
    session.join()
    place.etcd.is_away = True
    with caplog.at_level("INFO"):
        session.stop(1.0)
    assert "could not be removed" in caplog.text
    assert place.etcd.is_closed and not session.is_up
