"""Tests of pycast.net.keyed_lock."""

import gevent
from gevent.event import Event

from pycast.net.group import Group
from pycast.net.keyed_lock import KeyedLock


def test_a_name_is_held_by_one_greenlet_at_a_time_and_nothing_is_left() -> None:
    turns, group, go, seen = KeyedLock(), Group(), Event(), list[str]()

    def work(mark: str, name: str) -> None:
        with turns.of(name):
            seen.append(f"{mark} in")
            go.wait(1)
            seen.append(f"{mark} out")

    for mark, name in (("1", "/a"), ("2", "/a"), ("3", "/b")):
        group.spawn(mark, work, mark, name)
    gevent.sleep(0)
    assert seen == ["1 in", "3 in"]
    go.set()
    group.join(2)
    assert seen.index("1 out") < seen.index("2 in")
    assert len(turns) == 0


def test_the_greenlet_that_holds_a_lock_may_enter_again() -> None:
    turns = KeyedLock()
    with turns.of("/a"), turns.of("/a"):
        assert len(turns) == 1
    assert len(turns) == 0
