"""Tests of pycast.server.newcomers: who has sent nothing yet waits without a greenlet, and nobody is lost."""

from collections.abc import Iterator
from typing import cast

import gevent
import pytest
from gevent import socket

from pycast.net.group import Group
from pycast.net.sockets import detach
from pycast.net.tls_session import TlsSession
from pycast.server import newcomers as module
from pycast.server.connection import Connection
from pycast.server.newcomers import Newcomers
from tests.conftest import WaitUntil

Pair = tuple[Connection, socket.socket]


class Door:
    """What was passed on."""

    def __init__(self) -> None:
        self.passed: list[tuple[Connection, bytes]] = []
        self.newcomers = Newcomers(self.pass_on)

    def pass_on(self, connection: Connection, data: bytes) -> bool:
        self.passed.append((connection, data))
        return data == b"greenlet"


@pytest.fixture
def door() -> Iterator[Door]:
    made, group = Door(), Group()
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


def test_who_has_sent_something_is_passed_on_at_once(door: Door, pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(b"page")
    door.newcomers.take(connection)
    assert door.passed == [(connection, b"page")]


def test_who_sends_later_waits_and_is_passed_on_then(door: Door, pair: Pair, wait_until: WaitUntil) -> None:
    connection, peer = pair
    door.newcomers.take(connection)
    gevent.sleep(0)
    assert not door.passed
    assert len(door.newcomers) == 1
    peer.sendall(b"page")
    wait_until(lambda: door.passed == [(connection, b"page")], "the request")
    assert len(door.newcomers) == 0


def test_who_leaves_and_who_stays_silent_is_passed_on_with_nothing(
    door: Door, pair: Pair, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOMENT_S", 0.0)
    door.newcomers.take(pair[0])
    wait_until(lambda: door.passed == [(pair[0], b"")], "the end of the moment")
    ours, peer = socket.socketpair()
    connection = Connection(detach(ours), "127.0.0.1", False)
    peer.close()
    door.newcomers.take(connection)
    assert door.passed[1:] == [(connection, b"")]
    connection.close()


def test_who_is_in_the_middle_of_a_handshake_waits_longer_but_not_longer_than_a_client_may_take(
    pair: Pair, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOMENT_S", 0.01)
    monkeypatch.setattr(module, "HANDSHAKE_MOMENT_S", 600.0)
    most_s, passed = [600.0], list[Connection]()

    def pass_on(connection: Connection, data: bytes) -> bool:
        passed.append(connection)
        return True

    newcomers = Newcomers(pass_on, most_s=lambda: most_s[0])
    ours, peer = socket.socketpair()
    silent, (shaking, _) = Connection(detach(ours), "127.0.0.1", False), pair
    shaking.session = cast(TlsSession, object())
    newcomers.take(shaking)
    newcomers.take(silent)
    wait_until(lambda: passed == [silent], "the end of the moment")
    assert len(newcomers) == 1
    most_s[0] = 0.0  # `header_timeout`
    wait_until(lambda: passed == [silent, shaking], "the end of its time")
    newcomers.close()
    shaking.session = None
    silent.close()
    peer.close()


def test_who_was_closed_meanwhile_is_forgotten(door: Door, pair: Pair, wait_until: WaitUntil) -> None:
    door.newcomers.take(pair[0])
    pair[0].close()
    wait_until(lambda: len(door.newcomers) == 0, "the sweep")
    assert door.passed == []


def test_its_end_passes_on_all_who_are_left(pair: Pair) -> None:
    door = Door()
    door.newcomers.take(pair[0])
    pair[1].sendall(b"page")
    door.newcomers.close()
    assert door.passed == [(pair[0], b"page")]


@pytest.fixture
def many() -> Iterator[list[Pair]]:
    pairs = []
    for _ in range(40):
        ours, peer = socket.socketpair()
        pairs.append((Connection(detach(ours), "127.0.0.1", False), peer))
    yield pairs
    for connection, peer in pairs:
        connection.close()
        peer.close()


@pytest.mark.parametrize("data", [b"greenlet", b"player"])
def test_of_many_who_send_at_once_a_few_get_a_greenlet_in_a_turn_and_all_others_need_none(
    door: Door, many: list[Pair], data: bytes, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_S", 10.0)
    turns: list[int] = []

    def pass_on(connection: Connection, data: bytes) -> bool:
        turns.append(gevent.get_hub().loop.iteration)
        return door.pass_on(connection, data)

    door.newcomers._pass_on = pass_on
    for connection, _ in many:
        door.newcomers.take(connection)
    for _, peer in many:
        peer.sendall(data)
    wait_until(lambda: len(turns) == len(many), "all of them")
    most = max(turns.count(turn) for turn in turns)
    assert most <= module.GREENLETS_AT_ONCE if data == b"greenlet" else most == len(many)


def test_a_turn_ends_when_its_time_is_over(
    door: Door, many: list[Pair], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_S", 0.0)
    for connection, peer in many:
        door.newcomers.take(connection)
        peer.sendall(b"player")
    wait_until(lambda: len(door.newcomers) == 0, "the sweep, and no turn")
    assert [connection for connection, _ in door.passed] == [connection for connection, _ in many]


def test_of_a_crowd_that_stays_silent_only_some_are_passed_on_at_a_time(
    door: Door, many: list[Pair], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SILENT", 5)
    monkeypatch.setattr(module, "MOMENT_S", 0.0)
    for connection, _ in many:
        door.newcomers.take(connection)
    assert door.newcomers._sweep() == len(many) - 5
    assert len(door.passed) == 5
    wait_until(lambda: len(door.newcomers) == 0, "all of them")
    assert [connection for connection, _ in door.passed] == [connection for connection, _ in many]
