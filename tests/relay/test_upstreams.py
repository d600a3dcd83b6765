"""Upstreams are tried in order, with pauses of seconds, and the best one is returned to."""

from pycast.relay.place import Place
from pycast.relay.upstreams import LEAST_RUN_S, LONGEST_PAUSE_S, STAY_S, Upstreams

PLACES = [Place("a", 80, "/"), Place("b", 80, "/")]


def test_pauses_double_and_stay_short() -> None:
    upstreams, now, pauses = Upstreams(PLACES[:1], lambda: 0.0), 100.0, []
    for _ in range(8):
        upstreams.failed(0, now)
        pauses.append(upstreams.pause(now))
        now += pauses[-1]
        assert (upstreams.pause(now), upstreams.next(now)) == (0, 0)
    assert pauses == [0.5, 1, 2, 4, 8, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_servers_do_not_come_back_in_step() -> None:
    upstreams = Upstreams(PLACES[:1], lambda: 1.0)
    upstreams.failed(0, 0.0)
    assert upstreams.pause(0.0) == 0.5 * 1.25


def test_second_one_is_tried_at_once_and_the_first_one_again_when_its_pause_is_over() -> None:
    upstreams = Upstreams(PLACES, lambda: 0.0)
    assert (upstreams.next(0.0), upstreams.has_failed) == (0, False)
    upstreams.failed(0, 0.0)
    assert (upstreams.pause(0.0), upstreams.next(0.0), upstreams.has_failed) == (0, 1, True)
    assert upstreams.better(1, STAY_S - 1, since=0.0) is None
    assert upstreams.better(1, STAY_S, since=0.0) == 0
    upstreams.failed(0, STAY_S)
    assert upstreams.better(1, STAY_S, since=0.0) is None
    assert upstreams.better(0, 99.0, since=0.0) is None


def test_stream_that_ends_soon_is_a_failure_and_one_that_lasted_is_forgotten() -> None:
    upstreams = Upstreams(PLACES[:1], lambda: 0.0)
    for _ in range(4):
        upstreams.ended(0, 0.0, lasted_s=1.0)
    assert upstreams.pause(0.0) == 4
    upstreams.ended(0, 0.0, lasted_s=LEAST_RUN_S)
    assert upstreams.pause(0.0) == 0.5
