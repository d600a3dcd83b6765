"""Tests of pycast.stats.merge: several nodes as one server."""

from dataclasses import replace

from pycast.stats.merge import HISTORY, merge
from pycast.stats.snapshot import MemberSnapshot, NodeSnapshot, PlayedTitle
from tests.stats.snapshots import CLUSTER, START, mount, node

MEMBERS = tuple(MemberSnapshot(name, f"{name}:8000", "", "up", "up", 0, 0, 100, 100, "") for name in "abc")


def in_cluster(name: str, snapshot: NodeSnapshot) -> NodeSnapshot:
    return replace(snapshot, cluster=replace(CLUSTER, node=name, members=MEMBERS))


def test_listeners_are_added_up_and_a_mount_is_what_it_is_where_its_source_is() -> None:
    mirror = mount(listeners=3, listener_peak=5, is_mirror=True, source_ip="10.0.0.1", title="late")
    seen = merge(node(mirror, listeners=3), [node(mount(listeners=2, listener_peak=4), listeners=2)])
    (only,) = seen.mounts
    assert (only.listeners, only.listener_peak, only.source_ip, only.title) == (5, 9, "127.0.0.1", "1979")
    assert seen.listeners == 5


def test_mounts_of_all_nodes_are_there_by_name() -> None:
    seen = merge(node(mount(name="/b")), [node(mount(name="/c"), mount(name="/a"))])
    assert [one.name for one in seen.mounts] == ["/a", "/b", "/c"]


def test_it_runs_since_the_first_node_started() -> None:
    assert merge(node(), [node(server_start=START - 60)]).server_start == START - 60


def test_loads_are_those_of_the_snapshots_and_without_one_the_last_that_was_announced() -> None:
    loaded = node(listeners=7, clients=9, clients_limit=50, headroom_percent=82)
    seen = merge(in_cluster("a", node(listeners=1)), [in_cluster("b", loaded)])
    assert seen.cluster is not None
    loads = [(one.node, one.listeners, one.used, one.slots, one.weight) for one in seen.cluster.members]
    assert loads == [("a", 1, 3, 0, 100), ("b", 7, 9, 50, 82), ("c", 0, 0, 100, 100)]


def test_a_server_alone_is_no_cluster() -> None:
    assert merge(node(), []).cluster is None


def test_titles_that_any_node_has_heard_are_in_the_history_once() -> None:
    origin = mount(history=(PlayedTitle(300, "", "c"), PlayedTitle(200, "", "b")))
    mirror = mount(is_mirror=True, history=(PlayedTitle(301.5, "", "c"), PlayedTitle(100, "A", "a")))
    late = mount(is_mirror=True, history=(PlayedTitle(900, "", "c"),))
    (merged,) = merge(node(origin), [node(mirror), node(late)]).mounts
    assert [(one.at, one.title) for one in merged.history] == [(300, "c"), (200, "b"), (100, "a")]


def test_title_with_whose_end_a_mirror_begins_is_not_played_again() -> None:
    origin = mount(history=(PlayedTitle(215, "", "b"), PlayedTitle(0, "", "a")))
    mirror = mount(is_mirror=True, history=(PlayedTitle(220.1, "", "b"), PlayedTitle(220, "", "a")))
    (merged,) = merge(node(origin), [node(mirror)]).mounts
    assert [(one.at, one.title) for one in merged.history] == [(215, "b"), (0, "a")]


def test_title_that_comes_again_after_a_jingle_is_in_the_history_twice() -> None:
    origin = mount(history=(PlayedTitle(210, "", "a"), PlayedTitle(200, "", "jingle"), PlayedTitle(0, "", "a")))
    (merged,) = merge(node(origin), [node(mount(is_mirror=True))]).mounts
    assert [one.title for one in merged.history] == ["a", "jingle", "a"]


def test_the_history_of_a_cluster_is_as_long_as_that_of_a_node() -> None:
    titles = [PlayedTitle(number * 100.0, "", str(number)) for number in range(2 * HISTORY)]
    one, other = mount(history=tuple(titles[:HISTORY])), mount(is_mirror=True, history=tuple(titles[HISTORY:]))
    (merged,) = merge(node(one), [node(other)]).mounts
    assert [title.title for title in merged.history] == [str(n) for n in range(2 * HISTORY - 1, HISTORY - 1, -1)]
