"""What a node knows: the highest epoch holds, changes are changes once, a node's facts go with it."""

from random import Random

import pytest

from pycast.cluster.registry.cluster_state import (
    ClusterState,
    NodeChanged,
    OriginChanged,
    OriginRefused,
    Peer,
    Status,
)
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.http.mount_names import why_no_mount

A, B = NodeRecord("a", "a1", "a:1"), NodeRecord("b", "b1", "b:1")


def origin(node: str, number: int, mount: str = "/x") -> OriginRecord:
    return OriginRecord(mount, node, f"{node}1", Epoch(0, number, 1, node), 0, True)


@pytest.fixture
def state() -> ClusterState:
    return ClusterState()


@pytest.fixture
def changes(state: ClusterState) -> list[NodeChanged | OriginChanged]:
    changes: list[NodeChanged | OriginChanged] = []
    state.node_changed.subscribe(changes.append)
    state.origin_changed.subscribe(changes.append)
    return changes


def test_a_change_is_reported_once_and_after_it_is_made(state: ClusterState) -> None:
    changes: list[tuple[NodeChanged | OriginChanged, tuple[Peer, ...]]] = []
    state.node_changed.subscribe(lambda change: changes.append((change, state.peers)))
    state.put_node(A)
    state.put_node(A)
    assert changes == [(NodeChanged("a", None, Peer(A)), (Peer(A),))]


def test_nodes_are_added_changed_and_removed(state: ClusterState, changes: list[NodeChanged | OriginChanged]) -> None:
    state.put_node(A)
    state.set_status("a", Status.SUSPECT)
    state.remove_node("a")
    state.set_status("a", Status.UP)
    up, suspect = Peer(A), Peer(A, Status.SUSPECT)
    assert changes == [NodeChanged("a", None, up), NodeChanged("a", up, suspect), NodeChanged("a", suspect, None)]


def test_peers_are_in_the_order_of_their_names(state: ClusterState) -> None:
    state.put_node(B)
    state.put_node(A)
    assert [peer.record.node for peer in state.peers] == ["a", "b"]
    state.set_status("a", Status.DEAD)
    assert state.up_nodes() == (B,)
    assert (state.is_up("a"), state.is_up("b"), state.is_up("c")) == (False, True, False)


def test_a_lower_epoch_is_refused(state: ClusterState, changes: list[NodeChanged | OriginChanged]) -> None:
    assert state.put_origin(origin("a", 2))
    assert not state.put_origin(origin("b", 1))
    assert state.put_origin(origin("b", 3))
    assert changes == [OriginChanged("/x", None, origin("a", 2)), OriginChanged("/x", origin("a", 2), origin("b", 3))]


def test_an_epoch_is_remembered_when_its_owner_has_given_up(state: ClusterState) -> None:
    state.put_origin(origin("a", 2))
    state.remove_origin("/x", origin("a", 2).epoch)
    assert state.origin("/x") is None
    assert not state.put_origin(origin("b", 1))
    assert state.highest("/x") == origin("a", 2).epoch
    assert state.highest("/y") == NO_EPOCH


def test_giving_up_an_old_epoch_takes_nothing_from_the_new_owner(state: ClusterState) -> None:
    state.put_origin(origin("a", 1))
    state.put_origin(origin("b", 2))
    state.remove_origin("/x", origin("a", 1).epoch)
    assert state.origin("/x") == origin("b", 2)


def test_a_higher_epoch_that_was_only_seen_ends_the_present_owner(
    state: ClusterState, changes: list[NodeChanged | OriginChanged]
) -> None:
    state.put_origin(origin("a", 1))
    state.see("/x", Epoch(0, 1, 0, "z"))
    assert state.origin("/x") == origin("a", 1)
    state.see("/x", Epoch(0, 2))
    assert changes[1:] == [OriginChanged("/x", origin("a", 1), None)]


def test_a_nodes_mounts_are_removed_with_it(state: ClusterState, changes: list[NodeChanged | OriginChanged]) -> None:
    state.put_node(A)
    state.put_origin(origin("a", 1, "/1"))
    state.put_origin(origin("b", 2, "/2"))
    state.remove_node("a")
    assert changes[-2:] == [OriginChanged("/1", origin("a", 1, "/1"), None), NodeChanged("a", Peer(A), None)]
    assert state.origins == (origin("b", 2, "/2"),)
    assert list(state.origins_of("b")) == [origin("b", 2, "/2")]


def test_in_any_order_the_highest_origin_holds() -> None:
    rng = Random(1)
    records = [origin(node, number) for node in "abc" for number in range(1, 5)]
    for _ in range(50):
        state, seen = ClusterState(), NO_EPOCH
        rng.shuffle(records)
        for record in records:
            assert state.put_origin(record) is (record.epoch > seen)
            seen = max(seen, record.epoch)
            assert state.highest("/x") == seen
        assert state.origin("/x") == origin("c", 4)


@pytest.mark.parametrize("mount", ["/status-json.xsl", "/livez", "/admin/stats", "/live.mp3.m3u", "/sw.js", "", "x"])
def test_no_node_can_put_its_audio_where_a_page_is(
    mount: str, state: ClusterState, changes: list[NodeChanged | OriginChanged]
) -> None:
    state.put_node(A)
    changes.clear()
    refused: list[OriginRefused] = []
    state.origin_refused.subscribe(refused.append)
    assert not state.put_origin(origin("a", 1, mount))
    assert (state.origin(mount), changes) == (None, [])
    assert [(one.origin, one.address) for one in refused] == [(origin("a", 1, mount), A.address)]
    assert refused[0].why == why_no_mount(mount)


def test_an_origin_that_comes_too_late_is_no_fault(state: ClusterState) -> None:
    refused: list[OriginRefused] = []
    state.origin_refused.subscribe(refused.append)
    state.put_origin(origin("a", 2))
    assert not state.put_origin(origin("a", 1))
    assert refused == []
