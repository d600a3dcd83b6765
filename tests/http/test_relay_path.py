"""A stream that has come from here is known again, also through a server that only passes headers on."""

from pycast.http.headers import Headers
from pycast.http.listener_head import source_block
from pycast.http.relay_path import HEADER, MOST_HOPS, is_server, leads_back, path_line, path_of


def after(path: bytes) -> Headers:
    """The headers with which the next server gets the stream."""
    name, _, value = path.decode().strip().partition(":")
    return Headers([(name, value)])


def test_each_server_adds_itself_and_finds_itself() -> None:
    first = after(path_line(Headers(), "aa11", "/live.mp3"))
    second = after(path_line(first, "bb22", "/über,uns.mp3"))
    assert path_of(second) == ["aa11/live.mp3", "bb22/%C3%BCber%2Cuns.mp3"]
    assert leads_back(second, "aa11", "/live.mp3") and leads_back(second, "bb22", "/über,uns.mp3")
    assert not leads_back(second, "aa11", "/other.mp3") and not leads_back(second, "cc33", "/live.mp3")


def test_path_that_is_too_long_is_a_circle() -> None:
    headers = Headers()
    for number in range(MOST_HOPS):
        assert not leads_back(headers, "me", "/x")
        headers = after(path_line(headers, f"s{number}", "/x"))
    assert leads_back(headers, "me", "/x")


def test_servers_are_told_and_players_are_not() -> None:
    for agent in ("Icecast 2.4.4", "Icecast 2.4.0-kh22", "Icecast/2.5.0 (x86)", "pycast 1", "pycast/0.1.0", "pycast"):
        assert is_server(Headers([("User-Agent", agent)])), agent
    for agent in ("VLC/3.0", "IcecastPlayer/2.0", "Icecast Radio 3", "pycast-kit", "", "my Icecast 2.4.4"):
        assert not is_server(Headers([("User-Agent", agent)])), agent
    assert not is_server(Headers())
    assert source_block([(HEADER, "aa11/x"), ("icy-name", "x")]) == b"icy-name:x\r\n"
