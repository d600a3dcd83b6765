"""Tests of pycast.server.source_rate: how long a source waits that sends too much."""

from pycast.server.source_rate import BURST_S, SourceRate

LIMIT = 80_000  # bits, so 10,000 bytes a second


def test_a_source_within_its_limit_never_waits() -> None:
    rate = SourceRate(0.0)
    assert not any(rate.wait(1000, LIMIT, now / 10) for now in range(600))


def test_what_is_kept_for_a_few_seconds_may_come_at_once() -> None:
    rate = SourceRate(0.0)
    assert rate.wait(int(BURST_S * 10_000), LIMIT, 0.0) == 0
    assert rate.wait(10_000, LIMIT, 0.0) == 1.0


def test_over_any_time_it_gets_no_more_than_the_limit_and_the_burst() -> None:
    rate, now, got = SourceRate(0.0), 0.0, 0
    while now < 60:
        got += 4096
        now += rate.wait(4096, LIMIT, now) + 0.01
    assert 60 * 10_000 <= got <= (60 + BURST_S) * 10_000 + 4096


def test_a_pause_of_an_hour_is_worth_no_more_than_the_burst() -> None:
    rate = SourceRate(0.0)
    rate.wait(1, LIMIT, 0.0)
    assert rate.wait(int((BURST_S + 2) * 10_000), LIMIT, 3600.0) == 2.0


def test_without_a_limit_nothing_is_owed_later() -> None:
    rate = SourceRate(0.0)
    assert rate.wait(1 << 30, 0, 0.0) == 0
    assert rate.wait(1000, LIMIT, 0.0) == 0
