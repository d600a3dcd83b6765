"""Tests of pycast.server.newcomers: who has sent nothing yet waits without a greenlet, and nobody is lost."""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from pycast.net.group import Group
from pycast.net.sockets import detach
from pycast.server import newcomers as module
from pycast.server.connection import Connection
from pycast.server.newcomers import Newcomers
from tests.conftest import WaitUntil

Pair = tuple[Connection, socket.socket]


class Doors:
    """What was passed on, and to which door."""

    def __init__(self) -> None:
        self.pages: list[tuple[Connection, bytes]] = []
        self.clients: list[tuple[Connection, bytes]] = []
        self.newcomers = Newcomers(
            lambda data: data == b"page",
            lambda connection, data: self.pages.append((connection, data)),
            lambda connection, data: self.clients.append((connection, data)),
        )


@pytest.fixture
def doors() -> Iterator[Doors]:
    made, group = Doors(), Group()
    group.spawn("newcomers", made.newcomers.run)
    yield made
    group.kill()
    made.newcomers.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, peer = socket.socketpair()
    connection = Connection(detach(ours), "127.0.0.1", False)
    yield connection, peer
    connection.close()
    peer.close()


@pytest.mark.parametrize("data", [b"page", b"other"])
def test_who_has_sent_something_is_passed_on_at_once(doors: Doors, pair: Pair, data: bytes) -> None:
    connection, peer = pair
    peer.sendall(data)
    doors.newcomers.take(connection)
    assert (doors.pages, doors.clients) == (
        ([(connection, data)], []) if data == b"page" else ([], [(connection, data)])
    )


def test_who_sends_later_waits_and_is_passed_on_then(doors: Doors, pair: Pair, wait_until: WaitUntil) -> None:
    connection, peer = pair
    doors.newcomers.take(connection)
    gevent.sleep(0)
    assert not doors.clients
    assert len(doors.newcomers) == 1
    peer.sendall(b"page")
    wait_until(lambda: doors.pages == [(connection, b"page")], "the request")
    assert len(doors.newcomers) == 0


def test_who_leaves_and_who_stays_silent_is_passed_on_with_nothing(
    doors: Doors, pair: Pair, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOMENT_S", 0.0)
    doors.newcomers.take(pair[0])
    wait_until(lambda: doors.clients == [(pair[0], b"")], "the end of the moment")
    ours, peer = socket.socketpair()
    connection = Connection(detach(ours), "127.0.0.1", False)
    peer.close()
    doors.newcomers.take(connection)
    assert doors.clients[1:] == [(connection, b"")]
    connection.close()


def test_who_was_closed_meanwhile_is_forgotten(doors: Doors, pair: Pair, wait_until: WaitUntil) -> None:
    doors.newcomers.take(pair[0])
    pair[0].close()
    wait_until(lambda: len(doors.newcomers) == 0, "the sweep")
    assert (doors.pages, doors.clients) == ([], [])


def test_its_end_passes_on_all_who_are_left(pair: Pair) -> None:
    doors = Doors()
    doors.newcomers.take(pair[0])
    pair[1].sendall(b"page")
    doors.newcomers.close()
    assert doors.pages == [(pair[0], b"page")]


def test_of_many_who_send_at_once_a_few_get_a_greenlet_in_a_turn(doors: Doors, wait_until: WaitUntil) -> None:
    pairs = []
    for _ in range(40):
        ours, peer = socket.socketpair()
        pairs.append((Connection(detach(ours), "127.0.0.1", False), peer))
    turns: list[int] = []
    doors.newcomers._on_client = lambda connection, data: turns.append(gevent.get_hub().loop.iteration)
    for connection, _ in pairs:
        doors.newcomers.take(connection)
    for _, peer in pairs:
        peer.sendall(b"other")
    wait_until(lambda: len(turns) == len(pairs), "all of them")
    assert max(turns.count(turn) for turn in turns) <= module.CLIENTS_AT_ONCE
    for connection, peer in pairs:
        connection.close()
        peer.close()
