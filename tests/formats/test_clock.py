"""Media time never goes back, and a bit rate is only reported when it has changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.formats.clock import FIRST_MEASURE_S, MAX_STEP_S, MEASURE_S, BitrateMeter, MediaClock


def test_clock_adds_plausible_steps() -> None:
    clock = MediaClock(10.0)
    clock.advance(1.0)
    clock.advance(2.5)
    assert clock.time_s == 12.5


@pytest.mark.parametrize("position_s", [-5.0, 0.0, MAX_STEP_S + 0.1, 1e18])
def test_clock_stands_still_at_a_jump_and_continues_from_there(position_s: float) -> None:
    clock = MediaClock(10.0)
    clock.advance(position_s)
    assert clock.time_s == 10.0
    clock.advance(position_s + 1024.0 if position_s > 1e9 else position_s + 1.0)
    assert clock.time_s == (10.0 if position_s > 1e9 else 11.0)


@given(st.lists(st.floats(allow_nan=False)))
def test_clock_never_goes_back(positions: list[float]) -> None:
    clock = MediaClock()
    for position_s in positions:
        before = clock.time_s
        clock.advance(position_s)
        assert before <= clock.time_s <= before + MAX_STEP_S


def test_meter_measures_a_short_first_stretch_then_longer_ones() -> None:
    meter = BitrateMeter(1000, 0.0, None)
    assert meter.measure(9000, FIRST_MEASURE_S / 2) is None
    assert meter.measure(17000, FIRST_MEASURE_S) == 128_000
    assert meter.due_s == FIRST_MEASURE_S + MEASURE_S


def test_meter_is_silent_while_the_rate_stays() -> None:
    meter = BitrateMeter(0, 0.0, 128_000)
    assert meter.measure(16_300, 1.0) is None
    assert meter.measure(16_300 + 80_000, 6.0) is None
    assert meter.measure(16_300 + 80_000 + 200_000, 11.0) == 320_000


def test_meter_leaves_out_what_came_before_a_restart() -> None:
    meter = BitrateMeter(0, 0.0, 128_000)
    meter.restart(1_000_000, 0.5)
    assert meter.measure(1_000_000 + 80_000, 0.5 + MEASURE_S) is None


def test_meter_never_reports_zero() -> None:
    assert BitrateMeter(0, 0.0, None).measure(1, 100.0) is None
