"""A node behind HAProxy from Debian, in both modes: which addresses are seen, what passes, and how a failure is
explained.

HAProxy connects from 127.0.0.1, which is the trusted proxy; players and sources come from `CLIENT`, so the two cannot
be taken for each other.
"""

import re
import socket
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from pycast.config.load import loads
from pycast.testing import Server
from tests.e2e.haproxy import HAProxy
from tests.e2e.programs import ENCODINGS, Target, curl_listener, ffmpeg_source
from tests.e2e.wire import DEADLINE_S, Wire, assert_run_of, basic, frames, parse

MOUNT = "/live.mp3"
CLIENT = "127.0.0.5"
CONF = Path(__file__).parents[2] / "conf"
FORWARDING = ("option forwardfor",)


@dataclass(slots=True)
class ClientWire(Wire):
    """A connection from `CLIENT`."""

    def __post_init__(self) -> None:
        self.sock = socket.create_connection((self.host, self.port), DEADLINE_S, source_address=(CLIENT, 0))


@dataclass(frozen=True, slots=True)
class Way:
    """One way to put HAProxy before a server so that the server sees its clients."""

    mode: str
    options: str = ""
    lines: tuple[str, ...] = ()
    demands: bool = False

    def server(self) -> Server:
        return Server(listen=[{"proxy_protocol": self.demands, "trusted_proxies": ["127.0.0.1"]}])

    def before(self, server: Server) -> HAProxy:
        return HAProxy.before(server.port, mode=self.mode, options=self.options, lines=self.lines)


WAYS = {
    "http": Way("http", lines=FORWARDING),
    "http, v2": Way("http", "send-proxy-v2", demands=True),
    "tcp, v1": Way("tcp", "send-proxy", demands=True),
    "tcp, v2": Way("tcp", "send-proxy-v2", demands=True),
    "tcp, v2, not demanded": Way("tcp", "send-proxy-v2"),
}
TCP = [name for name, way in WAYS.items() if way.mode == "tcp"]


def put(port: int, password: str, *headers: str) -> Wire:
    """Returns a PUT that was accepted. How its body is sent depends on `headers`."""
    wire = ClientWire(port)
    login = basic("source", password)
    wire.send(f"PUT {MOUNT} HTTP/1.1\r\nHost: radio\r\n{login}Content-Type: audio/mpeg\r\n{''.join(headers)}\r\n")
    assert wire.read_head().status == 200
    return wire


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def heard_through(port: int, size: int) -> tuple[bytes, dict[str, str]]:
    """Returns what a player received: audio, and the headers with names in lower case."""
    with ClientWire(port) as wire:
        reply = wire.send(f"GET {MOUNT} HTTP/1.1\r\nHost: radio\r\n\r\n").read_head()
        assert reply.status == 200, reply
        return wire.read(size), {name.lower(): value for name, value in reply.headers}


@pytest.mark.parametrize("name", WAYS)
def test_lb_05_lb_06_real_address_of_a_listener_is_seen(name: str) -> None:
    with WAYS[name].server() as server, WAYS[name].before(server) as proxy:
        with (
            put(proxy.port, server.source_password, "Transfer-Encoding: chunked\r\n") as feed,
            ClientWire(proxy.port) as listener,
        ):
            feed.send(chunk(frames(0, 10)))
            server.wait_until(lambda: bool(server.received(MOUNT)), 5, "the stream")
            listener.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n").read_to(b"\r\n\r\n")
            # Only HAProxy may name clients, so the test asks through it, too.
            with ClientWire(proxy.port) as admin:
                admin.send(f"GET /admin/listclients?mount={MOUNT} HTTP/1.0\r\n{basic('admin', 'adminpass')}\r\n")
                assert f"<IP>{CLIENT}</IP>".encode() in admin.read_all()
        source_line = f"source from {CLIENT}"
        server.wait_until(lambda: source_line in server.log(), 5, source_line)
        server.wait_until(lambda: len(server.access_log()) >= 2, 5, "the source's and the admin's line")
        assert {line.split()[0] for line in server.access_log()} == {CLIENT}


