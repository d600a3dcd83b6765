"""Tests of pycast.net.packet_filters: the kernel does with new connections what the two programs say."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pycast.net.packet_filters import hold_new, steer
from pycast.net.sockets import bind, bind_shared

COUNT = 3
MANY = 60


@pytest.fixture
def group() -> Iterator[list[socket.socket]]:
    """Three sockets that share a port."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(bind_shared("127.0.0.1", 0))]
        port = sockets[0].getsockname()[1]
        sockets += [stack.enter_context(bind_shared("127.0.0.1", port)) for _ in range(COUNT - 1)]
        for sock in sockets:
            sock.setblocking(False)
        yield sockets


def dealt(group: list[socket.socket]) -> list[int]:
    """How many of so many connections each socket gets."""
    address = group[0].getsockname()
    for _ in range(MANY):
        socket.create_connection(address, 5).close()
    return [taken(sock) for sock in group]


def taken(sock: socket.socket) -> int:
    count = 0
    try:
        while True:
            sock.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


@pytest.mark.parametrize("serving", [[0], [2], [0, 1], [1, 2]])
def test_new_connections_go_to_those_that_serve_and_to_nobody_else(
    group: list[socket.socket], serving: list[int]
) -> None:
    assert steer(group[0], serving, COUNT)
    counts = dealt(group)
    assert sum(counts) == MANY
    assert [index for index, count in enumerate(counts) if count] == serving


@pytest.mark.parametrize("serving", [[], [0, 1, 2]])
def test_without_a_choice_all_get_some_again(group: list[socket.socket], serving: list[int]) -> None:
    assert steer(group[0], [1], COUNT)
    assert steer(group[1], serving, COUNT)
    counts = dealt(group)
    assert sum(counts) == MANY
    assert all(counts)


def test_when_one_of_them_is_closed_the_rest_take_all(group: list[socket.socket]) -> None:
    assert steer(group[0], [], COUNT)
    group[0].close()
    address = group[1].getsockname()
    for _ in range(MANY):
        socket.create_connection(address, 5).close()
    assert taken(group[1]) + taken(group[2]) == MANY


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_held_socket_takes_no_new_connection_and_goes_on_with_the_others(address: str) -> None:
    with bind(address, 0) as listening, socket.create_connection(listening.getsockname()[:2], 5) as before:
        listening.setblocking(False)
        assert hold_new(listening)
        with socket.socket(listening.family) as late:
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(listening.getsockname()[:2])
        accepted, _ = listening.accept()
        before.sendall(b"data of a connection that was there")
        accepted.settimeout(5)
        assert accepted.recv(100) == b"data of a connection that was there"
        accepted.close()
        assert taken(listening) == 0


def test_a_socket_that_cannot_have_a_program_says_so() -> None:
    sock = socket.socket()
    sock.close()
    assert not hold_new(sock)
    assert not steer(sock, [0], 2)
