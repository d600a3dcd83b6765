"""A master's list makes relays, and no list that is short, broken or missing takes one away that plays."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from gevent import socket

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.relay.dial import Dialler
from pycast.relay.master import Master
from tests.relay.stage import numbers
from tests.relay.upstream import Upstream, answers

LIST = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n"
NO = b"HTTP/1.0 400 Unrecognised command\r\n"


@contextmanager
def master(more: str = "") -> Iterator[tuple[Master, Upstream, Callable[[], None], list[int]]]:
    server, news = Upstream(answers(LIST)), []
    toml = f'[master]\nserver = "127.0.0.1"\nport = {server.port}\npassword = "p"\n{more}'
    settings = Live(loads(toml, {}, "x"))
    made = Master(settings, Dialler(numbers, "me"), lambda: news.append(1))
    try:
        yield made, server, lambda: made.read(settings.now.master), news
    finally:
        server.close()


def test_list_of_a_master_is_its_relays() -> None:
    with master("relays_on_demand = true\nrun_on = 5\n") as (made, server, read, news):
        server.play = answers(LIST, b"/admin/streams?mount=/a.mp3\r\n/b.mp3\r\n")
        read()
        assert [(spec.mount, spec.places[0].path, spec.on_demand, spec.run_on) for spec in made.specs.values()] == [
            ("/a.mp3", "/admin/streams?mount=/a.mp3", True, 5),
            ("/b.mp3", "/b.mp3", True, 5),
        ]
        assert server.heads[0].startswith(b"GET /admin/streams HTTP/1.0\r\n")
        assert b"\r\nAuthorization: Basic cmVsYXk6cA==\r\n" in server.heads[0] and news == [1]


def test_icecast_has_only_the_plain_list_and_is_asked_for_the_other_once() -> None:
    def play(sock: socket.socket, head: bytes) -> None:
        answers(LIST if b"streamlist.txt" in head else NO, b"/a.mp3\r\n")(sock, head)

    with master() as (made, server, read, _):
        server.play = play
        read()
        read()
        assert [head.split()[1] for head in server.heads] == [b"/admin/streams", *[b"/admin/streamlist.txt"] * 2]
        assert list(made.specs) == ["/a.mp3"]


@pytest.mark.parametrize(
    "play",
    [
        answers(LIST, b"/a.mp3\r\n/c.m"),
        answers(LIST + b"Content-Length: 50\r\n", b"/a.mp3\r\n"),
        answers(b"HTTP/1.0 503 Busy\r\n"),
        answers(b"HTTP/1.0 401 No\r\n"),
        answers(b"nonsense"),
        lambda sock, head: None,
    ],
)
def test_list_that_is_broken_takes_nothing_away(play: Callable[[socket.socket, bytes], None]) -> None:
    with master() as (made, server, read, _):
        server.play = answers(LIST, b"/a.mp3\r\n/b.mp3\r\n")
        read()
        server.play = play
        read()
        assert list(made.specs) == ["/a.mp3", "/b.mp3"]


def test_what_a_broken_list_has_is_added() -> None:
    with master() as (made, server, read, _):
        server.play = answers(LIST, b"/new.mp3\r\n/c.m")
        read()
        assert list(made.specs) == ["/new.mp3"]


def test_slave_says_where_it_takes_listeners_if_it_does() -> None:
    with master("redirect = true\nupdate_interval = 2\n") as (made, server, read, _):
        server.play = answers(NO, b"")
        read()
        made._own = lambda: ("slave.example", 8001)
        read()
    asked = [head.split()[1] for head in server.heads]
    assert asked[:2] == [b"/admin/streams", b"/admin/streamlist.txt"]
    assert asked[2:] == [
        b"/admin/%b?rserver=slave.example&rport=8001&interval=5" % name for name in (b"streams", b"streamlist.txt")
    ]


def test_failure_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pycast.relay.master")
    with master() as (_, server, read, _):
        for play in (answers(b"HTTP/1.0 503 Busy\r\n"), answers(LIST, b"/a.mp3\r\n")):
            server.play = play
            for _ in range(3):
                read()
    assert len([record for record in caplog.records if record.name == "pycast.relay.master"]) == 2