@pytest.mark.parametrize("name", WAYS)
def test_lb_07_chunked_put_arrives_byte_by_byte(name: str) -> None:
    sent = frames(0, 400)
    with WAYS[name].server() as server, WAYS[name].before(server) as proxy:
        with put(proxy.port, server.source_password, "Transfer-Encoding: chunked\r\n") as feed:
            for at in range(0, len(sent), 5000):
                feed.send(chunk(sent[at : at + 5000]))
            server.wait_until(lambda: len(server.received(MOUNT)) >= len(sent), 10, "all of it")
            feed.send(b"0\r\n\r\n")
        assert server.received(MOUNT) == sent


@pytest.mark.parametrize("name", ["http", "tcp, v2"])
def test_lb_07_put_that_waits_for_100_gets_it_and_its_200_at_the_end(name: str) -> None:
    sent = frames(0, 100)
    with WAYS[name].server() as server, WAYS[name].before(server) as proxy, ClientWire(proxy.port) as feed:
        login = basic("source", server.source_password)
        head = f"PUT {MOUNT} HTTP/1.1\r\nHost: radio\r\n{login}Content-Type: audio/mpeg\r\n"
        feed.send(f"{head}Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert feed.read_head().status == 100
        feed.send(chunk(sent) + b"0\r\n\r\n")
        assert feed.read_head().status == 200
        server.wait_until(lambda: len(server.received(MOUNT)) >= len(sent), 10, "all of it")
        assert server.received(MOUNT) == sent


@pytest.mark.parametrize("name", TCP)
def test_lb_07_unframed_source_passes_in_tcp_mode(name: str) -> None:
    sent = frames(0, 200)
    with WAYS[name].server() as server, WAYS[name].before(server) as proxy, ClientWire(proxy.port) as feed:
        head = f"SOURCE {MOUNT} ICE/1.0\r\n{basic('source', server.source_password)}Content-Type: audio/mpeg\r\n\r\n"
        assert feed.send(head).read_to(b"\r\n\r\n") == b"HTTP/1.0 200 OK\r\n\r\n"
        feed.send(sent)
        server.wait_until(lambda: len(server.received(MOUNT)) >= len(sent), 10, "all of it")
        assert server.received(MOUNT) == sent


def test_ffmpeg_streams_through_tcp_mode_and_curl_listens(tmp_path: Path) -> None:
    way = WAYS["tcp, v2"]
    with way.server() as server, way.before(server) as proxy:
        target = Target(proxy.port, server.source_password)
        heard = tmp_path / "heard"
        with ffmpeg_source(target, MOUNT, ENCODINGS[0]):
            server.wait_until(lambda: len(server.received(MOUNT)) > 20_000, 15, "ffmpeg's stream")
            with curl_listener(target.url(MOUNT), heard):
                server.wait_until(lambda: heard.exists() and heard.stat().st_size > 40_000, 15, "what curl hears")
        server.wait_until(lambda: heard.read_bytes()[-1000:] in server.received(MOUNT), 5, "the end of the dump")
        assert_run_of(heard.read_bytes(), server.received(MOUNT))


@pytest.mark.parametrize("name", WAYS)
def test_lb_09_listener_hears_every_byte(name: str) -> None:
    sent = frames(0, 100)
    with WAYS[name].server() as server, WAYS[name].before(server) as proxy:
        with put(proxy.port, server.source_password, "Transfer-Encoding: chunked\r\n") as feed:
            feed.send(chunk(sent))
            server.wait_until(lambda: len(server.received(MOUNT)) >= len(sent), 10, "all of it")
            heard, head = heard_through(proxy.port, len(sent))
        assert heard == sent
        assert head["content-type"] == "audio/mpeg"
        assert ("x-accel-buffering" in head) == bool(WAYS[name].lines)


@pytest.mark.parametrize("name", ["http", "tcp, v2"])
def test_listener_that_leaves_frees_its_slot(name: str) -> None:
    with (
        WAYS[name].server() as server,
        WAYS[name].before(server) as proxy,
        put(proxy.port, server.source_password, "Transfer-Encoding: chunked\r\n") as feed,
    ):
        feed.send(chunk(frames(0, 100)))
        server.wait_until(lambda: bool(server.received(MOUNT)), 10, "the stream")
        heard_through(proxy.port, 1000)
        numbers = count(100)

        def is_gone() -> bool:
            # In http mode HAProxy sees that its client is gone only when it has something to write to it.
            feed.send(chunk(frames(next(numbers), 1)))
            return bool(server.access_log())

        server.wait_until(is_gone, 5, "the listener's end")
        assert MOUNT in server.access_log()[0]


@pytest.mark.parametrize("head", ["SOURCE {} HTTP/1.0", "PUT {} HTTP/1.1\r\nHost: radio"])
def test_lb_08_unframed_source_through_http_mode_is_explained(head: str) -> None:
    listen = [{"trusted_proxies": ["127.0.0.1"]}]
    with Server(listen=listen, source_timeout=1) as server, WAYS["http"].before(server) as proxy:
        with ClientWire(proxy.port) as feed:
            login = basic("source", server.source_password)
            feed.send(f"{head.format(MOUNT)}\r\n{login}Content-Type: audio/mpeg\r\n\r\n")
            assert feed.read_head().status == 200
            feed.send(frames(0, 20))
            feed.read_all()
        explained = f"the source from {CLIENT} came through an HTTP proxy and sent no byte"
        server.wait_until(lambda: explained in server.log(), 5, "the explanation")
        assert server.received(MOUNT) == b""


CHECKS = {
    "default": ("http", (), ("option httpchk",), False, "L7OK"),
    "readyz": ("http", (), ("option httpchk GET /readyz", "http-check expect status 200"), False, "L7OK"),
    "default, v2": ("tcp", ("send-proxy-v2",), ("option httpchk",), True, "L7OK"),
    "default, v1": ("tcp", ("send-proxy",), ("option httpchk",), True, "L7OK"),
    "connect": ("tcp", (), (), False, "L4OK"),
    "connect, v1": ("tcp", ("send-proxy",), (), True, "L4OK"),
    "connect, v2": ("tcp", ("send-proxy-v2",), (), True, "L4OK"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_lb_05_health_check_passes_and_leaves_no_line_in_the_log(name: str) -> None:
    mode, options, lines, demands, result = CHECKS[name]
    with Server(listen=[{"proxy_protocol": demands, "trusted_proxies": ["127.0.0.1"]}]) as server:
        check = " ".join((*options, "check inter 50ms fall 1 rise 3"))
        with HAProxy.before(server.port, mode=mode, options=check, lines=lines) as proxy:
            proxy.wait_for(status="UP", check=result)
            connections = accepted(proxy)
            server.wait_until(lambda: accepted(proxy) >= connections + 10, 5, "ten checks")
            proxy.wait_for(status="UP", check=result)
        assert "127.0.0.1: " not in server.log()


def accepted(proxy: HAProxy) -> int:
    """Returns how many connections the server has counted."""
    with ClientWire(proxy.port) as wire:
        body = parse(wire.send("GET /metrics HTTP/1.0\r\n\r\n").read_all()).body.decode()
    lines = (line.rsplit(" ", 1) for line in body.splitlines() if line.startswith("pycast_connections"))
    return int(max(float(value) for _, value in lines))


def test_server_that_stops_is_seen_down() -> None:
    way = Way("http", "check inter 50ms fall 1 rise 1", ("option httpchk",))
    with way.server() as server, way.before(server) as proxy:
        proxy.wait_for(status="UP", check="L7OK")
        server.stop()
        proxy.wait_for(status="DOWN", check="L4CON")


def test_settings_in_the_manual_are_valid() -> None:
    manual = (CONF.parent / "docs" / "behind-a-balancer.md").read_text()
    samples = re.findall(r"```toml\n(.*?)```", manual, re.DOTALL)
    assert len(samples) == 3
    listens = [loads(sample, {}, "manual").listen for sample in samples]
    assert sum(bool(listen[0].trusted_proxies) for listen in listens) == 2
    assert [listen[1].serves for listen in listens if len(listen) == 2] == [("admin", "metrics")]
