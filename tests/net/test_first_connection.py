"""Tests of pycast.net.first_connection: a dead address takes its share of the time only, and comes last next time."""

import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from pycast.net.failed_endpoints import FailedEndpoints
from pycast.net.first_connection import connect
from tests.net.deaf import deaf_port


@pytest.fixture
def good() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def deaf() -> Iterator[int]:
    with deaf_port() as port:
        yield port


def give(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Has the name stand for these addresses."""

    def getaddrinfo(host: str, port: int, *rest: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", one)) for one in ports]

    monkeypatch.setattr("pycast.net.first_connection.socket.getaddrinfo", getaddrinfo)


def failed() -> FailedEndpoints:
    return FailedEndpoints(time.monotonic)


def test_dead_address_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch, good: int, deaf: int) -> None:
    give(monkeypatch, deaf, good)
    known, begun = failed(), time.monotonic()
    with connect("name", 1, 2.0, known) as sock:
        assert sock.getpeername()[1] == good and sock.gettimeout() == 2.0
    assert 0.9 < time.monotonic() - begun < 2.0
    with gevent.Timeout(0.9), connect("name", 1, 20.0, known) as sock:
        assert sock.getpeername()[1] == good


def test_address_of_a_kind_that_this_machine_lacks_is_passed_over(monkeypatch: pytest.MonkeyPatch, good: int) -> None:
    found = [
        (family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", good)) for family in (socket.AF_APPLETALK, socket.AF_INET)
    ]
    monkeypatch.setattr("pycast.net.first_connection.socket.getaddrinfo", lambda *rest: found)
    with connect("name", 1, 2.0, failed()) as sock:
        assert sock.getpeername()[1] == good


def test_only_address_has_all_the_time(monkeypatch: pytest.MonkeyPatch, deaf: int) -> None:
    give(monkeypatch, deaf)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        connect("name", 1, 0.3, failed())
    assert time.monotonic() - begun >= 0.3


def test_error_is_that_of_the_last_address(monkeypatch: pytest.MonkeyPatch) -> None:
    give(monkeypatch, 1, 1)
    with pytest.raises(ConnectionRefusedError):
        connect("name", 1, 5.0, failed())
    give(monkeypatch)
    with pytest.raises(OSError, match="no address"):
        connect("name", 1, 5.0, failed())


def test_attempt_that_is_given_up_leaves_no_socket(monkeypatch: pytest.MonkeyPatch, deaf: int) -> None:
    give(monkeypatch, deaf)
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        connect("name", 1, 20.0, failed())
