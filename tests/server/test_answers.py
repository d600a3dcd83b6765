"""Tests of pycast.server.answers: answers go out without a greenlet each, and who does not read harms nobody."""

from collections.abc import Iterator
from itertools import pairwise

import gevent
import pytest
from gevent import socket

from pycast.errors import Refused
from pycast.logs.access import AccessEntry
from pycast.net.group import Group
from pycast.server import answers as module
from pycast.server.answers import Answers, PageTurns
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, connect_tcp, make_bench, read_all

HEAD = b"HTTP/1.0 200 OK\r\n\r\n"
LARGE = bytes(20_000_000)
ENTRY = AccessEntry("127.0.0.1", "", 0.0, "GET", "/", "HTTP/1.0", 200, 0, "", "", 0.0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench(limits="[limits]\nclient_timeout = 30\n")
    yield made
    made.close()


@pytest.fixture
def answers(bench: Bench) -> Answers:
    return bench.context.answers


def take(bench: Bench, body: bytes, *, small_window: bool = True) -> socket.socket:
    """Sends an answer to a client that reads nothing yet. Returns the client's end."""
    connection, peer = connect_tcp()
    if small_window:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bench.context.admission.enter()
    bench.context.answers.take(connection, ENTRY, HEAD, body)
    return peer


def test_an_answer_is_sent_logged_and_its_connection_ends(bench: Bench, wait_until: WaitUntil) -> None:
    with take(bench, b"body") as peer:
        assert [(one.status, one.bytes_sent) for one in bench.accesses] == [(200, len(HEAD) + 4)]
        assert read_all(peer) == HEAD + b"body"
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert len(bench.context.answers) == 0
    assert len(bench.accesses) == 1


def test_the_time_of_an_answer_is_right_when_the_clock_is_set(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, peer = connect_tcp()
    bench.context.admission.enter()
    monkeypatch.setattr("pycast.server.answers.time.time", lambda: 4e9)
    with peer:
        bench.context.answers.take(connection, ENTRY, HEAD, b"body")
    (entry,) = bench.accesses
    assert entry.ended == 4e9 and 0 <= entry.duration_s < 60


def test_a_large_answer_arrives_whole_at_a_client_that_reads_slowly(bench: Bench, wait_until: WaitUntil) -> None:
    with take(bench, LARGE, small_window=False) as peer:
        assert bench.accesses == []
        gevent.sleep(0)
        size = 0
        with gevent.Timeout(30):
            while piece := peer.recv(1 << 20):
                size += len(piece)
        assert size == len(HEAD) + len(LARGE)
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert [one.bytes_sent for one in bench.accesses] == [size]


def test_a_client_that_goes_on_sending_is_let_go(bench: Bench, wait_until: WaitUntil) -> None:
    with take(bench, b"body", small_window=False) as peer:
        with pytest.raises(OSError), gevent.Timeout(10):
            while True:
                peer.sendall(bytes(65_536))
        wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")


def test_a_client_that_leaves_in_the_middle_is_counted_out_and_logged(bench: Bench, wait_until: WaitUntil) -> None:
    peer = take(bench, LARGE)
    peer.close()
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert 0 < bench.accesses[0].bytes_sent < len(LARGE)
    assert bench.context.counters.bytes_sent == bench.accesses[0].bytes_sent


def test_who_does_not_close_is_closed(
    bench: Bench, answers: Answers, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(module, "LINGER_S", 0.0)
    with take(bench, b"body") as peer:
        wait_until(lambda: len(answers) == 0, "the end of the connection")
        assert read_all(peer) == HEAD + b"body"


def test_a_page_that_is_not_read_in_time_is_cut_short_however_slowly_its_client_reads(wait_until: WaitUntil) -> None:
    bench = make_bench(limits="[limits]\nclient_timeout = 0.2\n")
    peer = take(bench, LARGE)
    while len(bench.context.answers):
        peer.recv(1)
        gevent.sleep(0.01)
    assert bench.context.counters.cut_answers == 1
    assert bench.context.admission.open == 0
    peer.close()
    bench.close()


def test_readers_of_one_page_share_it_and_those_of_many_cannot_fill_the_memory(bench: Bench, answers: Answers) -> None:
    peers = [take(bench, LARGE) for _ in range(20)]
    assert answers._bytes == len(LARGE)
    assert bench.context.counters.cut_answers == 0
    peers += [take(bench, bytes(10_000_000 + number)) for number in range(10)]
    assert answers._bytes <= module.MOST_BYTES
    assert bench.context.counters.cut_answers == 20 + 7, "the oldest"
    for peer in peers:
        peer.close()


def test_one_page_may_be_larger_than_the_limit(bench: Bench, answers: Answers) -> None:
    with take(bench, bytes(module.MOST_BYTES + 1)):
        assert len(answers) == 1


def test_pages_are_refused_while_too_many_are_not_read(
    bench: Bench, answers: Answers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_UNREAD", 2)
    peers = [take(bench, LARGE) for _ in range(2)]
    for _ in range(3):
        with pytest.raises(Refused) as refused, answers.room():
            pass
        assert refused.value.status == 503
        assert dict(refused.value.headers)["Retry-After"]
    assert bench.context.counters.refused_pages == 3
    assert len([record for record in caplog.records if "pages are refused" in record.getMessage()]) == 1
    answers.end_all()
    with answers.room():
        pass
    for peer in peers:
        peer.close()


def test_requests_are_refused_while_too_many_wait(answers: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1)
    with answers.room(), pytest.raises(Refused), answers.room():
        pass
    with answers.room():
        pass


def test_an_unread_page_costs_no_copy_and_no_greenlet(bench: Bench, answers: Answers) -> None:
    before = len(bench.context.group)
    peers = [take(bench, LARGE) for _ in range(10)]
    assert len(bench.context.group) == before
    bodies = [one.body for one in answers._unread.values()]
    assert all(one is other for one, other in pairwise(bodies))
    for peer in peers:
        peer.close()


def test_what_comes_after_a_thousand_pages_goes_before_most_of_them() -> None:
    turns, group, done = PageTurns(), Group(), list[str]()

    def page() -> None:
        turns.wait()
        done.append("page")

    for _ in range(1000):
        group.spawn("page", page)
    group.spawn("health check", done.append, "health check")
    group.join(10)
    assert len(done) == 1001
    assert done.index("health check") <= module.PAGES_AT_ONCE


def test_a_page_among_few_does_not_wait(answers: Answers) -> None:
    seen: list[int] = []
    group = Group()
    group.spawn("other", seen.append, 1)
    for _ in range(module.PAGES_AT_ONCE):
        with answers.room():
            assert not seen
    group.join(5)


def test_a_page_whose_greenlet_was_ended_keeps_no_other_out() -> None:
    turns, group, done = PageTurns(), Group(), list[int]()

    def page(number: int) -> None:
        turns.wait()
        done.append(number)

    pages = [group.spawn("page", page, number) for number in range(100)]
    gevent.sleep(0)
    pages[50].kill(block=False)
    group.join(5)
    assert done == [number for number in range(100) if number != 50]


def test_a_call_among_few_is_made_at_once_and_others_in_turns(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    done: list[bool] = []
    connection, peer = connect_tcp()
    assert answers.in_turn(lambda one, head: done.append(one is connection and head == HEAD), connection, HEAD)
    assert done == [True]
    monkeypatch.setattr(module, "MOST_WAITING", 50)
    taken = [answers.in_turn(lambda *_: done.append(True), connection, HEAD) for _ in range(100)]
    assert len(done) <= module.PAGES_AT_ONCE
    assert taken.count(False) >= 40
    wait_until(lambda: len(done) == 1 + taken.count(True), "all calls")
    connection.close()
    peer.close()


def test_a_call_that_fails_is_logged_and_harms_no_other(answers: Answers, caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []
    connection, peer = connect_tcp()
    assert answers.in_turn(lambda *_: 1 // 0, connection, HEAD)
    assert answers.in_turn(lambda *_: done.append(1), connection, HEAD)
    assert done == [1]
    connection.close()
    peer.close()
    assert "a page failed" in caplog.text


def test_a_turn_lets_on_many_that_are_answered_at_once_and_few_that_are_not(
    answers: Answers, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr(module, "TURN_S", 10.0)
    turns: list[int] = []
    connection, peer = connect_tcp()

    def answer(is_answered: bool) -> bool:
        turns.append(gevent.get_hub().loop.iteration)
        return is_answered

    for is_answered in (True, False):
        turns.clear()
        for _ in range(100):
            assert answers.in_turn(lambda *_: answer(is_answered), connection, HEAD)  # noqa: B023  # called below
        wait_until(lambda: len(turns) == 100, "all calls")
        assert (len(set(turns[module.PAGES_AT_ONCE :])) == 1) is is_answered
    connection.close()
    peer.close()
