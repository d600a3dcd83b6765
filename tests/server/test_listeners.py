"""Tests of pycast.server.listeners: from a request to the fan-out."""

import socket as plain
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gevent import socket

from pycast.balance.admission import Slot
from pycast.errors import Refused
from pycast.http.addresses import Networks
from pycast.server.connection import Connection
from pycast.server.handler import serve_http
from pycast.server.listeners import EXPOSED, UNBUFFERED, response_head, serve_listener
from pycast.stream.fanout import Fanout
from pycast.stream.mount import Mount
from tests.server.contexts import Bench, FakeSource, connect_tcp, make_bench, read_all
from tests.stream.test_relocation import frames
from tests.web.sites import make_request

AUDIO = b"0123456789"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench("[[mount]]\nmount_name = '/x'\nmax_listeners = 1\n")
    yield made
    made.close()


@pytest.fixture
def mount(bench: Bench) -> Mount:
    return on_air(bench, "/x")


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    connection, peer = parcels()
    yield connection, peer
    connection.close()
    peer.close()


Pair = tuple[Connection, socket.socket]


def parcels() -> Pair:
    """Returns a connection whose peer receives each write separately."""
    ours, peer = socket.socketpair(plain.AF_UNIX, plain.SOCK_SEQPACKET)
    peer.settimeout(5)
    return Connection(ours, "127.0.0.1", False), peer


def on_air(bench: Bench, name: str, content_type: str = "text/plain") -> Mount:
    mount = bench.context.mounts.attach_source(name, FakeSource(content_type))
    mount.feed(AUDIO)
    return mount


