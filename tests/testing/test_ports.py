"""Ports that are held for a program that will listen on them."""

import socket

import pytest

from pycast.testing.ports import LOOPBACK, Ports


@pytest.fixture
def port(ports: Ports) -> int:
    return ports.take()


@pytest.fixture
def ports() -> Ports:
    return Ports()


def listens(host: str, port: int) -> bool:
    try:
        with socket.create_server((host, port)):
            return True
    except OSError:
        return False


def look_for(port: int) -> None:
    """As one who wants a free port does."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, port))


def test_a_server_listens_on_it_and_again_after_its_end(port: int, ports: Ports) -> None:
    with ports:
        for _ in range(2):
            with socket.create_server((LOOPBACK, port)), socket.create_connection((LOOPBACK, port)) as client:
                assert client.getpeername() == (LOOPBACK, port)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((LOOPBACK, port))


def test_nobody_else_gets_it_until_it_is_released(port: int, ports: Ports) -> None:
    with pytest.raises(OSError, match="in use"):
        look_for(port)
    ports.release()
    look_for(port)


def test_it_is_free_on_every_host_and_so_are_those_behind_it(ports: Ports) -> None:
    hosts = ["127.0.0.2", "127.0.0.3"]
    with ports:
        port = ports.take(hosts, row=2)
        assert all(listens(host, port + number) for host in hosts for number in (0, 1))
        with socket.create_server(("127.0.0.3", 0)) as busy:
            assert ports.take(hosts) != busy.getsockname()[1]


def test_an_address_of_another_network_gets_some_port(ports: Ports) -> None:
    with ports:
        assert 0 < ports.take(["192.0.2.1"]) < 65_536


def test_a_host_that_is_none_is_told(ports: Ports) -> None:
    with ports, pytest.raises(socket.gaierror):
        ports.take(["nonsense.invalid"])
