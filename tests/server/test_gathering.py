"""Tests of pycast.server.gathering."""

import socket

import gevent
import pytest

from pycast.server.gathering import GATHER_S, MOST_MISSES, TRY_AGAIN_S, Gathering


class Port:
    """A port whose clients come at known times, and are all taken at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.gathering = Gathering(lambda: self.now)

    def take(self, count: int, after_s: float, is_all: bool = True) -> bool:
        self.now += after_s
        self.gathering.took(count, is_all)
        return self.gathering.is_on


def test_on_a_quiet_port_nobody_waits() -> None:
    port = Port()
    assert not any(port.take(1, 2 * GATHER_S) for _ in range(100))


def test_where_many_come_they_are_taken_together_also_if_a_few_times_there_are_fewer() -> None:
    port = Port()
    port.take(1, 1.0)
    assert port.take(1, GATHER_S / 5)
    assert all(port.take(count, GATHER_S) for count in (5, 1, 0, 4, 1, 1, 2, 0, 0, 9) * 10)


def test_it_ends_when_they_come_one_by_one_and_is_tried_again_later() -> None:
    port = Port()
    port.take(1, 1.0)
    assert [port.take(1, GATHER_S / 5) for _ in range(MOST_MISSES + 1)] == [True] * MOST_MISSES + [False]
    assert not any(port.take(1, GATHER_S / 5) for _ in range(int(0.9 * TRY_AGAIN_S / GATHER_S)))
    assert port.take(1, TRY_AGAIN_S) is False  # nobody came for long
    assert port.take(1, GATHER_S / 5)


def test_while_more_wait_than_were_taken_nobody_waits_for_others() -> None:
    port = Port()
    port.take(1, 1.0)
    assert port.take(1, GATHER_S / 5)
    assert not port.take(512, GATHER_S, is_all=False)


def test_the_first_client_is_noticed_when_it_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        gathering = Gathering()
        with gevent.Timeout(0.01), pytest.raises(gevent.Timeout):  # nobody has come
            gathering.wait(listening.fileno())
        with socket.create_connection(listening.getsockname()), gevent.Timeout(20):
            gathering.wait(listening.fileno())
