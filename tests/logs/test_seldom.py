"""Tests of pycast.logs.seldom: one line for many."""

from pycast.logs.seldom import TOLD_S, Seldom


def test_the_first_is_told_at_once_and_the_others_with_the_next_line() -> None:
    now = 5.0
    seldom = Seldom(lambda: now)
    assert [seldom.due() for _ in range(4)] == [1, 0, 0, 0]
    now += TOLD_S - 0.1
    assert seldom.due() == 0
    now += 0.1
    assert [seldom.due(), seldom.due()] == [5, 0]
