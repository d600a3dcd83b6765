"""A pass gives the others a turn after each slice, and its cost is the CPU time of all slices."""

import pytest

from pycast.stream import slices
from pycast.stream.pacer import SLICE_S
from pycast.stream.slices import Slices


def test_others_have_their_turn_after_each_slice_and_no_time_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    now, turns = [10.0], list[float]()
    monkeypatch.setattr(slices, "give_turn", lambda: turns.append(now[0]))
    made = Slices(lambda: now[0], lambda: now[0])
    made.begin()
    now[0] += SLICE_S / 2
    assert made.rest_if_due() == 0.0 and turns == []
    now[0] += SLICE_S
    assert made.rest_if_due() == pytest.approx(1.5 * SLICE_S)
    assert len(turns) == 1
    now[0] += SLICE_S / 4
    assert made.end() == pytest.approx(SLICE_S / 4)


def test_dear_clock_is_asked_only_when_a_slice_may_be_over() -> None:
    asked, now = [0], [0.0]

    def dear() -> float:
        asked[0] += 1
        return 0.0

    made = Slices(dear, lambda: now[0])
    made.begin()
    for _ in range(100):
        assert made.rest_if_due() == 0.0
    assert asked == [1]
    now[0] = SLICE_S
    assert made.rest_if_due() == 0.0 and asked == [2]  # time is over that was spent by others
