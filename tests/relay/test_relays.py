"""Relays follow the configuration and the master's list; those that did not change notice nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from pycast.app.node import Node
from pycast.config.load import load, loads
from pycast.control.on_demand import OnDemand
from pycast.control.relay_desk import RelayDesk
from pycast.relay.dial import Dialler
from pycast.relay.place import RelaySpec
from pycast.relay.relay import RelayState
from pycast.relay.relays import Relays
from tests.e2e.wire import frames
from tests.relay.stage import numbers, quick
from tests.relay.upstream import HTTP, Upstream, comes, plays
from tests.server.contexts import Bench, make_bench
from tests.stream.memory import WHO, MemoryTransport

__all__ = ["quick"]


def section(server: Upstream, mount: str, more: str = "") -> str:
    return f'[[relay]]\nserver = "127.0.0.1"\nport = {server.port}\nmount = "{mount}"\n{more}'


@contextmanager
def relays(toml: str = "", desk: RelayDesk | None = None) -> Iterator[tuple[Relays, Bench]]:
    bench = make_bench(toml)
    dialler, self_desk = Dialler(numbers, "me"), desk or RelayDesk()
    made = Relays(bench.context, dialler, OnDemand(), lambda mount: 0, lambda: 0.0, Event(), self_desk)
    try:
        yield made, bench
    finally:
        bench.close()


@pytest.fixture
def server() -> Iterator[Upstream]:
    made = Upstream(plays())
    yield made
    made.close()


def reload(bench: Bench, made: Relays, toml: str) -> None:
    bench.context.settings.replace(loads(toml, {}, "x"))
    made.apply()


def test_reload_adds_and_removes_relays_and_leaves_the_others_alone(server: Upstream) -> None:
    with relays(section(server, "/a") + section(server, "/b")) as (made, bench):
        made.apply()
        assert comes(lambda: bench.context.mounts.sources == 2) and len(made) == 2
        assert bench.context.admission.limit == 9300 - 2 * 2  # descriptors are kept for them
        kept = bench.context.mounts.source("/b")
        reload(bench, made, section(server, "/b") + section(server, "/c"))
        assert comes(lambda: bench.context.mounts.source("/c") is not None)
        assert comes(lambda: bench.context.mounts.source("/a") is None)
        assert bench.context.mounts.source("/b") is kept
        assert sorted(head.split()[1] for head in server.heads) == [b"/a", b"/b", b"/c"]
        assert made.get("/a") is None and made.get("/c") is not None


def test_name_that_no_mount_can_have_is_left_out(server: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    with relays(section(server, "/status.xsl")) as (made, _):
        made.apply()
        made.apply()  # with each list of a master
        assert len(made) == 0 and caplog.text.count("/status.xsl is left out") == 1


MASTER = '[master]\nserver = "m"\npassword = "p"\n'


def test_list_of_the_master_starts_relays_and_stops_none_that_plays(quick: None, server: Upstream) -> None:
    with relays(MASTER + section(server, "/own")) as (made, bench):
        listed = {name: RelaySpec(name, (server.place(name),)) for name in ("/a", "/b", "/own")}
        made._master.specs = listed
        made.apply()
        assert comes(lambda: bench.context.mounts.sources == 3)
        made._master.specs = {"/b": listed["/b"]._replace(places=(server.place("/b"),))}
        made.apply()
        gevent.sleep(0.05)
        assert bench.context.mounts.sources == 3  # /a plays on
        server.hang_up()
        assert comes(lambda: bench.context.mounts.sources == 2)
        made.apply()
        assert made.get("/a") is None and made.get("/own") is not None and made.get("/b") is not None
        reload(bench, made, "")
        assert comes(lambda: bench.context.mounts.sources == 0) and len(made) == 0


def test_admin_sees_the_relays_and_orders_them(quick: None, server: Upstream) -> None:
    desk = RelayDesk()
    with relays(MASTER + section(server, "/own", "run_on = 7\n"), desk) as (made, bench):
        made._master.specs = {"/listed": RelaySpec("/listed", (server.place("/listed"),))}
        made.apply()
        assert comes(lambda: [one.state for one in desk.lines()] == ["on_air", "on_air"])
        assert [(one.mount, one.from_master, one.run_on_s) for one in desk.lines()] == [
            ("/listed", True, 0.0), ("/own", False, 7.0)
        ]  # fmt: skip
        assert desk.order("/own", "disable") and not desk.order("/none", "disable")
        assert comes(lambda: bench.context.mounts.source("/own") is None)
        reload(bench, made, MASTER + section(server, "/own", "run_on = 8\n"))
        gevent.sleep(0.05)
        assert [(one.is_enabled, one.state) for one in desk.lines()] == [(True, "on_air"), (False, "off")]
        assert desk.order("/own", "enable")
        assert comes(lambda: bench.context.mounts.source("/own") is not None)
        assert desk.order("/own", "disable")
        reload(bench, made, "")
        assert desk.lines() == []
        reload(bench, made, section(server, "/own"))
        gevent.sleep(0.05)
        assert [(one.is_enabled, one.state) for one in desk.lines()] == [(False, "off")]
        assert desk.order("/own", "enable")
        assert comes(lambda: bench.context.mounts.source("/own") is not None)


# -- a whole node, with its files


@contextmanager
def node_of(path: Path, toml: str) -> Iterator[tuple[Node, int]]:
    path.write_text('[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[logging]\naccess_log = ""\n' + toml)
    node = Node(load(path, {}), path, None, 1000)
    port = node.start().port
    try:
        yield node, port
    finally:
        node.stop()


def ask(port: int, path: str, head: str = "") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.sendall(f"GET {path} HTTP/1.0\r\n{head}\r\n".encode())
    return sock


def test_reload_by_signal_makes_the_first_relay_and_keeps_listeners(tmp_path: Path, server: Upstream) -> None:
    path = tmp_path / "pycast.toml"
    with node_of(path, "") as (node, _):
        mounts, first = node.parts.context.mounts, path.read_text()
        path.write_text(first + section(server, "/a"))
        node.reload()
        assert comes(lambda: mounts.source("/a") is not None)
        mount = mounts.get("/a")
        assert mount is not None
        mount.join(1, MemoryTransport(), WHO, b"", 0, 0.0)
        path.write_text(first + section(server, "/a", "on_demand = true\n") + section(server, "/b"))
        node.reload()
        assert comes(lambda: mounts.source("/b") is not None)
        assert len(mount.fanout) == 1 and len(server.heads) == 2


SAYS = (
    b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nServer: Icecast 2.4.4\r\nicy-br:96\r\n"
    b"ice-audio-info: ice-samplerate=44100;ice-bitrate=96;ice-channels=2\r\nicy-description:Caf\xe9 all day\r\n"
    b"icy-genre:Jazz\r\nicy-name:Far away\r\nicy-pub:1\r\nicy-url:http://far.example/\r\nicy-notice1:Hello\r\n"
)


def test_what_the_upstream_says_of_its_stream_reaches_listeners_and_statistics(
    tmp_path: Path, server: Upstream
) -> None:
    server.play = plays(SAYS)
    with node_of(tmp_path / "x.toml", section(server, "/a")) as (node, port):
        assert comes(lambda: node.parts.context.mounts.source("/a") is not None)
        with ask(port, "/a") as listener:
            head = listener.recv(65_536).partition(b"\r\n\r\n")[0].decode()
        told = [line for line in head.split("\r\n") if line.startswith(("icy-", "ice-"))]
        assert told == [
            *("icy-br:96", "ice-audio-info: ice-samplerate=44100;ice-bitrate=96;ice-channels=2"),
            *("icy-br:96", "icy-description:Café all day", "icy-genre:Jazz", "icy-name:Far away"),
            *("icy-notice1:Hello", "icy-pub:1", "icy-url:http://far.example/"),
        ]  # fmt: skip
        [mount] = node.parts.context.site.local.snapshot().mounts
    assert (mount.server_name, mount.server_description, mount.server_url) == (
        *("Far away", "Café all day"), "http://far.example/",
    )  # fmt: skip
    assert (mount.genre, mount.bitrate, mount.public, mount.audio_info) == (
        *("Jazz", "96", True), "ice-samplerate=44100;ice-bitrate=96;ice-channels=2",
    )  # fmt: skip


def test_first_listener_starts_a_relay_on_demand_and_gets_its_stream(tmp_path: Path, server: Upstream) -> None:
    with node_of(tmp_path / "x.toml", section(server, "/a", "on_demand = true\n")) as (node, port):
        assert comes(lambda: node.parts.context.finder.is_known("/a"))
        with ask(port, "/admin/streamlist.txt", "Authorization: Basic cmVsYXk6aGFja21l\r\n") as listing:
            assert listing.recv(4096).endswith(b"\r\n\r\n/a\r\n") or listing.recv(4096) == b"/a\r\n"
        assert not server.heads
        with ask(port, "/a") as listener:
            data = b""
            while len(data) < 8000:
                data += listener.recv(65_536)
            head, _, audio = data.partition(b"\r\n\r\n")
        assert b"\r\nicy-name:Far away\r\n" in head + b"\r\n" and audio.startswith(frames(0, 2))


def test_mount_that_would_be_relayed_from_itself_is_refused(
    tmp_path: Path, server: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    toml = '[[mount]]\nmount_name = "/a"\nsource_grace = 30\n'
    with node_of(tmp_path / "x.toml", toml + section(server, "/a")) as (node, port):
        mounts, path = node.parts.context.mounts, tmp_path / "x.toml"
        assert comes(lambda: mounts.source("/a") is not None)
        with ask(port, "/a", "User-Agent: Icecast 2.4.4\r\n") as relaying, ask(port, "/a") as player:
            told = relaying.recv(65_536).partition(b"\r\n\r\n")[0]
            assert b"icy-relay-path" not in player.recv(65_536).partition(b"\r\n\r\n")[0]
        [line] = [line for line in told.split(b"\r\n") if line.startswith(b"icy-relay-path:")]
        server.play = plays(HTTP + line + b"\r\n")
        server.hang_up()
        assert comes(lambda: "a relay would be a circle" in caplog.text)
        assert mounts.source("/a") is None
        # Under another name it is no circle.
        path.write_text(path.read_text() + section(server, "/a", 'local_mount = "/b"\n'))
        node.reload()
        assert comes(lambda: mounts.source("/b") is not None)


def test_slave_of_icecast_kh_gets_the_list_and_each_stream_although_it_is_full(
    tmp_path: Path, server: Upstream
) -> None:
    toml = section(server, "/a b") + '[[mount]]\nmount_name = "/a b"\nmax_listeners = 0\n'
    login = "Authorization: Basic cmVsYXk6aGFja21l\r\n"
    with node_of(tmp_path / "x.toml", toml) as (node, port):
        assert comes(lambda: node.parts.context.mounts.source("/a b") is not None)

        def answer(path: str, head: str = login) -> bytes:
            data = b""
            with ask(port, path, head) as sock:
                while len(data) < 3000 and (more := sock.recv(65_536)):
                    data += more
            return data

        assert answer("/admin/streams?rserver=x&rport=8000&interval=60").endswith(
            b"\r\n\r\n/admin/streams?mount=/a b\r\n"
        )
        stream = answer("/admin/streams?mount=/a%20b")
        assert stream.startswith(b"HTTP/1.0 200 OK\r\n") and frames(0, 3) in stream
        assert answer("/a%20b").startswith(b"HTTP/1.0 403 ")
        assert answer("/admin/streams?mount=/a%20b", "").startswith(b"HTTP/1.0 401 ")
        assert answer("/admin/streams?mount=/none").startswith(b"HTTP/1.0 400 ")


def test_slave_gets_the_listeners_for_whom_its_master_has_no_room(
    tmp_path: Path, server: Upstream, quick: None
) -> None:
    full = '[server]\nmax_redirect_slaves = 1\n[[mount]]\nmount_name = "/a"\nmax_listeners = 0\n'
    with node_of(tmp_path / "master.toml", section(server, "/a") + full) as (node, port):
        own = f'[server]\nhostname = "127.0.0.1"\n[master]\nserver = "127.0.0.1"\nport = {port}\n'
        assert comes(lambda: node.parts.context.mounts.source("/a") is not None)
        with ask(port, "/a") as refused:
            assert refused.recv(65_536).startswith(b"HTTP/1.0 403 ")
        with node_of(tmp_path / "slave.toml", own + 'password = "hackme"\nredirect = true\n') as (slave, other):
            assert comes(lambda: slave.parts.context.mounts.source("/a") is not None)
            with ask(port, "/a?x=%20", "Authorization: Basic dTpw\r\n") as sent:
                head = sent.recv(65_536)
            assert head.startswith(b"HTTP/1.0 302 Found\r\n")
            assert b"\r\nLocation: http://u:p@127.0.0.1:%d/a?x=%%20\r\n" % other in head
            with ask(other, "/a?x=%20") as listener:
                assert listener.recv(65_536).startswith(b"HTTP/1.0 200 OK\r\n")
            with ask(port, "/a", "User-Agent: x\r\n") as sent:
                assert b"\r\nLocation: http://127.0.0.1:%d/a\r\n" % other in sent.recv(65_536)
        assert node.parts.context.counters.listeners_redirected == 2


def test_all_listeners_of_a_mount_are_sent_to_its_redirect_and_other_servers_are_not(
    tmp_path: Path, server: Upstream
) -> None:
    toml = section(server, "/a") + '[[mount]]\nmount_name = "/a"\nredirect_to = "https://cdn.example/x/${mount}"\n'
    with node_of(tmp_path / "x.toml", toml) as (node, port):
        assert comes(lambda: node.parts.context.mounts.source("/a") is not None)
        with ask(port, "/a?k=v") as sent:
            assert b"\r\nLocation: https://cdn.example/x/a?k=v\r\n" in sent.recv(65_536)
        login = "Authorization: Basic cmVsYXk6aGFja21l\r\n"
        with ask(port, "/admin/streams?mount=/a", login) as slave:
            assert slave.recv(65_536).startswith(b"HTTP/1.0 200 OK\r\n")
        assert node.parts.context.counters.bad_requests == 0


def test_state_of_a_relay_is_what_it_does(quick: None, server: Upstream) -> None:
    with relays(section(server, "/a")) as (made, _):
        made.apply()
        relay = made.get("/a")
        assert relay is not None and comes(lambda: relay.state is RelayState.ON_AIR)
