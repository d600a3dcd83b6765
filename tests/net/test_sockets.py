"""Accepted connections have the options they need without a call for each."""

import socket as stdlib_socket
from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.net import sockets


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    server = sockets.bind("127.0.0.1", 0)
    client = socket.create_connection(server.getsockname())
    accepted, _ = server.accept()
    yield client, accepted
    for sock in (server, client, accepted):
        sock.close()


def test_lb_03_accepted_connections_inherit_the_options(pair: tuple[socket.socket, socket.socket]) -> None:
    _, accepted = pair
    tcp = stdlib_socket.IPPROTO_TCP
    assert accepted.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_KEEPALIVE) == 1
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_KEEPIDLE) == sockets.KEEPALIVE_IDLE_S
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_KEEPINTVL) == sockets.KEEPALIVE_INTERVAL_S
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_KEEPCNT) == sockets.KEEPALIVE_COUNT
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_NODELAY) == 1
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_USER_TIMEOUT) == sockets.USER_TIMEOUT_MS
    assert accepted.getsockopt(tcp, stdlib_socket.TCP_NOTSENT_LOWAT) == sockets.NOTSENT_LOWAT


def test_a_detached_socket_never_waits(pair: tuple[socket.socket, socket.socket]) -> None:
    client, accepted = pair
    bare = sockets.detach(accepted)
    try:
        with pytest.raises(BlockingIOError):
            for _ in range(10_000):
                bare.send(b"x" * 100_000)
        assert client.recv(1) == b"x"
    finally:
        bare.close()


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (("127.0.0.1", 1), "127.0.0.1"),
        (("::ffff:10.1.2.3", 1, 0, 0), "10.1.2.3"),
        (("2001:db8::1", 1, 0, 0), "2001:db8::1"),
    ],
)
def test_an_ipv4_peer_is_written_as_ipv4(address: tuple[str, int], text: str) -> None:
    assert sockets.peer_ip(address) == text


def test_ipv6_any_takes_ipv4_too() -> None:
    server = sockets.bind("::", 0)
    port = server.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    client.close()
    server.close()


def test_connections_to_a_reserved_port_are_distributed_to_all_that_share_it() -> None:
    held = sockets.reserve("127.0.0.1", 0)
    port = held.getsockname()[1]
    sharers = [sockets.bind_shared("127.0.0.1", port) for _ in range(2)]
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    accepted = [sock.accept()[0] for sock in sharers]  # the chance that one gets none of 40 is 1 in 10^12
    for sock in (held, *sharers, *clients, *accepted):
        sock.close()


def test_a_port_that_others_share_cannot_be_reserved_as_well() -> None:
    held = sockets.reserve("127.0.0.1", 0)
    port = held.getsockname()[1]
    sharer = sockets.bind_shared("127.0.0.1", port)
    with pytest.raises(OSError, match="in use"):
        sockets.reserve("127.0.0.1", port)
    held.close()
    sharer.close()


def test_the_file_limit_is_raised_to_the_hard_one() -> None:
    assert sockets.raise_file_limit() > 0
