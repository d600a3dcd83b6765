"""Tests of pycast.server.shoutcast_source: the handshake, and the answer to each error."""

from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.balance.admission import Slot
from pycast.http.shoutcast import REPLY_OK
from pycast.net.group import Task
from pycast.server.connection import Connection
from pycast.server.shoutcast_source import serve_shoutcast
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, connect_tcp, make_bench, read_all

HEAD = b"icy-name:Radio\r\ncontent-type:text/plain\r\n\r\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench()
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    connection, peer = connect_tcp()
    yield connection, peer
    connection.close()
    peer.close()


Pair = tuple[Connection, socket.socket]


def serve(bench: Bench, pair: Pair, first: bytes = b"", slot: Slot = Slot.CLIENT) -> Task:
    """Serves the connection as the acceptor does."""

    def run() -> None:
        serve_shoutcast(bench.context, pair[0], slot, "/sc", first)
        pair[0].close()

    return bench.spawn(run)


def test_a_source_streams_until_it_ends(bench: Bench, pair: Pair, wait_until: WaitUntil) -> None:
    serving = serve(bench, pair)
    pair[1].sendall(b"hackme\r\n")
    assert pair[1].recv(100) == REPLY_OK
    pair[1].sendall(HEAD + b"audio")
    wait_until(lambda: bench.context.mounts.get("/sc"), "the mount")
    mount = bench.context.mounts.get("/sc")
    assert mount is not None and mount.description is not None
    wait_until(lambda: mount.bytes_read == 5, "the audio")
    assert mount.description.info.name == "Radio"
    pair[1].shutdown(socket.SHUT_WR)
    wait_until(serving.ready, "the end")
    assert bench.context.mounts.source("/sc") is None


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_handshake_may_arrive_in_pieces_and_without_waiting(bench: Bench, pair: Pair, size: int) -> None:
    data = b"/other:hackme\r\n" + HEAD + b"audio"
    serve(bench, pair, data[:size])
    pair[1].sendall(data[size:])
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]) == REPLY_OK
    mount = bench.context.mounts.get("/other")
    assert mount is not None and mount.bytes_read == 5


def test_a_wrong_password_closes_without_an_answer(bench: Bench, pair: Pair) -> None:
    serve(bench, pair, b"wrong\r\n" + HEAD)
    assert read_all(pair[1]) == b""
    assert bench.context.counters.bad_requests == 1


def test_a_full_node_answers_503_after_a_right_password_only(bench: Bench, pair: Pair) -> None:
    serve(bench, pair, b"hackme\r\n", Slot.RESERVED)
    assert pair[1].recv(1000).startswith(b"HTTP/1.0 503 ")


def test_the_path_of_a_page_cannot_be_a_mount(bench: Bench, pair: Pair) -> None:
    serve(bench, pair, b"/livez:hackme\r\n" + HEAD)
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).startswith(REPLY_OK + b"HTTP/1.0 403 ")
    assert bench.context.mounts.get("/livez") is None


def test_a_poke_is_closed_without_an_answer(bench: Bench, pair: Pair) -> None:
    serve(bench, pair, b"!POKE\r\n")
    assert read_all(pair[1]) == b""
    assert bench.context.counters.bad_requests == 0


def test_http_is_served_as_http(bench: Bench, pair: Pair) -> None:
    serve(bench, pair, b"GET /livez HTTP/1.0\r\n")
    pair[1].sendall(b"\r\n")
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).endswith(b"alive\n")
    assert [entry.path for entry in bench.accesses] == ["/livez"]


def test_half_a_handshake_ends_in_time(
    bench: Bench, pair: Pair, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level("INFO")
    serving = serve(bench, pair, b"hack")
    wait_until(serving.ready, "the end", 3)
    assert read_all(pair[1]) == b""
    assert "no complete handshake in time" in caplog.text


def test_a_peer_that_leaves_before_the_password_is_not_logged(
    bench: Bench, pair: Pair, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    caplog.set_level("INFO")
    serving = serve(bench, pair)
    pair[1].shutdown(socket.SHUT_WR)
    wait_until(serving.ready, "the end")
    assert caplog.records == []
