"""An admin's orders are carried out on this node, and what cannot be done is reported."""

from types import SimpleNamespace

import pytest

from pycast.control.node_control import NodeControl
from pycast.control.node_snapshot import snapshot_mount
from pycast.errors import Refused
from pycast.stream.fanout import Reason
from tests.control.stage import Stage, stage


def control(node: Stage) -> NodeControl:
    return node.control(SimpleNamespace(take=lambda: "now"))


def test_a_slave_is_remembered() -> None:
    slaves = SimpleNamespace(add=lambda *of: told.append(of))
    told: list[tuple[str, int, int]] = []
    with stage() as node:
        node.control(slaves=slaves).add_slave("s", 1, 60)
    assert told == [("s", 1, 60)]


def test_each_snapshot_is_taken_anew() -> None:
    with stage() as node:
        assert control(node).snapshot() == "now"  # type: ignore[comparison-overlap]


def test_a_listener_is_ended_by_its_number_and_only_once() -> None:
    with stage() as node:
        mount, orders = node.begin("/x"), control(node)
        stays, goes = node.listen(mount), node.listen(mount)
        assert [one.id for one in orders.listeners("/x")] == [stays.id, goes.id]
        assert orders.kill("/x", goes.id)
        assert not orders.kill("/x", goes.id)
        assert not orders.kill("/none", stays.id)
        assert [(one.listener, one.reason) for one in node.gone] == [(goes, Reason.KILLED)]


def test_a_source_is_ended_if_there_is_one() -> None:
    with stage() as node:
        node.begin("/x")
        assert control(node).kill_source("/x")
        assert node.sources["/x"].ended == "removed by an admin"
        assert not control(node).kill_source("/none")


def test_a_title_is_taken_by_what_can_carry_one() -> None:
    with stage() as node:
        mount = node.begin("/x")
        node.begin("/film", "video/webm")
        orders = control(node)
        assert orders.set_title("/x", "Artist", "Song", "")
        assert mount.timeline.title is not None and mount.timeline.title.text == "Artist - Song"
        assert not orders.set_title("/film", "", "Song", "")
        assert not orders.set_title("/none", "", "Song", "")


def test_a_mirror_is_known_and_has_no_source_on_this_node() -> None:
    with stage() as node:
        node.begin("/here")
        node.mounts.attach_mirror("/copy", object(), node.sources["/here"].description, 0)
        orders = control(node)
        assert [orders.knows(one) for one in ("/here", "/copy", "/none")] == [True, True, False]
        assert [orders.has_source(one) for one in ("/here", "/copy", "/none")] == [True, False, False]


def test_a_mount_that_would_be_fetched_is_known_and_has_nothing_to_change() -> None:
    with stage() as node:
        node.on_demand.add("/idle", lambda: None)
        orders = control(node)
        assert orders.knows("/idle") and not orders.has_source("/idle")
        assert orders.listeners("/idle") == []
        assert not orders.set_title("/idle", "", "Song", "")


def test_listeners_are_moved_and_counted() -> None:
    with stage() as node:
        a, b = node.begin("/a"), node.begin("/b")
        node.listen(a)
        node.listen(a)
        assert control(node).move("/a", "/b") == 2
        assert (len(a.fanout), len(b.fanout)) == (0, 2)


@pytest.mark.parametrize("to", ["/none", "/a", "/ogg", "/waits"])
def test_a_destination_that_cannot_take_the_listeners_is_refused_and_none_is_moved(to: str) -> None:
    with stage() as node:
        a = node.begin("/a")
        node.begin("/ogg", "application/ogg")
        node.begin("/waits")
        node.end("/waits")
        node.listen(a)
        with pytest.raises(Refused, match="cannot take the listeners of /a") as caught:
            control(node).move("/a", to)
        assert (caught.value.status, caught.value.public) == (400, "Destination not running")
        assert len(a.fanout) == 1


def test_without_listeners_any_destination_is_accepted() -> None:
    with stage() as node:
        node.begin("/a")
        assert control(node).move("/a", "/none") == 0
        assert control(node).move("/none", "/a") == 0


@pytest.mark.parametrize(
    ("counts", "shown"),
    [(["peak"], (1, 100, 50)), (["read", "sent"], (9, 0, 0)), (["peak", "read", "sent"], (1, 0, 0))],
)
def test_what_a_mount_counts_is_counted_anew(counts: list[str], shown: tuple[int, ...]) -> None:
    with stage() as node:
        mount = node.begin("/x")
        node.listen(mount)
        mount.listener_peak, mount.bytes_read, mount.fanout.bytes_sent = 9, 100, 50
        control(node).reset_stats("/x", counts)
        control(node).reset_stats("/none", counts)
        found = snapshot_mount(mount)
        assert (found.listener_peak, found.total_bytes_read, found.total_bytes_sent) == shown
        assert (mount.bytes_read, mount.fanout.bytes_sent) == (100, 50), "the totals of the server have them still"
