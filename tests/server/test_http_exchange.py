"""Tests of pycast.server.http_exchange: it reads requests, and sends bodies that are not in memory."""

import socket as plain
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from pycast.errors import BodyError, HeadTooLarge, RequestError
from pycast.http.request import Request
from pycast.http.response import FileParts, FileRange, Response, ResponseBody
from pycast.server.connection import Connection
from pycast.server.http_exchange import PIECE_SIZE, HttpExchange
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, connect, make_bench, read_all

GET = b"GET /x HTTP/1.1\r\nReferer: r\r\nUser-Agent: a\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nContent-Length: 10\r\n%b\r\n"
BIG = 50 << 20


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench('[http_headers]\nX-Own = "1"\n')
    yield made
    made.close()


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    connection, peer = connect()
    yield connection, peer
    connection.close()
    peer.close()


Pair = tuple[Connection, socket.socket]


def begin(bench: Bench, pair: Pair, head: bytes = GET) -> tuple[HttpExchange, Request]:
    """Returns an exchange whose head has been read."""
    exchange = HttpExchange(bench.context, pair[0])
    request = exchange.read_head(head)
    assert request is not None
    return exchange, request


def start(bench: Bench, pair: Pair, body: ResponseBody, head: bytes = GET) -> Callable[[], bool]:
    """Sends an answer with this body in a greenlet, and closes. Returns a predicate that is true once that is done."""
    exchange, _ = begin(bench, pair, head)

    def send() -> None:
        exchange.send(Response(200, body, "audio/mpeg"))
        pair[0].close()

    return bench.spawn(send).ready


class Pieces:
    """An iterator that notes whether it was closed."""

    def __init__(self, *pieces: bytes | Exception, endless: bool = False) -> None:
        self.closed = 0
        self._pieces = list(pieces)
        self._endless = endless

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        gevent.sleep(0.001)
        if self._endless:
            return b"x" * 1000
        if not self._pieces:
            raise StopIteration
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.closed += 1


# -- the request


def test_a_head_is_read_however_its_bytes_arrive(bench: Bench, pair: Pair) -> None:
    connection, peer = pair
    exchange = HttpExchange(bench.context, connection)
    peer.sendall(GET[10:] + b"rest")
    request = exchange.read_head(GET[:10])
    assert request is not None and exchange.request is request
    assert (request.path, exchange.rest) == ("/x", b"rest")


def test_a_peer_that_closes_without_sending_anything_has_no_request(bench: Bench, pair: Pair) -> None:
    connection, peer = pair
    peer.close()
    exchange = HttpExchange(bench.context, connection)
    assert exchange.read_head() is None
    exchange.log_access(200)
    assert bench.accesses == []


