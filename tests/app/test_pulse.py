"""Tests of pycast.app.pulse: how long a worker was silent, for a parent that may itself have been stopped."""

from pycast.app.pulse import DOUBT_S, LEAST_LIMIT_S, LOOK_S, Pulse


def silent(looks: int, passed_s: float = LOOK_S) -> Pulse:
    pulse = Pulse()
    pulse.look(1, LOOK_S)
    for _ in range(looks):
        pulse.look(1, passed_s)
    return pulse


def test_a_worker_that_beats_is_never_silent() -> None:
    pulse = Pulse()
    for beats in range(1, 1000):
        pulse.look(beats, LOOK_S)
        assert (pulse.quiet_s, pulse.is_doubtful, pulse.has_stopped(1)) == (0.0, False, False)


def test_silence_becomes_doubt_and_then_a_stop() -> None:
    assert not silent(int(DOUBT_S / LOOK_S) - 1).is_doubtful
    assert silent(int(DOUBT_S / LOOK_S)).is_doubtful
    assert not silent(int(10 / LOOK_S) - 1).has_stopped(10)
    assert silent(int(10 / LOOK_S)).has_stopped(10)


def test_one_beat_ends_the_silence() -> None:
    pulse = silent(100)
    pulse.look(2, LOOK_S)
    assert pulse.quiet_s == 0.0


def test_a_limit_of_0_is_none_and_a_tiny_one_is_a_second() -> None:
    assert not silent(10_000).has_stopped(0)
    assert not silent(int(LEAST_LIMIT_S / LOOK_S) - 1).has_stopped(0.01)
    assert silent(int(LEAST_LIMIT_S / LOOK_S)).has_stopped(0.01)


def test_a_parent_that_was_suspended_itself_takes_the_gap_for_nothing() -> None:
    for gap in (60.0, 86_400.0):
        pulse = silent(1, gap)
        assert not pulse.is_doubtful
        assert not pulse.has_stopped(1)


def test_a_parent_that_is_late_each_time_still_notices() -> None:
    assert silent(20, 3.0).has_stopped(10)
