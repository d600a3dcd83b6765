"""A player that joins at once gets what it would get the long way, and who is not sure goes that."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pycast.balance.admission import Slot
from pycast.config.load import loads
from pycast.config.mount_settings import MountSettings
from pycast.server.handler import join_at_once, serve_http
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from tests.server.contexts import Bench, FakeSource, connect_tcp, make_bench, read_all

HEAD = b"GET /x HTTP/1.1\r\nHost: x\r\nUser-Agent: player\r\n%s\r\n"
PLAYER = HEAD % b""
FRAMES = bytes.fromhex("fffb9064") + bytes(413)
INTRO = (bytes.fromhex("fffb9064") + bytes(36) + b"i" * 377) * 20


def on_air(bench: Bench, name: str = "/x", content_type: str = "audio/mpeg") -> Mount:
    mount = bench.context.mounts.attach_source(name, FakeSource(content_type))
    mount.feed(FRAMES * 100)
    return mount


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench("[http_headers]\nX-Station = 'one'\n[[mount]]\nmount_name = '/x'\nburst_size = '16k'\n")
    yield made
    made.close()


def answer(bench: Bench, head: bytes, *, is_at_once: bool) -> bytes:
    """What a player gets, but for the time; it is gone when this returns."""
    connection, peer = connect_tcp()
    if is_at_once:
        assert join_at_once(bench.context, connection, head)
        assert connection.given_away
    else:
        serve_http(bench.context, connection, Slot.CLIENT, head)
    bench.context.mounts.get("/x").fanout.drop_all(Reason.KILLED)  # type: ignore[union-attr]
    got = read_all(peer)
    peer.close()
    return re.sub(rb"Date: [^\r]*", b"", got)


@pytest.mark.parametrize("content_type", ["audio/mpeg", "application/ogg", "text/html"])
@pytest.mark.parametrize(
    "more",
    [
        b"",
        b"Icy-MetaData: 1\r\n",
        b"Origin: https://radio.example\r\n",
        b"X-Forwarded-For: 192.0.2.1\r\n",
        b"User-Agent: Mozilla/4.0 (compatible; MSIE 8.0)\r\n",
        b"Range: bytes=0-\r\nAccept: */*\r\n",
    ],
)
def test_both_ways_give_the_same(bench: Bench, more: bytes, content_type: str) -> None:
    if content_type == "audio/mpeg":
        on_air(bench)
    else:
        bench.context.mounts.attach_source("/x", FakeSource(content_type)).feed(b"x" * 20_000)
    head = HEAD % more
    long_way = answer(bench, head, is_at_once=False)
    assert long_way.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"X-Station: one\r\n" in long_way
    assert [answer(bench, head, is_at_once=True) for _ in range(2)] == [long_way, long_way]
    counters = bench.context.counters
    assert counters.client_connections == counters.listener_connections == 3
    assert [mount.listener_connections for mount in bench.context.mounts] == [3]


def test_who_asks_for_titles_gets_them_whoever_came_before(bench: Bench) -> None:
    on_air(bench)
    wants = [answer(bench, HEAD % more, is_at_once=True) for more in (b"", b"Icy-MetaData: 1\r\n", b"")]
    assert [b"icy-metaint:16000\r\n" in one for one in wants] == [False, True, False]


def test_what_the_head_says_follows_the_stream_and_the_configuration(bench: Bench) -> None:
    mount = on_air(bench)
    answer(bench, PLAYER, is_at_once=True)
    source = FakeSource("audio/aac")
    source.description = source.description._replace(headers=(("ice-name", "y"),))
    mount.start(source.description)
    mount.feed(FRAMES)
    assert b"icy-name:y\r\n" in answer(bench, PLAYER, is_at_once=True)
    bench.context.settings.replace(loads("[http_headers]\nX-Station = 'two'\n", {}, "test"))
    mount.apply(bench.context.settings.now.for_mount("/x"))
    assert b"X-Station: two\r\n" in answer(bench, PLAYER, is_at_once=True)


# What a mount's sources have, and what has a test of its own below.
OF_SOURCES = {"mount_name", "dump_file", "on_connect", "on_disconnect", "authentication"} | {
    "password_file",
    "cluster_password_file",
}


@pytest.mark.parametrize("name", sorted(MountSettings.KEYS.keys() - OF_SOURCES))
def test_both_ways_give_the_same_whatever_is_set_for_the_mount(name: str) -> None:
    value = {"max_listeners": 0, "max_bandwidth": 1, "access_log": ""}.get(name, MountSettings.KEYS[name].example)
    text = "{X-Station = 'demo'}" if isinstance(value, dict) else json.dumps(value)
    bench = make_bench("" if value is None else f"[[mount]]\nmount_name = '/x'\n{name} = {text}\n")
    mount = on_air(bench)
    connection, peer = connect_tcp()
    if join_at_once(bench.context, connection, PLAYER):
        mount.fanout.drop_all(Reason.KILLED)
        got = re.sub(rb"Date: [^\r]*", b"", read_all(peer))
        assert got == answer(bench, PLAYER, is_at_once=False)
    else:
        assert name in ("allow_direct_access", "intro", "max_bandwidth", "max_listeners", "no_mount", "redirect_to")
    connection.close()
    peer.close()
    bench.close()


@pytest.mark.parametrize(
    ("head", "is_heard"),
    [(PLAYER, True), (HEAD % b"Icy-MetaData: 1\r\n", True), (PLAYER.replace(b"player", b"Icecast 2.4.4"), False)],
)
def test_an_intro_comes_first_on_both_ways_and_is_read_on_the_long_one(
    tmp_path: Path, head: bytes, is_heard: bool
) -> None:
    (tmp_path / "i.mp3").write_bytes(INTRO)
    bench = make_bench(f"[paths]\nwebroot = '{tmp_path}'\n[[mount]]\nmount_name = '/x'\nintro = '/i.mp3'\n")
    on_air(bench)
    connection, peer = connect_tcp()
    assert not join_at_once(bench.context, connection, head)
    connection.close()
    peer.close()
    answer(bench, PLAYER, is_at_once=False)
    bench.context.intros._heard.clear()
    long_way = answer(bench, head, is_at_once=False)
    assert (INTRO + FRAMES in long_way) is is_heard
    bench.context.intros._heard.clear()
    assert answer(bench, head, is_at_once=True) == long_way
    again = answer(bench, head, is_at_once=False)
    assert INTRO not in again, "once for each player, whichever way it comes"
    assert answer(bench, head, is_at_once=True) == again
    bench.close()


def test_an_intro_that_cannot_be_read_costs_nobody_the_short_way(tmp_path: Path) -> None:
    bench = make_bench(f"[paths]\nwebroot = '{tmp_path}'\n[[mount]]\nmount_name = '/x'\nintro = '/i.mp3'\n")
    on_air(bench)
    assert answer(bench, PLAYER, is_at_once=False) == answer(bench, PLAYER, is_at_once=True)
    bench.close()


AUTHENTICATION = "[mount.authentication]\ntype = 'htpasswd'\nfilename = '/nowhere'\n"


@pytest.mark.parametrize(
    ("toml", "head"),
    [
        ("[[mount]]\nmount_name = '/x'\n" + AUTHENTICATION, PLAYER),
        ("[[mount]]\nmount_name = '/x'\nintro = '/not-read-yet.mp3'\n", PLAYER),
        ("[[mount]]\nmount_name = '/x'\nredirect_to = 'http://y/z'\n", PLAYER),
        ("[[mount]]\nmount_name = '/x'\nno_mount = true\n", PLAYER),
        ("[[mount]]\nmount_name = '/x'\nallow_direct_access = false\n", PLAYER),
        ("[[mount]]\nmount_name = '/x'\nmax_listeners = 0\n", PLAYER),
        ("[[alias]]\nsource = '/x'\ndestination = '/y'\n", PLAYER),
        ("", HEAD % b"Authorization: Basic YTpi\r\n"),
        ("", HEAD % b"Content-Length: 5\r\n"),
        ("", HEAD % b"Upgrade: pycast\r\n"),
        ("", PLAYER.replace(b"/x", b"/y")),
        ("", PLAYER.replace(b"GET", b"HEAD")),
        ("", PLAYER[:-2]),
        ("", b"nonsense\r\n\r\n"),
    ],
)
def test_what_is_not_sure_goes_the_long_way_and_is_left_as_it_was(toml: str, head: bytes) -> None:
    bench = make_bench(toml)
    mount = on_air(bench)
    connection, peer = connect_tcp()
    assert not join_at_once(bench.context, connection, head)
    assert not connection.given_away
    assert len(mount.fanout) == bench.context.counters.listener_connections == 0
    assert bench.context.counters.client_connections == 0
    connection.close()
    peer.close()
    bench.close()


@pytest.mark.parametrize("why", ["the server stops", "drained", "no source", "not served here", "too many from there"])
def test_what_the_node_has_to_refuse_goes_the_long_way(why: str) -> None:
    bench = make_bench("listeners_per_ip = 0\n" if why == "too many from there" else "[drain]\nlead = 0\n")
    mount, (connection, peer) = on_air(bench), connect_tcp()
    context = bench.context
    if why == "the server stops":
        context.site.readiness.is_stopping = True
    elif why == "drained":
        context.drain.begin()
        context.drain.wait()
    elif why == "no source":
        mount.end()
    elif why == "not served here":
        connection.serves = frozenset({"sources"})
    assert not join_at_once(context, connection, PLAYER)
    assert (connection.given_away, len(mount.fanout)) == (False, 0)
    connection.close()
    peer.close()
    bench.close()


def test_a_bug_leaves_the_connection_to_the_long_way(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    on_air(bench)
    connection, peer = connect_tcp()
    monkeypatch.setattr("pycast.server.handler.join", None)
    assert not join_at_once(bench.context, connection, PLAYER)
    assert [record.exc_info is not None for record in caplog.records] == [True]
    connection.sock.close()
    peer.close()
