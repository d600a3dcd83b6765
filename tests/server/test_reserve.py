"""Tests of pycast.server.reserve: which connections a full node serves, and how it refuses the others."""

import pytest
from gevent import socket

from pycast.balance.admission import RESERVE, Slot
from pycast.errors import Refused
from pycast.server.connection import Connection
from pycast.server.reserve import BUSY, MOMENT_S, RETRY_AFTER, Reserve, check_room, send_busy
from pycast.stats.counters import Counters
from tests.server.contexts import connect, connect_tcp, read_all

Pair = tuple[Connection, socket.socket]


def close(pairs: list[Pair]) -> None:
    for connection, peer in pairs:
        connection.close()
        peer.close()


def test_a_client_is_served_and_a_connection_on_the_reserve_is_refused() -> None:
    counters = Counters()
    check_room(counters, Slot.CLIENT)
    assert counters.refused_connections == 0
    with pytest.raises(Refused) as refused:
        check_room(counters, Slot.RESERVED)
    assert (refused.value.status, refused.value.headers) == (503, (RETRY_AFTER,))
    assert counters.refused_connections == 1


def test_a_full_reserve_refuses_its_oldest_connection_without_reading_it() -> None:
    counters = Counters()
    reserve = Reserve(counters, lambda: RESERVE)
    pairs = [connect() for _ in range(RESERVE + 2)]
    for connection, _ in pairs:
        reserve.hold(connection)
    assert counters.refused_connections == 2
    assert [read_all(peer) for _, peer in pairs[:2]] == [BUSY, BUSY]
    assert pairs[2][0].sock.fileno() >= 0
    close(pairs)


def held(count: int, room: int, monkeypatch: pytest.MonkeyPatch, seconds: float) -> tuple[Counters, list[Pair]]:
    """Holds `count` connections, then one more after `seconds`, with room for `room`."""
    now = 100.0
    monkeypatch.setattr("pycast.server.reserve.time.monotonic", lambda: now)
    counters = Counters()
    reserve = Reserve(counters, lambda: room)
    pairs = [connect() for _ in range(count + 1)]
    for connection, _ in pairs[:count]:
        reserve.hold(connection)
    now += seconds
    reserve.hold(pairs[count][0])
    return counters, pairs


def test_with_room_each_connection_has_a_moment_for_its_request(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, pairs = held(2 * RESERVE, 4 * RESERVE, monkeypatch, MOMENT_S - 0.01)
    assert counters.refused_connections == 0
    close(pairs)


def test_after_its_moment_the_oldest_is_refused_and_the_reserve_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, pairs = held(2 * RESERVE, 4 * RESERVE, monkeypatch, MOMENT_S)
    assert counters.refused_connections == 2  # for one new one
    assert [read_all(peer) for _, peer in pairs[:2]] == [BUSY, BUSY]
    close(pairs)


def test_however_many_come_at_once_no_more_are_held_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    counters, pairs = held(2 * RESERVE, RESERVE + 10, monkeypatch, 0.0)
    assert counters.refused_connections == RESERVE + 1 - 10
    close(pairs)


def test_a_connection_that_was_served_makes_room() -> None:
    counters = Counters()
    reserve = Reserve(counters, lambda: RESERVE)
    pairs = [connect() for _ in range(RESERVE + 1)]
    for connection, _ in pairs[:RESERVE]:
        reserve.hold(connection)
    reserve.release(pairs[5][0])
    reserve.release(pairs[5][0])
    reserve.hold(pairs[RESERVE][0])
    assert counters.refused_connections == 0
    close(pairs)


def test_under_tls_the_oldest_is_closed_without_an_answer() -> None:
    reserve = Reserve(Counters(), lambda: RESERVE)
    pairs = [connect() for _ in range(RESERVE + 1)]
    pairs[0][0].tls = True
    for connection, _ in pairs:
        reserve.hold(connection)
    assert read_all(pairs[0][1]) == b""
    close(pairs)


@pytest.mark.parametrize("request_bytes", [b"", b"GET / HTTP/1.0\r\n\r\n"])
def test_the_answer_is_not_overtaken_by_a_reset(request_bytes: bytes) -> None:
    connection, peer = connect_tcp()
    peer.sendall(request_bytes)
    send_busy(connection.sock)
    assert read_all(peer) == BUSY
    peer.close()
