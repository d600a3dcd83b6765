"""Tests of pycast.net.farewell: a client reads its answer, and no reset comes before it or after it."""

import socket as stdlib_socket
import time

import pytest
from gevent import socket

from pycast.net.farewell import Farewell
from pycast.net.group import Group
from pycast.net.sockets import bind

ANSWER = b"HTTP/1.0 503 Service Unavailable\r\n\r\n"


def pair() -> tuple[socket.socket, socket.socket]:
    listening = bind("127.0.0.1", 0)
    peer = socket.create_connection(listening.getsockname(), 5)
    ours, _ = listening.accept()
    listening.close()
    return ours, peer


def wait(farewell: Farewell, seconds: float) -> Group:
    group = Group()
    group.spawn("farewell", farewell.wait, seconds)
    return group


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.0\r\n\r\n"])
def test_a_client_gets_the_answer_and_the_end_whether_its_request_is_here_or_not(sent: bytes) -> None:
    ours, peer = pair()
    peer.sendall(sent)
    farewell = Farewell()
    farewell.add(ours, ANSWER)
    group = wait(farewell, 5)
    assert peer.recv(1000) == ANSWER
    assert peer.recv(1000) == b""
    peer.close()
    group.join(5)
    assert (len(group), len(farewell)) == (0, 0)


def test_a_request_that_comes_after_the_answer_is_read_and_not_reset() -> None:
    ours, peer = pair()
    farewell = Farewell()
    farewell.add(ours, ANSWER)
    group = wait(farewell, 5)
    assert peer.recv(1000) == ANSWER
    for _ in range(3):
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")  # a reset would make one of these fail
        socket.wait_write(peer.fileno())
    assert peer.recv(1000) == b""
    peer.close()
    group.join(5)


def test_who_stays_is_closed_in_the_end_and_all_wait_together() -> None:
    pairs = [pair() for _ in range(20)]
    farewell = Farewell()
    for ours, _ in pairs:
        farewell.add(ours, ANSWER)
    begun = time.monotonic()
    farewell.wait(0.1)
    assert time.monotonic() - begun < 2
    assert len(farewell) == 0
    for _, peer in pairs:
        peer.close()


def test_a_client_that_is_gone_is_closed_at_once() -> None:
    ours, peer = pair()
    peer.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    farewell = Farewell()
    farewell.add(ours, ANSWER)
    farewell.wait(5)
    assert len(farewell) == 0