def test_half_a_head_is_an_error(bench: Bench, pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(GET[:10])
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(RequestError, match="in the middle of its head"):
        HttpExchange(bench.context, connection).read_head()


def test_a_head_that_takes_too_long_times_out_however_its_bytes_are_spread(bench: Bench, pair: Pair) -> None:
    connection, peer = pair

    def drip() -> None:
        while True:
            peer.sendall(b"x")
            gevent.sleep(0.02)

    dripping = bench.spawn(drip)
    with gevent.Timeout(5), pytest.raises(TimeoutError):
        HttpExchange(bench.context, connection).read_head()
    dripping.kill()


def test_an_endless_head_is_too_large(bench: Bench, pair: Pair) -> None:
    with pytest.raises(HeadTooLarge):
        HttpExchange(bench.context, pair[0]).read_head(b"GET /" + b"x" * 20_000)


def test_a_body_is_read_to_its_end(bench: Bench, pair: Pair) -> None:
    exchange, request = begin(bench, pair, POST % b"" + b"01234")
    pair[1].sendall(b"56789more")
    assert exchange.read_body(request, 10) == b"0123456789"


def test_a_body_that_does_not_arrive_is_a_408(bench: Bench, pair: Pair) -> None:
    exchange, request = begin(bench, pair, POST % b"" + b"half")
    with pytest.raises(BodyError) as caught:
        exchange.read_body(request, 100)
    assert caught.value.status == 408


def test_a_body_that_is_too_long_is_a_413(bench: Bench, pair: Pair) -> None:
    exchange, request = begin(bench, pair, POST % b"")
    with pytest.raises(BodyError) as caught:
        exchange.read_body(request, 9)
    assert caught.value.status == 413


def test_100_continue_is_sent_once_if_the_sender_of_a_body_waits_for_it(bench: Bench, pair: Pair) -> None:
    exchange, request = begin(bench, pair, POST % b"Expect: 100-continue\r\n")
    reading = bench.spawn(exchange.read_body, request, 10)
    assert pair[1].recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    pair[1].sendall(b"0123456789")
    reading.join(5)
    assert reading.successful()


# -- the answer


def test_head_and_bytes_go_out_in_one_write(bench: Bench, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    monkeypatch.setattr(pair[0], "write", lambda data, timeout: writes.append(data))
    exchange, _ = begin(bench, pair)
    pair[1].close()
    exchange.send(Response(200, b"body"))
    (data,) = writes
    assert data.startswith(b"HTTP/1.0 200 OK\r\n") and data.endswith(b"X-Own: 1\r\nContent-Length: 4\r\n\r\nbody")


def test_an_access_is_logged_with_what_was_sent(bench: Bench, pair: Pair) -> None:
    exchange, _ = begin(bench, pair)
    pair[1].close()
    pair[0].bytes_sent = 7
    exchange.log_access(404)
    (entry,) = bench.accesses
    assert (entry.method, entry.path, entry.status, entry.bytes_sent) == ("GET", "/x", 404, 7)
    assert (entry.referer, entry.agent, entry.protocol) == ("r", "a", "HTTP/1.1")
    assert bench.context.counters.bytes_sent == 7


def test_the_time_of_an_access_is_right_when_the_clock_is_set(
    bench: Bench, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    exchange, _ = begin(bench, pair)
    monkeypatch.setattr("pycast.server.http_exchange.time.time", lambda: 4e9)
    exchange.log_access(200)
    (entry,) = bench.accesses
    assert entry.ended == 4e9 and 0 <= entry.duration_s < 60


def sparse(folder: Path, size: int = BIG) -> BinaryIO:
    file = (folder / "sparse").open("w+b")
    file.truncate(size)
    file.seek(1000)
    file.write(b"begin")
    file.seek(size - 3)
    file.write(b"end")
    file.flush()
    return file


def test_a_range_of_a_large_file_is_sent_without_being_in_memory(bench: Bench, pair: Pair, tmp_path: Path) -> None:
    file = sparse(tmp_path)
    tracemalloc.start()
    try:
        start(bench, pair, FileRange(file, 1000, BIG - 1000))
        head, size, last = b"", 0, b""
        while piece := pair[1].recv(PIECE_SIZE):
            if not head:
                head, _, piece = piece.partition(b"\r\n\r\n")
                piece = piece or pair[1].recv(PIECE_SIZE)
                assert piece.startswith(b"begin")
            size, last = size + len(piece), (last + piece)[-3:]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert f"\r\nContent-Length: {BIG - 1000}".encode() in head
    assert (size, last) == (BIG - 1000, b"end")
    assert peak < 2 << 20
    assert file.closed


def test_other_greenlets_run_after_each_piece(
    bench: Bench, pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the client reads so fast that no write has to wait."""
    turns, at_write = [0], []

    def count() -> None:
        while True:
            turns[0] += 1
            gevent.sleep(0)

    monkeypatch.setattr(pair[0], "write", lambda data, timeout: at_write.append(turns[0]))
    bench.spawn(count)
    start(bench, pair, FileRange(sparse(tmp_path, 10 * PIECE_SIZE), 0, 10 * PIECE_SIZE))
    read_all(pair[1])
    _, *pieces = at_write
    assert len(set(pieces)) == len(pieces) == 10


def test_a_range_of_no_bytes_is_an_answer(bench: Bench, pair: Pair, tmp_path: Path) -> None:
    start(bench, pair, FileRange(sparse(tmp_path, 1 << 12), 10, 0))
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).endswith(b"Content-Length: 0\r\n\r\n")


def test_parts_of_a_file_are_sent_with_what_stands_between_them(bench: Bench, pair: Pair, tmp_path: Path) -> None:
    file = sparse(tmp_path, 1 << 18)
    start(bench, pair, FileParts(file, (b"<", (1000, 5), b"|", ((1 << 18) - 3, 3), b">")))
    head, _, body = read_all(pair[1]).partition(b"\r\n\r\n")
    assert body == b"<begin|end>" and b"Content-Length: 11" in head
    assert file.closed


def test_the_stations_own_pages_are_not_restricted_in_a_browser(bench: Bench, pair: Pair) -> None:
    exchange, _ = begin(bench, pair)
    pair[1].shutdown(socket.SHUT_WR)
    exchange.send(Response(200, b"<script>", "text/html", is_own=True))
    pair[0].close()
    head = read_all(pair[1]).partition(b"\r\n\r\n")[0]
    assert b"Content-Security-Policy" not in head and b"X-Frame-Options" not in head
    assert b"X-Content-Type-Options: nosniff" in head and b"X-Own: 1" in head


def test_a_file_that_has_become_shorter_ends_the_connection_and_is_logged_once(
    bench: Bench, pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = sparse(tmp_path, 1 << 17)
    start(bench, pair, FileRange(file, 0, 1 << 18))
    assert len(read_all(pair[1]).partition(b"\r\n\r\n")[2]) == 1 << 17
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert "GET /x was cut short" in caplog.text and "131072 bytes are missing" in caplog.text
    assert file.closed


def test_a_file_that_cannot_be_read_is_not_logged_as_a_client_that_left(
    bench: Bench, pair: Pair, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = (tmp_path / "x").open("wb")
    start(bench, pair, FileRange(file, 0, 10))  # it may only be written
    assert read_all(pair[1]).endswith(b"\r\n\r\n")
    assert "cannot read its file: Bad file descriptor" in caplog.text


def test_a_client_that_stops_reading_is_ended_at_the_deadline_of_a_piece(
    bench: Bench, pair: Pair, tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    file, before = sparse(tmp_path), time.monotonic()
    is_over = start(bench, pair, FileRange(file, 0, BIG))
    wait_until(is_over, "the end", 3)
    assert time.monotonic() - before >= 0.3
    assert file.closed
    assert [one.getMessage() for one in caplog.records if one.levelname == "WARNING"] == [
        "! 127.0.0.1: GET /x was cut short: the client took nothing for 0.3 s"
    ]


def test_a_slow_reader_that_goes_on_gets_all(pair: Pair) -> None:
    """Each piece has its own deadline: all together take several times as long."""
    bench = make_bench(limits="[limits]\nclient_timeout = 0.7\n")  # longer than a busy machine stands still
    pair[0].sock.setsockopt(plain.SOL_SOCKET, plain.SO_SNDBUF, 1)
    pieces, before = Pieces(*[b"x" * 3000] * 20), time.monotonic()
    start(bench, pair, pieces)
    data = b""
    while piece := pair[1].recv(2000):
        data += piece
        gevent.sleep(0.04)
    assert data.endswith(b"x" * 60_000)
    assert time.monotonic() - before > 2 * 0.7
    assert pieces.closed == 1, "before the client has closed"
    bench.close()


def test_a_body_that_is_made_while_it_is_sent_ends_with_the_connection(bench: Bench, pair: Pair) -> None:
    pieces = Pieces(b"one ", b"", b"two")
    start(bench, pair, pieces)
    pair[1].shutdown(socket.SHUT_WR)
    head, _, body = read_all(pair[1]).partition(b"\r\n\r\n")
    assert b"Content-Length" not in head and b"Connection: Close" in head
    assert body == b"one two"
    assert pieces.closed == 1


def test_pieces_go_out_at_once(bench: Bench, pair: Pair) -> None:
    go_on = Event()

    def pieces() -> Iterator[bytes]:
        yield b"first"
        go_on.wait()
        yield b"second"

    start(bench, pair, pieces())
    data = b""
    while not data.endswith(b"first"):
        data += pair[1].recv(1000)
    go_on.set()
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]) == b"second"


def test_an_iterator_is_closed_when_its_client_leaves(
    bench: Bench, pair: Pair, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces(endless=True)
    is_over = start(bench, pair, pieces)
    pair[1].recv(5000)
    pair[1].close()
    wait_until(is_over, "the end")
    assert pieces.closed == 1
    assert caplog.records == [], "that a client leaves is no news"


def test_a_generator_is_closed_in_the_middle(bench: Bench, pair: Pair, wait_until: WaitUntil) -> None:
    ended: list[str] = []

    def lines() -> Iterator[bytes]:
        try:
            while True:
                yield b"line\n"
                gevent.sleep(0.001)
        finally:
            ended.append("closed")

    is_over = start(bench, pair, lines())
    pair[1].recv(100)
    pair[1].close()
    wait_until(is_over, "the end")
    assert ended == ["closed"]


@pytest.mark.parametrize("error", [ValueError("a bug"), OSError("a disk")])
def test_an_iterator_that_raises_ends_the_connection_and_is_logged_once(
    bench: Bench, pair: Pair, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    pieces = Pieces(b"begin", error)
    start(bench, pair, pieces)
    assert read_all(pair[1]).endswith(b"\r\n\r\nbegin")
    (record,) = caplog.records
    assert record.exc_info is not None and record.exc_info[1] is error
    assert pieces.closed == 1


def test_an_iterator_whose_greenlet_is_killed_is_closed(bench: Bench, pair: Pair) -> None:
    pieces = Pieces(endless=True)
    start(bench, pair, pieces)
    pair[1].recv(100)
    bench.context.group.kill()
    assert pieces.closed == 1


def test_head_sends_no_body_and_closes_it(bench: Bench, pair: Pair, tmp_path: Path) -> None:
    file = sparse(tmp_path, 1 << 20)
    start(bench, pair, FileRange(file, 0, 1 << 20), GET.replace(b"GET", b"HEAD"))
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).endswith(b"Content-Length: 1048576\r\n\r\n")
    assert file.closed


def test_head_does_not_start_an_iterator(bench: Bench, pair: Pair) -> None:
    pieces = Pieces(ValueError("started"))
    start(bench, pair, pieces, GET.replace(b"GET", b"HEAD"))
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).endswith(b"\r\n\r\n")
    assert pieces.closed == 1


def test_if_the_client_left_before_the_answer_the_body_is_closed_all_the_same(
    bench: Bench, pair: Pair, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    pair[1].close()
    pieces = Pieces(b"x")
    wait_until(start(bench, pair, pieces), "the end")
    assert pieces.closed == 1
    assert caplog.records == []


def test_a_body_that_cannot_be_closed_is_logged(
    bench: Bench, pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pieces = Pieces(b"x")
    monkeypatch.setattr(pieces, "close", lambda: 1 / 0)
    start(bench, pair, pieces)
    pair[1].shutdown(socket.SHUT_WR)
    assert read_all(pair[1]).endswith(b"x")
    gevent.sleep(0.01)
    assert "could not be closed" in caplog.text


@pytest.mark.parametrize("framing", [b"1;", b"0\r\nTrailer: "])
def test_a_body_of_framing_alone_is_refused(bench: Bench, pair: Pair, framing: bytes) -> None:
    """Neither its length nor its time could be limited by what is in it."""
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange, request = begin(bench, pair, head + framing)
    sending = bench.spawn(pair[1].sendall, b"x" * (1 << 20))
    with gevent.Timeout(5), pytest.raises(BodyError, match="over") as caught:
        exchange.read_body(request, 4096)
    assert caught.value.status == 400
    sending.kill()


def test_a_body_has_a_limit_with_its_framing(bench: Bench, pair: Pair) -> None:
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange, request = begin(bench, pair, head)
    sending = bench.spawn(pair[1].sendall, (b"1;" + b"x" * 900 + b"\r\na\r\n") * 2000)
    with gevent.Timeout(5), pytest.raises(BodyError) as caught:
        exchange.read_body(request, 4096)
    assert caught.value.status == 413
    sending.kill()


def test_a_body_of_one_byte_chunks_may_be_as_long_as_any(bench: Bench, pair: Pair) -> None:
    head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    exchange, request = begin(bench, pair, head)
    sending = bench.spawn(pair[1].sendall, b"1\r\na\r\n" * 4096 + b"0\r\n\r\n")
    assert exchange.read_body(request, 4096) == b"a" * 4096
    sending.kill()
