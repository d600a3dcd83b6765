"""A loop that never has to wait still lets the others have their turns."""

import time

import gevent

from pycast.net.group import Group
from pycast.net.turns import give_turn, in_turns, next_turn


def test_a_turn_lets_timers_run_however_many_greenlets_are_ready() -> None:
    """`sleep(0)` does not: ready greenlets go first, fifty in a row and more."""
    group = Group()
    seen: list[int] = []

    def spin() -> None:
        while not seen:
            give_turn()

    for number in range(100):
        group.spawn(f"spin {number}", spin)
    group.spawn_later(0.01, "timer", seen.append, 1)
    with gevent.Timeout(5):
        group.join(5)
    assert seen == [1]


def test_a_turn_is_waited_for_only_by_those_that_had_it_already() -> None:
    others: list[int] = []
    group = Group()
    first = next_turn(-1)
    group.spawn("other", others.append, 1)
    assert next_turn(first - 1) == first and others == []  # this turn is new to the caller
    assert next_turn(first) > first and others == [1]
    second = next_turn(-1)
    gevent.sleep(0.001)
    group.spawn("other", others.append, 2)
    assert next_turn(second) > second and others == [1]  # it has waited already
    group.join(1)


def test_all_items_come_in_their_order() -> None:
    assert list(in_turns(range(100), turn_s=0)) == list(range(100))


def test_others_run_while_there_is_work_left() -> None:
    done: list[int] = []
    seen: list[int] = []
    other = Group().spawn("other", lambda: seen.append(len(done)))
    for item in in_turns(range(1000)):
        done.append(item)
        until = time.monotonic() + 0.0005
        while time.monotonic() < until and not seen:
            pass
        if seen:
            break
    other.get(timeout=5)
    assert 0 < seen[0] < 1000


def test_short_work_does_not_switch() -> None:
    seen: list[int] = []
    other = Group().spawn("other", lambda: seen.append(1))
    assert list(in_turns(range(10), turn_s=60)) == list(range(10))
    assert not seen
    other.get(timeout=5)
