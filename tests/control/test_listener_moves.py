"""Listeners are moved to another mount and back, and no others are."""

import gevent
import pytest
from gevent.event import Event

from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.control.stage import Stage, stage


def where(node: Stage, listener: Listener) -> list[str]:
    return [mount.name for mount in node.mounts if mount.fanout.get(listener.id) is listener]


def test_a_move_for_good_is_not_reversed() -> None:
    with stage() as node:
        a, b = node.begin("/a"), node.begin("/b")
        listeners = [node.listen(a), node.listen(a)]
        assert node.moves.for_good(a, b) == 2
        assert [where(node, one) for one in listeners] == [["/b"], ["/b"]]
        assert node.moves.back(b, a) == 0


def test_listeners_from_a_mount_are_moved_back_and_those_that_asked_for_the_fallback_stay() -> None:
    with stage() as node:
        a, fallback = node.begin("/a"), node.begin("/fallback")
        guest, resident = node.listen(a), node.listen(fallback)
        node.end("/a")
        assert node.moves.to_fallback(a, fallback) == 1
        assert guest.requested_mount == "/a"
        node.begin("/a")
        assert node.moves.back(fallback, a) == 1
        assert (where(node, guest), where(node, resident)) == (["/a"], ["/fallback"])
        assert guest.requested_mount == ""


def test_along_a_chain_of_fallbacks_the_mount_asked_for_first_is_kept() -> None:
    with stage() as node:
        a, b, c = (node.begin(name) for name in ("/a", "/b", "/c"))
        listener = node.listen(a)
        node.end("/a")
        node.moves.to_fallback(a, b)
        node.end("/b")
        node.moves.to_fallback(b, c)
        node.begin("/a")
        assert node.moves.back(c, b) == 0
        assert node.moves.back(c, a) == 1
        assert where(node, listener) == ["/a"]


def test_those_who_are_moved_count_for_the_peak_where_they_come() -> None:
    with stage() as node:
        a, b, c = (node.begin(name) for name in ("/a", "/b", "/c"))
        for mount in (a, a, a, b):
            node.listen(mount)
        node.moves.for_good(a, b)
        assert [mount.listener_peak for mount in (a, b)] == [3, 4]
        node.end("/b")
        node.moves.to_fallback(b, c)
        assert [(len(mount.fanout), mount.listener_peak) for mount in (a, b, c)] == [(0, 3), (0, 4), (4, 4)]


def test_a_hangup_after_a_move_is_one_of_the_new_mount() -> None:
    with stage() as node:
        a, b = node.begin("/a"), node.begin("/b")
        listener = node.listen(a)
        watched: dict[int, tuple[Mount, Listener]] = {}
        node.hangups.change = watched.__setitem__  # type: ignore[method-assign,assignment]
        node.moves.for_good(a, b)
        assert watched == {listener.transport.fileno(): (b, listener)}


def test_without_listeners_nothing_is_moved() -> None:
    with stage() as node:
        assert node.moves.for_good(node.begin("/a"), node.begin("/b")) == 0


@pytest.mark.parametrize("news", ["the source is back", "the fallback is gone"])
def test_a_move_to_a_fallback_that_had_to_wait_looks_again_whether_it_is_needed(
    news: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    with stage() as node:
        a, fallback = node.begin("/a"), node.begin("/fallback")
        listener = node.listen(a)
        node.end("/a")
        resting = Event()
        monkeypatch.setattr(a.fanout, "wait_until_resting", resting.wait)  # a pass is under way
        moving = node.group.spawn("move", node.moves.to_fallback, a, fallback)
        gevent.sleep(0)
        if news == "the source is back":
            node.begin("/a")
        else:
            node.end("/fallback")
        resting.set()
        wait_until(moving.ready, "the move")
        assert where(node, listener) == ["/a"]
        assert listener.requested_mount == ""


@pytest.mark.parametrize("is_for_good", [False, True])
def test_a_move_that_had_to_wait_looks_again_whether_its_target_has_a_source(
    is_for_good: bool, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    with stage() as node:
        a, fallback = node.begin("/a"), node.begin("/fallback")
        listener = node.listen(fallback)
        listener.requested_mount = "/a"
        resting = Event()
        monkeypatch.setattr(fallback.fanout, "wait_until_resting", resting.wait)
        move = node.moves.for_good if is_for_good else node.moves.back
        moving = node.group.spawn("move", move, fallback, a)
        gevent.sleep(0)
        node.end("/a")
        resting.set()
        wait_until(moving.ready, "the move")
        assert (where(node, listener), listener.requested_mount) == (["/fallback"], "/a")
