"""Tests of pycast.server.proxies: who may send a PROXY header, and what is taken from the socket."""

import struct
import time
from collections.abc import Iterator
from ipaddress import ip_network

import gevent
import pytest
from gevent import socket

from pycast.config.load import loads
from pycast.errors import RequestError
from pycast.http.addresses import Networks
from pycast.http.proxy_protocol import SIGNATURE
from pycast.server.connection import Connection
from pycast.server.proxies import Proxies, proxies_before, read_proxy_header
from tests.server.contexts import connect

LINE = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 8000\r\n"
LOCAL = SIGNATURE + struct.pack("!BBH", 0x20, 0, 0)
GET = b"GET / HTTP/1.0\r\n\r\n"
TIMEOUT_S = 0.2

US = Networks([ip_network("127.0.0.0/8")])
REQUIRED = Proxies(US, True)
FROM_ANYBODY = Proxies(Networks([]), True)
TRUSTED = Proxies(US, False)
OTHERS = Proxies(Networks([ip_network("10.0.0.0/8")]), False)


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    connection, peer = connect()
    yield connection, peer
    connection.close()
    peer.close()


Pair = tuple[Connection, socket.socket]


def waiting(connection: Connection) -> bytes:
    return connection.read(time.monotonic() + 5)


@pytest.mark.parametrize("proxies", [REQUIRED, FROM_ANYBODY, TRUSTED])
def test_the_header_is_taken_and_what_follows_stays(pair: Pair, proxies: Proxies) -> None:
    connection, peer = pair
    peer.sendall(LINE + GET)
    assert read_proxy_header(connection, proxies, TIMEOUT_S) == b""
    assert connection.ip == "203.0.113.7"
    assert connection.proxies is None, "who is named by the header is no proxy"
    assert not connection.is_health_check
    assert waiting(connection) == GET


def test_a_trusted_proxy_behind_the_balancer_is_believed(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(LINE.replace(b"203.0.113.7", b"127.0.0.9") + GET)
    read_proxy_header(connection, REQUIRED, TIMEOUT_S)
    assert connection.proxies is US


def test_a_header_may_come_in_pieces(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(LINE[:9])
    sending = gevent.spawn_later(0.02, peer.sendall, LINE[9:] + GET)  # noqa: TID251  # a test's own greenlet
    read_proxy_header(connection, REQUIRED, TIMEOUT_S)
    sending.join()
    assert (connection.ip, waiting(connection)) == ("203.0.113.7", GET)


def test_a_trusted_proxy_need_not_send_one(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(GET)
    assert read_proxy_header(connection, TRUSTED, TIMEOUT_S) == b""
    assert (connection.ip, connection.proxies) == ("127.0.0.1", US)
    assert waiting(connection) == GET


@pytest.mark.parametrize("data", [b"PROX", b"PROPFIND / HTTP/1.0\r\n\r\n"])
def test_no_byte_is_lost_of_what_only_begins_like_a_header(pair: Pair, data: bytes) -> None:
    connection, peer = pair
    peer.sendall(data[:4])
    sending = gevent.spawn_later(0.02, peer.sendall, data[4:])  # noqa: TID251  # a test's own greenlet
    first = read_proxy_header(connection, TRUSTED, 0.1)
    sending.join()
    peer.shutdown(socket.SHUT_WR)
    rest = b""
    while piece := waiting(connection):
        rest += piece
    assert first + rest == data


def test_a_header_of_a_client_that_is_no_trusted_proxy_stays_in_the_socket(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(LINE)
    assert read_proxy_header(connection, OTHERS, TIMEOUT_S) == b""
    assert (connection.ip, connection.proxies, waiting(connection)) == ("127.0.0.1", None, LINE)


@pytest.mark.parametrize(
    ("proxies", "data"),
    [
        (REQUIRED, GET),
        (Proxies(Networks([ip_network("10.0.0.0/8")]), True), LINE),
        (REQUIRED, b"PROXY nonsense\r\n"),
    ],
)
def test_a_connection_without_a_required_header_is_refused(pair: Pair, proxies: Proxies, data: bytes) -> None:
    connection, peer = pair
    peer.sendall(data)
    with pytest.raises(RequestError):
        read_proxy_header(connection, proxies, TIMEOUT_S)


def test_a_connection_that_sends_nothing_where_a_header_is_required_is_refused_in_time(pair: Pair) -> None:
    with pytest.raises(RequestError, match="did not begin with a PROXY header"):
        read_proxy_header(pair[0], REQUIRED, 0.05)
    assert not pair[0].is_health_check


def test_bytes_before_tls_that_are_no_header_are_refused(pair: Pair) -> None:
    connection, peer = pair
    connection.tls = True
    peer.sendall(b"PROX")
    peer.shutdown(socket.SHUT_WR)
    with pytest.raises(RequestError, match="neither with a PROXY header nor with TLS"):
        read_proxy_header(connection, TRUSTED, 0.05)


@pytest.mark.parametrize("data", [b"", LOCAL])
def test_a_balancers_health_check_is_marked_as_one(pair: Pair, data: bytes) -> None:
    connection, peer = pair
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    read_proxy_header(connection, TRUSTED, TIMEOUT_S)
    assert connection.is_health_check
    assert connection.ip == "127.0.0.1"


def test_a_port_without_proxies_has_none_before_it() -> None:
    (direct,) = loads("[[listen]]\nport = 8000\n", {}, "test").listen
    assert proxies_before(direct) is None


def test_the_proxies_of_a_port_are_configured() -> None:
    toml = "[[listen]]\nport = 8000\nproxy_protocol = true\ntrusted_proxies = ['10.0.0.0/8']\n"
    proxies = proxies_before(loads(toml, {}, "test").listen[0])
    assert proxies is not None and proxies.requires_proxy_header
    assert proxies.trusted.cover("10.1.2.3") and not proxies.trusted.cover("192.0.2.1")