def test_head_and_burst_are_one_write_and_the_socket_is_given_away(bench: Bench, mount: Mount, pair: Pair) -> None:
    serve_listener(bench.context, pair[0], make_request("/x"), mount)
    head, _, burst = pair[1].recv(65_536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n") and burst == AUDIO
    assert pair[0].given_away
    assert bench.context.counters.listener_connections == 1


def test_the_identity_of_a_listener_is_from_its_request(bench: Bench, mount: Mount, pair: Pair) -> None:
    more = "User-Agent: player\r\nReferer: page\r\n"
    serve_listener(bench.context, pair[0], make_request("/x?a=b", more=more), mount)
    (listener,) = mount.fanout
    who = listener.identity
    assert (who.ip, who.user_agent, who.referer, who.path) == ("127.0.0.1", "player", "page", "/x")
    assert (listener.id, listener.requested_mount) == (1, "")


def test_a_listener_that_starts_on_a_fallback_keeps_the_mount_it_asked_for(
    bench: Bench, mount: Mount, pair: Pair
) -> None:
    serve_listener(bench.context, pair[0], make_request("/gone"), mount)
    assert [listener.requested_mount for listener in mount.fanout] == ["/gone"]


def test_head_is_answered_with_the_head_alone_and_joins_nothing(bench: Bench, mount: Mount, pair: Pair) -> None:
    serve_listener(bench.context, pair[0], make_request("/x", method="HEAD"), mount)
    assert pair[1].recv(65_536).endswith(b"\r\n\r\n")
    assert not pair[0].given_away
    assert (len(mount.fanout), bench.context.counters.listener_connections) == (0, 0)


def test_only_listeners_that_ask_for_titles_get_them(bench: Bench, mount: Mount) -> None:
    for request, metaint, has_line in (
        (make_request("/x", more="Icy-MetaData: 1\r\n"), mount.metaint(), True),
        (make_request("/x"), 0, False),
    ):
        head = response_head(bench.context, request, mount, metaint)
        assert head.endswith(b"icy-metaint:16000\r\n\r\n") is has_line


def test_a_script_may_read_the_icy_lines_if_a_page_asks(bench: Bench, mount: Mount) -> None:
    line = f"{EXPOSED[0]}: {EXPOSED[1]}\r\n".encode()
    for more, has_line in (("Origin: https://radio.example\r\n", True), ("", False)):
        assert (line in response_head(bench.context, make_request("/x", more=more), mount, 0)) is has_line


@pytest.mark.parametrize(
    ("content_type", "told"),
    [("audio/mpeg", b"audio/mpeg"), ("text/html", b"application/octet-stream"), ("foo", b"application/octet-stream")],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_browser_cannot_take_a_stream_for_a_page(
    bench: Bench, pair: Pair, content_type: str, told: bytes, method: str
) -> None:
    mount = on_air(bench, "/y", content_type)
    serve_listener(bench.context, pair[0], make_request("/y", method=method), mount)
    lines = pair[1].recv(65_536).split(b"\r\n\r\n")[0].split(b"\r\n")
    assert b"X-Content-Type-Options: nosniff" in lines
    (policy,) = (line for line in lines if line.startswith(b"Content-Security-Policy: "))
    assert b"sandbox" in policy
    assert policy.endswith(b": sandbox") or b"default-src 'none';" in policy, "no script either way"
    assert b"Content-Type: " + told in lines


@pytest.mark.parametrize("is_trusted", [True, False])
def test_an_answer_through_a_proxy_turns_its_buffering_off(
    bench: Bench, mount: Mount, pair: Pair, is_trusted: bool
) -> None:
    if is_trusted:
        pair[0].proxies = Networks([ip_network("127.0.0.1")])
    serve_listener(bench.context, pair[0], make_request("/x"), mount)
    assert (f"{UNBUFFERED[0]}: no\r\n".encode() in pair[1].recv(65_536)) is is_trusted


def test_a_full_mount_refuses(bench: Bench, mount: Mount, pair: Pair) -> None:
    serve_listener(bench.context, pair[0], make_request("/x"), mount)
    connection, peer = parcels()
    with pytest.raises(Refused) as refused:
        serve_listener(bench.context, connection, make_request("/x"), mount)
    assert (refused.value.status, connection.given_away) == (403, False)
    serve_listener(bench.context, connection, make_request("/x", method="HEAD"), mount)  # HEAD takes no room
    connection.close()
    peer.close()


def test_a_full_mount_sends_listeners_to_its_fallback_if_so_configured(pair: Pair) -> None:
    stand_in: Any = SimpleNamespace()
    toml = "[[mount]]\nmount_name = '/x'\nmax_listeners = 0\nfallback_mount = '/y'\nfallback_when_full = true\n"
    bench = make_bench(toml, fallbacks=stand_in)
    full, other = on_air(bench, "/x"), on_air(bench, "/y")
    stand_in.next_of = lambda mount: other
    serve_listener(bench.context, pair[0], make_request("/x"), full)
    assert [listener.requested_mount for listener in other.fanout] == ["/x"]
    bench.close()


def test_a_drained_node_takes_no_listener(pair: Pair) -> None:
    bench = make_bench("[drain]\nlead = 0\ndeadline = 1\n")
    mount = on_air(bench, "/x")
    bench.context.drain.begin(now=True)
    bench.context.drain.wait()
    with pytest.raises(Refused) as refused:
        serve_listener(bench.context, pair[0], make_request("/x"), mount)
    assert refused.value.status == 503
    assert not pair[0].given_away
    bench.close()


def test_a_listener_that_was_dropped_at_once_is_not_watched(
    bench: Bench, mount: Mount, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[object] = []
    monkeypatch.setattr(bench.context.hangups, "watch", lambda fd, subject: watched.append(subject))
    monkeypatch.setattr(Fanout, "join", lambda self, listener: listener.transport.close())
    serve_listener(bench.context, pair[0], make_request("/x"), mount)
    assert watched == []


def test_a_mount_that_has_ended_meanwhile_refuses(bench: Bench, mount: Mount, pair: Pair) -> None:
    """A listener that it took would be silent for ever."""
    bench.context.mounts.close("/x")
    with pytest.raises(Refused) as refused:
        serve_listener(bench.context, pair[0], make_request("/x"), mount)
    assert (refused.value.status, pair[0].given_away, len(mount.fanout)) == (404, False, 0)


def test_a_fallback_that_has_ended_while_it_was_looked_for_refuses(pair: Pair) -> None:
    stand_in: Any = SimpleNamespace()
    toml = "[[mount]]\nmount_name = '/x'\nmax_listeners = 0\nfallback_mount = '/y'\nfallback_when_full = true\n"
    bench = make_bench(toml, fallbacks=stand_in)
    full, other = on_air(bench, "/x"), on_air(bench, "/y")

    def next_of(mount: Mount) -> Mount:
        bench.context.mounts.close("/y")
        return other

    stand_in.next_of = next_of
    with pytest.raises(Refused):
        serve_listener(bench.context, pair[0], make_request("/x"), full)
    assert (pair[0].given_away, len(other.fanout)) == (False, 0)
    bench.close()


def test_a_new_listener_hears_the_intro_first_and_one_who_has_heard_it_does_not(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "i.mp3").write_bytes(frames(0, 30))
    bench = make_bench(f"[paths]\nwebroot = '{tmp_path}'\n[[mount]]\nmount_name = '/x'\nintro = '/i.mp3'\n")
    mount = on_air(bench, "/x", "audio/mpeg")
    mount.feed(frames(500, 40))
    again = parcels()
    for request in (make_request("/x", method="HEAD"), make_request("/x", more="User-Agent: p\r\n")):
        serve_listener(bench.context, pair[0], request, mount)
    assert pair[1].recv(100_000).endswith(b"\r\n\r\n")
    assert pair[1].recv(100_000).partition(b"\r\n\r\n")[2] == frames(0, 30), "head and intro are one write"
    serve_listener(bench.context, again[0], make_request("/x", more="User-Agent: p\r\n"), mount)
    assert frames(500, 1) in again[1].recv(100_000), "the stream at once"
    assert bench.context.counters.listener_connections == 2
    bench.close()
    for end in again:
        end.close()


def test_another_server_gets_no_intro(pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "i.mp3").write_bytes(frames(0, 30))
    bench = make_bench(f"[paths]\nwebroot = '{tmp_path}'\n[[mount]]\nmount_name = '/x'\nintro = '/i.mp3'\n")
    mount = on_air(bench, "/x", "audio/mpeg")
    mount.feed(frames(500, 40))
    serve_listener(bench.context, pair[0], make_request("/x", more="User-Agent: Icecast 2.4.4\r\n"), mount)
    assert frames(0, 1) not in pair[1].recv(100_000), "its listeners would hear it in the stream"
    bench.close()


def test_a_file_is_announced_with_the_name_the_titles_and_the_headers_of_the_mount_that_was_asked_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "f.mp3").write_bytes(frames(0, 300))
    mount = "mount_name = '/x'\nfallback_mount = '/f.mp3'\nstream_name = 'Radio'\nmp3_metadata_interval = 4000\n"
    bench = make_bench(f"[paths]\nwebroot = '{tmp_path}'\n[[mount]]\n{mount}http_headers = {{X-A = 'b'}}\n")
    found, (ours, peer) = bench.context.finder.find("/x"), parcels()
    assert found is not None and found.name == "file:/f.mp3"
    serve_listener(bench.context, ours, make_request("/x", more="Icy-MetaData: 1\r\n"), found)
    head, _, audio = peer.recv(100_000).partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert {b"icy-name:Radio", b"icy-metaint:4000", b"X-A: b", b"Content-Type: audio/mpeg"} <= set(lines)
    assert audio[:4000] == frames(0, 10)[:4000] and audio[4000:4017] == b"\x01StreamTitle='';\0"
    bench.close()
    ours.close()
    peer.close()


def test_a_guest_has_the_time_that_it_was_given(bench: Bench, mount: Mount, pair: Pair) -> None:
    guest: Any = SimpleNamespace(id=7, user="ann", limit_s=0.05)
    serve_listener(bench.context, pair[0], make_request("/x"), mount, guest)
    (listener,) = mount.fanout
    assert (listener.id, listener.identity.user, listener.time_limit) == (7, "ann", 0.05)
    listener.joined -= 1
    bench.context.mounts._expire()
    assert len(mount.fanout) == 0


def test_a_file_has_the_limits_of_the_mount_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f.mp3").write_bytes(frames(0, 300))
    both = "fallback_mount = '/f.mp3'\nmax_listener_duration = 60\n"
    toml = f"[paths]\nwebroot = '{tmp_path}'\n"
    toml += f"[[mount]]\nmount_name = '/x'\nmax_listeners = 2\n{both}"
    toml += f"[[mount]]\nmount_name = '/y'\nmax_listeners = 1\nfallback_when_full = true\n{both}"
    toml += "[[mount]]\nmount_name = '/z'\nfallback_mount = '/f.mp3'\n"
    bench, ends = make_bench(toml), []
    for path, refused in (("/x", 0), ("/y", 0), ("/y", 0), ("/z", 0), ("/x", 0), ("/x", 1), ("/z", 0)):
        found = bench.context.finder.find(path)
        assert found is not None and found.name == "file:/f.mp3"
        ends.append(parcels())
        if not refused:
            serve_listener(bench.context, ends[-1][0], make_request(path), found)
            continue
        with pytest.raises(Refused, match="has its 2 listeners"):
            serve_listener(bench.context, ends[-1][0], make_request(path), found)
    assert bench.context.mounts.asking_for("/x") == 2
    file = bench.context.mounts.get("file:/f.mp3")
    assert file is not None
    for listener in file.fanout:
        listener.joined -= 61
    bench.context.mounts._expire()
    assert [one.requested_mount for one in file.fanout] == ["/z", "/z"], "the only mount without a limit"
    bench.close()
    for ours, peer in ends:
        ours.close()
        peer.close()


RESTING = "[[mount]]\nmount_name = '/x'\nfallback_mount = '/a.ogg'\nhttp_headers = { 'X-Own' = 'y' }\n"


@pytest.mark.parametrize("path", ["/x", "/a.ogg"])
def test_head_of_a_mount_that_rests_is_answered_and_wakes_nobody(path: str) -> None:
    """Search engines and lists of stations look for streams so; only who listens has it fetched from elsewhere."""
    bench, (connection, peer), woken = make_bench(RESTING), connect_tcp(), []
    bench.context.finder._on_demand.add("/a.ogg", lambda: woken.append(path))
    serve_http(bench.context, connection, Slot.CLIENT, f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
    connection.close()
    answer = read_all(peer)
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and answer.endswith(b"\r\n\r\n")
    assert (b"\r\nContent-Type: audio/ogg\r\n" in answer, b"\r\nX-Own: y\r\n" in answer) == (
        path == "/a.ogg",
        path == "/x",
    )
    assert (woken, len(bench.context.mounts)) == ([], 0)
    peer.close()
    bench.close()
