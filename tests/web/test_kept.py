"""Tests of pycast.web.kept: a value is made once for all, seldom enough, and anew after a change."""

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event

from pycast.net.group import Group
from pycast.web.kept import SHARE, SHARE_OF_CHANGES, Changes, Kept, NotKept


class Maker:
    """Makes 1, 2, 3 …; each takes `took` by the clock, and waits for `gate`."""

    def __init__(self, took: float = 0.001) -> None:
        self.made = 0
        self.took = took
        self.now = 1000.0
        self.gate = Event()
        self.gate.set()
        self.error: BaseException | None = None

    def make(self) -> int:
        self.now += self.took
        self.made += 1
        made = self.made
        self.gate.wait(5)
        if self.error is not None:
            raise self.error
        return made

    def kept(self, changes: Changes | None = None, shortest_s: float = 0.0) -> Kept[int]:
        clock = lambda: self.now  # noqa: E731
        return Kept(self.make, changes or Changes(), shortest_s=shortest_s, clock=clock, cost_clock=clock)


def warm(maker: Maker, changes: Changes | None = None) -> Kept[int]:
    """Returns what has made 1 and 2, so that it knows what a value costs."""
    kept = maker.kept(changes)
    assert kept.get() == 1
    maker.now += 100
    assert kept.get() == 2
    return kept


class Crowd:
    """Greenlets that ask for a value at the same time. `got` has what they got, or the kind of the error."""

    def __init__(self, ask: Callable[[], int], count: int) -> None:
        self.got: list[int | type[Exception]] = []
        self._group = Group()
        self.members = [self._group.spawn("asks", self._ask, ask) for _ in range(count)]
        gevent.sleep(0)

    def all(self) -> list[int | type[Exception]]:
        self._group.join(5)
        return self.got

    def _ask(self, ask: Callable[[], int]) -> None:
        try:
            self.got.append(ask())
        except Exception as error:
            self.got.append(type(error))


def test_a_crowd_gets_one_value_that_is_made_once() -> None:
    maker = Maker()
    maker.gate.clear()
    kept = maker.kept()
    crowd = Crowd(kept.get, 1000)
    assert maker.made == 1
    maker.gate.set()
    assert crowd.all() == [1] * 1000
    assert maker.made == 1


@pytest.mark.parametrize(("took", "fresh"), [(0.001, SHARE * 0.001), (0.1, 1.0), (5.0, 1.0)])
def test_a_value_is_kept_for_many_times_what_it_took_but_a_second_at_most(took: float, fresh: float) -> None:
    maker = Maker(took)
    kept = warm(maker)
    maker.now = began = 2000.0
    assert kept.get() == 3
    maker.now = began + fresh * 0.99
    if maker.now > began + took:
        assert kept.get() == 3
    maker.now = began + max(fresh, took) * 1.01
    assert kept.get() == 4


def test_the_first_value_counts_as_cheap_because_it_may_have_imported_what_makes_it() -> None:
    changes, maker = Changes(), Maker(0.5)
    kept = maker.kept(changes)
    assert kept.get() == 1
    changes.on_change(None)
    assert kept.get() == 2


def test_the_old_value_is_given_out_while_a_new_one_is_made() -> None:
    maker = Maker(0.02)
    kept = maker.kept()
    assert kept.get() == 1
    maker.now += 1.1
    maker.gate.clear()
    first = Crowd(kept.get, 1)
    assert [kept.get() for _ in range(10)] == [1] * 10
    maker.gate.set()
    assert first.all() == [2]
    assert kept.get() == 2


def test_a_very_old_value_is_not_given_out() -> None:
    maker = Maker(0.02)
    kept = maker.kept()
    assert kept.get() == 1
    maker.now += 60
    maker.gate.clear()
    crowd = Crowd(kept.get, 2)
    maker.gate.set()
    assert crowd.all() == [2, 2]


def test_who_changes_something_and_looks_sees_it() -> None:
    changes, maker = Changes(), Maker(0.001)
    kept = maker.kept(changes)
    assert kept.get() == 1
    maker.now += 2 * SHARE_OF_CHANGES * 0.001
    assert kept.get() == 1
    changes.on_change(None)
    assert kept.get() == 2
    assert kept.get() == 2


def test_changes_without_end_do_not_make_the_value_dear() -> None:
    changes, maker = Changes(), Maker(0.02)
    kept = warm(maker, changes)
    for _ in range(100):
        kept.get()
        changes.on_change(None)
        maker.now += 0.01
    assert maker.made <= 2 + 2, "little more than a second"


def test_a_failure_is_everybodys_who_waited_and_the_next_one_tries_again() -> None:
    maker = Maker()
    maker.gate.clear()
    maker.error = ValueError("no")
    kept = maker.kept()
    crowd = Crowd(kept.get, 3)
    maker.gate.set()
    assert crowd.all() == [ValueError] * 3
    assert maker.made == 1
    maker.error = None
    assert kept.get() == 2


def test_if_the_one_who_makes_it_is_ended_another_makes_it() -> None:
    maker = Maker()
    maker.gate.clear()
    kept = maker.kept()
    crowd = Crowd(kept.get, 2)
    crowd.members[0].kill(block=False)
    gevent.sleep(0)
    maker.gate.set()
    assert crowd.all() == [2]


def test_who_may_not_wait_gets_what_there_is_or_nothing() -> None:
    now = 0.0
    kept = Kept(lambda: 1, Changes(), clock=lambda: now, cost_clock=lambda: now)
    with pytest.raises(NotKept):
        kept.get(may_wait=False)
    assert kept.get() == 1
    now = 10.0
    with pytest.raises(NotKept):
        kept.get(may_wait=False)


def test_who_may_not_wait_gets_the_old_value_while_a_new_one_is_made() -> None:
    now, answers = 0.0, list[int]()

    def make() -> int:
        nonlocal now
        now += 0.5
        if len(answers) == 1:
            answers.append(kept.get(may_wait=False))
        return 7

    kept = Kept(make, Changes(), clock=lambda: now, cost_clock=lambda: now)
    answers.append(kept.get())
    now = 1.2
    kept.get()
    assert answers == [7, 7]


def test_a_value_that_costs_nothing_is_kept_for_the_shortest_time_unless_there_is_a_change() -> None:
    maker, changes = Maker(0.0), Changes()
    kept = maker.kept(changes, shortest_s=0.1)
    assert kept.get() == 1
    maker.now += 0.09
    assert kept.get() == 1
    changes.on_change(None)
    assert kept.get() == 2
    maker.now += 0.11
    assert kept.get() == 3


def test_one_who_may_not_wait_has_a_new_value_made_and_the_others_get_the_old_one_meanwhile() -> None:
    maker = Maker()
    kept = warm(maker)
    maker.now += SHARE * 0.001
    with pytest.raises(NotKept):
        kept.get_kept()  # that only looks
    with pytest.raises(NotKept):
        kept.get(may_wait=False)
    assert [kept.get(may_wait=False), kept.get_kept()] == [2, 2]
    assert kept.get() == 3
    assert kept.get(may_wait=False) == 3


def test_an_old_value_is_not_given_out_for_ever_to_those_who_may_not_wait() -> None:
    maker = Maker()
    kept = warm(maker)
    maker.now += SHARE * 0.001
    for _ in range(2):  # neither comes again
        with pytest.raises(NotKept):
            kept.get(may_wait=False)
        maker.now += 2.0
