"""Whose address a request has, on every way in: statistics, logs, bans, limits and logins all go by the same one."""

import struct
from base64 import b64encode
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path
from typing import NamedTuple

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from pycast.http.addresses import network_of
from pycast.http.proxy_protocol import SIGNATURE
from tests.conftest import WaitUntil

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
trusted_proxies = ["127.0.0.3", "127.0.0.4"]
[[listen]]
bind_address = "127.0.0.1"
port = 0
proxy_protocol = true
trusted_proxies = ["127.0.0.3", "127.0.0.4"]
[limits]
source_grace = 0
listeners_per_ip = 1
[logging]
access_log = "{0}/access.log"
[paths]
deny_ip = "{0}/deny"
"""

PLAYER = "203.0.113.7"
PLAYER6 = "2001:db8::7"


def version_1(ip: str) -> bytes:
    return f"PROXY TCP4 {ip} 192.0.2.1 51234 8000\r\n".encode()


def version_2(ip: str) -> bytes:
    body = IPv6Address(ip).packed + IPv6Address("2001:db8::1").packed + struct.pack("!HH", 51234, 8000)
    return SIGNATURE + struct.pack("!BBH", 0x21, 0x21, len(body)) + body


class Way(NamedTuple):
    """A way in: the address of the connection, what it sends before the request, and a header of the request."""

    peer: str
    address: str
    """The address that the request has."""
    header: str = ""
    before: bytes = b""
    port: int = 0


WAYS = {
    "direct": Way("127.0.0.9", "127.0.0.9"),
    "X-Forwarded-For of anybody": Way("127.0.0.9", "127.0.0.9", f"X-Forwarded-For: {PLAYER}"),
    "Forwarded of anybody": Way("127.0.0.9", "127.0.0.9", f"Forwarded: for={PLAYER}"),
    "X-Real-IP of a proxy": Way("127.0.0.3", "127.0.0.3", f"X-Real-IP: {PLAYER}"),
    "a proxy itself": Way("127.0.0.3", "127.0.0.3"),
    "X-Forwarded-For of a proxy": Way("127.0.0.3", PLAYER, f"X-Forwarded-For: {PLAYER}"),
    "Forwarded of a proxy": Way("127.0.0.3", PLAYER, f"Forwarded: for={PLAYER};proto=https"),
    "IPv6 in Forwarded": Way("127.0.0.3", PLAYER6, f'Forwarded: for="[{PLAYER6}]:99"'),
    "a chain of proxies": Way("127.0.0.3", PLAYER, f"X-Forwarded-For: 1.2.3.4, {PLAYER}, 127.0.0.4"),
    "a mapped address": Way("127.0.0.3", PLAYER, f"X-Forwarded-For: ::ffff:{PLAYER}"),
    "PROXY version 1": Way("127.0.0.3", PLAYER, before=version_1(PLAYER)),
    "PROXY version 2": Way("127.0.0.3", PLAYER6, before=version_2(PLAYER6)),
    "PROXY of a proxy behind": Way("127.0.0.3", PLAYER, f"X-Forwarded-For: {PLAYER}", version_1("127.0.0.4")),
    "a header of who PROXY names": Way("127.0.0.3", PLAYER, "X-Forwarded-For: 1.2.3.4", version_1(PLAYER)),
    "a port for PROXY": Way("127.0.0.3", PLAYER, before=version_1(PLAYER), port=1),
    "a port for PROXY, and a chain": Way(
        "127.0.0.4", PLAYER, f"X-Forwarded-For: {PLAYER}", version_1("127.0.0.3"), port=1
    ),
}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    (tmp_path / "deny").write_text("# nobody\n")
    made = Node(loads(TOML.format(tmp_path), {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(node: Node, way: Way, first: str, more: str = "") -> socket.socket:
    port = node._ports.acceptors[way.port].port
    sock = socket.create_connection(("127.0.0.1", port), 5, source_address=(way.peer, 0))
    head = "".join(f"{line}\r\n" for line in (first, way.header, more) if line)
    sock.sendall(way.before + head.encode() + b"\r\n")
    return sock


def status(sock: socket.socket) -> bytes:
    with sock:
        try:
            return bytes(sock.recv(1000))[9:12]
        except ConnectionError:
            return b""


def basic(password: str) -> str:
    return "Authorization: Basic " + b64encode(f"source:{password}".encode()).decode()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_all_parts_go_by_the_same_address(node: Node, way: Way, tmp_path: Path, wait_until: WaitUntil) -> None:
    context = node.parts.context
    # Logins.
    assert status(connect(node, way, "SOURCE /x HTTP/1.0", basic("wrong"))) == b"401"
    assert list(context.site.logins._failures) == [network_of(way.address)]
    # Sources.
    with connect(node, way, "SOURCE /x HTTP/1.0", basic("hackme") + "\r\nContent-Type: text/plain") as source:
        assert source.recv(1000).startswith(b"HTTP/1.0 200")
        source.sendall(b"audio")
        wait_until(lambda: context.mounts.get("/x"), "the mount")
        mount = context.mounts.get("/x")
        assert mount is not None and mount.description.ip == way.address
        # Statistics and limits.
        with connect(node, way, "GET /x HTTP/1.0") as listener:
            assert listener.recv(1000)[9:12] == b"200"
            assert [one.ip for one in context.site.local.listeners("/x")] == [way.address]
            assert status(connect(node, way, "GET /x HTTP/1.0")) == b"503"
            other = WAYS["X-Forwarded-For of a proxy"]._replace(header="X-Forwarded-For: 203.0.113.99")
            assert status(connect(node, other, "GET /x HTTP/1.0")) == b"200"
        wait_until(lambda: not len(mount.fanout), "the end of the listeners")
    # Bans: of proxies, which are trusted, there are none.
    (tmp_path / "deny").write_text(f"{way.address}\n")
    context.bans.refresh()
    is_proxy = way.address == "127.0.0.3"
    answer = status(connect(node, way, "GET /livez HTTP/1.0"))
    assert answer == (b"200" if is_proxy else b"403" if way.address in way.header else b"")
    assert context.counters.banned == (not is_proxy)
    # Logs.
    node.parts.logs.close()
    lines = (tmp_path / "access.log").read_text().splitlines()
    assert {line.split()[0] for line in lines if "203.0.113.99" not in line} == {way.address}


def test_no_other_code_says_whose_address_it_is() -> None:
    sources = {path: path.read_text() for path in (Path(__file__).parents[2] / "pycast").rglob("*.py")}
    said = [line.strip() for text in sources.values() for line in text.splitlines() if "connection.ip = " in line]
    assert len(said) == 2 and all(line.startswith("connection.ip = client_ip(connection.peer, ") for line in said)


@pytest.mark.parametrize(
    "way",
    [
        Way("127.0.0.9", "", before=version_1(PLAYER)),
        Way("127.0.0.9", "", before=version_1(PLAYER), port=1),
        Way("127.0.0.3", "", port=1),
    ],
    ids=["a PROXY header of anybody", "of anybody where it is required", "none where it is required"],
)
def test_who_may_not_name_an_address_is_not_served(node: Node, way: Way) -> None:
    assert status(connect(node, way, "GET /livez HTTP/1.0")) != b"200"
