"""Tests of pycast.net.rhythm."""

import time

from pycast.net.rhythm import wait_for_next


def test_loops_of_one_period_wake_at_the_same_moments() -> None:
    for _ in range(3):
        wait_for_next(0.05)
        assert time.monotonic() % 0.05 < 0.04
