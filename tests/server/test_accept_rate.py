"""Tests of pycast.server.accept_rate: the rate of LB-20."""

import pytest

from pycast.server.accept_rate import AcceptRate


def test_lb_20_without_a_limit_all_connections_are_accepted() -> None:
    assert AcceptRate().take(0.0, 0, 32) == 32


@pytest.mark.parametrize("rate", [5, 100, 1000])
def test_lb_20_a_storm_is_accepted_at_the_rate(rate: int) -> None:
    accepting = AcceptRate()
    taken = sum(accepting.take(tick / 100, rate, 32) for tick in range(1, 501))
    assert taken == pytest.approx(5 * rate, rel=0.05, abs=2)


def test_lb_20_tokens_that_were_not_used_can_be_put_back() -> None:
    accepting = AcceptRate()
    assert accepting.take(10.0, 100, 32) == 10
    accepting.give_back(9)
    assert accepting.take(10.0, 100, 32) == 9
