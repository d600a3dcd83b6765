"""It calls while there is something to do, and lets the loop sleep otherwise."""

import gevent

from pycast.net.sweeper import Sweeper
from tests.conftest import WaitUntil


def test_it_calls_until_there_is_nothing_left_and_begins_again(wait_until: WaitUntil) -> None:
    left = [3]

    def sweep() -> bool:
        left[0] -= 1
        return left[0] > 0

    sweeper = Sweeper(0.001, sweep)
    for count in (3, 2):
        left[0] = count
        sweeper.begin()
        sweeper.begin()
        wait_until(lambda: left[0] == 0, "the last call")
        gevent.sleep(0.01)
        assert left[0] == 0 and sweeper._timer is None


def test_who_closes_it_is_called_no_more() -> None:
    calls: list[int] = []

    def sweep() -> bool:
        calls.append(1)
        return True

    sweeper = Sweeper(0.001, sweep)
    sweeper.begin()
    sweeper.close()
    sweeper.close()
    gevent.sleep(0.01)
    assert calls == []
