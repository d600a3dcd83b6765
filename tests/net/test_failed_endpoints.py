"""Tests of pycast.net.failed_endpoints: addresses that did not answer come last, and get their turn again."""

import pytest

from pycast.net.failed_endpoints import FORGOTTEN_S, Endpoint, FailedEndpoints

ONE, TWO, THREE = ends = [(2, (f"192.0.2.{number}", 80)) for number in (1, 2, 3)]


def test_addresses_that_failed_come_last_in_the_order_in_which_they_failed() -> None:
    now = 100.0
    failed = FailedEndpoints(lambda: now)
    assert failed.at_the_end(ends) == ends
    failed.add(ONE)
    now += 1
    with pytest.raises(OSError), failed.unless_answered(TWO):
        raise OSError
    assert failed.at_the_end(ends) == [THREE, ONE, TWO]
    with failed.unless_answered(ONE):
        pass
    assert failed.at_the_end(ends) == [ONE, THREE, TWO]


def test_failures_are_forgotten_after_a_while() -> None:
    now = 100.0
    failed = FailedEndpoints(lambda: now)
    failed.add(ONE)
    now += FORGOTTEN_S - 1
    assert failed.at_the_end(ends)[-1] == ONE
    now += 2
    assert failed.at_the_end(ends) == ends


def test_stop_of_the_server_is_no_failure_of_the_address() -> None:
    failed = FailedEndpoints(lambda: 100.0)
    with pytest.raises(SystemExit), failed.unless_answered(ONE):
        raise SystemExit
    assert failed.at_the_end(ends) == ends


def test_no_address_is_left_out() -> None:
    failed = FailedEndpoints(lambda: 100.0)
    twice: list[Endpoint] = [ONE, ONE, TWO]
    for end in twice:
        failed.add(end)
    assert sorted(failed.at_the_end(twice)) == sorted(twice)
