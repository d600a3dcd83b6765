"""Tests of pycast.server.player_heads: what is known for some bytes is what the parser returns for them."""

import pytest

from pycast.http.request import HeadReader
from pycast.server import player_heads as module
from pycast.server.player_heads import PlayerHead, PlayerHeads

PLAYER = b"GET /live.mp3 HTTP/1.1\r\nHost: x\r\nUser-Agent: VLC/3.0\r\nIcy-MetaData: 1\r\n\r\n"


def test_a_request_is_parsed_once() -> None:
    heads = PlayerHeads()
    first = heads.find(PLAYER)
    assert first is not None
    assert first.request == HeadReader().feed(PLAYER)
    assert heads.find(bytes(bytearray(PLAYER))) is first


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET /live.mp3 HTTP/1.1\r\nHost: x\r\n",
        b"nonsense\r\n\r\n",
        b"HEAD /live.mp3 HTTP/1.0\r\n\r\n",
        b"SOURCE /live.mp3 HTTP/1.0\r\n\r\n",
        b"GET /live.mp3 HTTP/1.0\r\nAuthorization: Basic YTpi\r\n\r\n",
        b"GET /live.mp3 HTTP/1.0\r\nContent-Length: 1\r\n\r\n",
        b"GET /live.mp3 HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
    ],
)
def test_what_is_no_whole_request_of_a_player_is_not_known(head: bytes) -> None:
    heads = PlayerHeads()
    assert heads.find(head) is None
    assert len(heads) == 0


def test_what_may_be_a_secret_and_what_is_long_is_parsed_and_not_kept() -> None:
    heads = PlayerHeads()
    for head in (PLAYER.replace(b".mp3", b".mp3?token=x"), PLAYER[:-2] + b"Cookie: " + b"x" * 1000 + b"\r\n\r\n"):
        found = heads.find(head)
        assert found is not None
        assert found.request.path == "/live.mp3"
    assert len(heads) == 0


def test_however_many_are_sent_only_so_many_are_kept() -> None:
    heads = PlayerHeads()
    for number in range(2 * module.MOST + 1):
        heads.find(PLAYER.replace(b"VLC", b"VLC%d" % number))
        assert 0 < len(heads) <= module.MOST


def test_an_answer_is_made_anew_when_something_else_is_in_it() -> None:
    request = HeadReader().feed(PLAYER)
    assert request is not None
    known, made = PlayerHead(request), iter(range(10))
    answers = [known.reply(parts, lambda: (next(made), b"")) for parts in ((1, "a"), (1, "a"), (2, "a"), (1, "a"))]
    assert [number for number, _ in answers] == [0, 0, 1, 2]
