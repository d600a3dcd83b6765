"""Tests of pycast.net.ticks."""

import time
from types import SimpleNamespace

import gevent
import pytest

from pycast.net import ticks
from pycast.net.group import Group
from pycast.net.ticks import BEAT_S, WORST_S, LoopLag, sleep_until_tick
from tests.conftest import WaitUntil


def test_loops_of_one_period_wake_at_the_same_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever they begin, and however late they wake. On a clock of the test's own, since a busy machine is later."""
    now, late = 7.02, 0.01

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds + late

    monkeypatch.setattr(ticks, "gevent", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(ticks, "time", SimpleNamespace(monotonic=lambda: now))
    for number in range(1, 4):
        assert sleep_until_tick(0.25) == pytest.approx(late)
        assert now - late == pytest.approx(7.0 + 0.25 * number)


def test_one_long_turn_hardly_counts() -> None:
    lag = LoopLag()
    lag.note(0.25)
    assert lag.seconds < 0.05


def test_lasting_lag_is_seen_within_seconds_and_forgotten_as_fast() -> None:
    lag = LoopLag()
    for _ in range(20):
        lag.note(0.25)
    assert 0.2 < lag.seconds <= 0.25
    for _ in range(int(8 / BEAT_S)):
        lag.note(0.0)
    assert lag.seconds < 0.01


def test_a_process_that_was_stopped_recovers_within_seconds() -> None:
    lag = LoopLag()
    lag.note(3600.0)
    assert lag.seconds <= WORST_S
    for _ in range(int(8 / BEAT_S)):
        lag.note(0.0)
    assert lag.seconds < 0.01


def test_a_loop_that_is_held_up_is_late(wait_until: WaitUntil) -> None:
    lag, group = LoopLag(), Group()
    group.spawn("lag", lag.run)
    gevent.sleep(0)
    time.sleep(BEAT_S + 0.3)  # the whole process, the hub too
    wait_until(lambda: lag.seconds > 0.02, "the lag")
    group.kill()
