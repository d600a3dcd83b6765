"""The benchmark's visitors: they count what they get, and what is wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from socket import create_server
from threading import Thread

from benchmarks.page_visitors import Visitors

OK, REFUSED = b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.0 503 Service Unavailable\r\n\r\n"


@contextmanager
def answering(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives one reply to each client, in turn; yields its port and the heads that it got."""
    heads: list[bytes] = []

    def serve() -> None:
        for reply in replies:
            sock = server.accept()[0]
            with sock:
                heads.append(sock.recv(4096))
                sock.sendall(reply)

    with create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heads
        thread.join(10)


def test_they_count_answers_bytes_and_what_is_no_200() -> None:
    with answering(OK, REFUSED, b"") as (port, heads), Visitors(port, "/x", takes_gzip=True) as visitors:
        visitors.ask(3)
        found = visitors.read(10)
    assert (found.answers, found.wrong, found.bytes) == (3, 2, len(OK) + len(REFUSED))
    assert found.last_s > 0
    assert all(head.startswith(b"GET /x HTTP/1.1\r\n") and b"\r\nAccept-Encoding: gzip" in head for head in heads)


def test_who_gets_no_answer_in_time_counts_as_wrong() -> None:
    with create_server(("127.0.0.1", 0)) as server, Visitors(server.getsockname()[1], "/") as visitors:
        visitors.ask(2)
        assert visitors.read(0.1).wrong == 2


def test_they_ask_at_a_rate() -> None:
    with answering(*[OK] * 10) as (port, heads), Visitors(port, "/") as visitors:
        found = visitors.ask_at(50, 0.199)
    assert (found.answers, found.wrong, len(heads)) == (10, 0, 10)


def test_a_probe_says_how_long_its_first_bytes_took() -> None:
    with answering(OK) as (port, _), Visitors(port, "/") as visitors:
        assert 0 < visitors.probe("/livez", 0)() < 10
