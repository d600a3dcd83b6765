"""Ports that workers share: held for them, and for nobody else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from gevent import socket

from pycast.app.passed_sockets import PassedSockets
from pycast.app.worker_ports import WorkerPorts
from pycast.config.load import loads
from pycast.errors import ConfigError
from pycast.net.sockets import bind, bind_shared, inherit
from pycast.testing.ports import Ports

LISTEN = '[[listen]]\nbind_address = "127.0.0.1"\nport = {}\n'


@contextmanager
def held(text: str, count: int = 2) -> Iterator[WorkerPorts]:
    ports = WorkerPorts(loads(text, {}, "test"), count)
    try:
        yield ports
    finally:
        ports.close()


def test_port_0_is_one_free_port_that_every_worker_can_listen_on() -> None:
    with held(LISTEN.format(0)) as ports:
        (port,) = ports.public
        for sock in [bind_shared("127.0.0.1", port) for _ in range(2)]:
            sock.close()


def test_who_does_not_share_cannot_have_a_held_port() -> None:
    with held(LISTEN.format(0)) as ports, pytest.raises(OSError, match="in use"):
        server = bind_shared("127.0.0.1", ports.public[0])
        try:
            bind("127.0.0.1", ports.public[0])
        finally:
            server.close()


def test_ports_that_another_servers_workers_share_are_taken() -> None:
    with held(LISTEN.format(0)) as first:
        worker = bind_shared("127.0.0.1", first.public[0])
        with pytest.raises(ConfigError, match="cannot listen on"):
            WorkerPorts(loads(LISTEN.format(first.public[0]), {}, "test"), 2)
        worker.close()


def connect(ports: WorkerPorts) -> socket.socket:
    return socket.create_connection(("127.0.0.1", ports.public[0]), 5)


def queue(ports: WorkerPorts, index: int) -> socket.socket:
    """What worker `index` inherits of the first port."""
    return inherit(os.dup(ports.sockets(index)[0]))


def test_a_client_waits_for_the_worker_and_the_next_process_goes_on_with_its_queue() -> None:
    with held(LISTEN.format(0)) as ports:
        ports.steer([1])
        clients = [connect(ports) for _ in range(5)]
        first = queue(ports, 1)
        first.setblocking(False)
        accepted = [first.accept()[0] for _ in range(2)]
        first.close()  # the process ends
        second = queue(ports, 1)
        second.setblocking(False)
        accepted += [second.accept()[0] for _ in range(3)]
        second.close()
        for client, ours in zip(clients, accepted, strict=True):
            ours.sendall(b"here")
            assert client.recv(10) == b"here"
            client.close()
            ours.close()


def test_who_waits_for_a_worker_that_is_away_is_answered_and_not_reset() -> None:
    with held(LISTEN.format(0)) as ports:
        ports.steer([0])
        clients = [connect(ports) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert (ports.refuse(1), ports.refuse(0)) == (0, 5)
        for client in clients:
            assert client.recv(1000).startswith(b"HTTP/1.0 503 ")
            client.close()


def test_a_client_that_expects_tls_gets_the_end_instead() -> None:
    with held(LISTEN.format(0) + "tls = true\n[tls]\ncertificate = 'x.pem'\n") as ports:
        ports.steer([0])
        client = connect(ports)
        assert ports.refuse(0) == 1
        assert client.recv(1000) == b""
        client.close()


def test_when_a_worker_serves_no_more_its_clients_are_answered_and_the_others_take_the_new_ones() -> None:
    with held(LISTEN.format(0), 3) as ports:
        ports.steer([0])
        waiting = connect(ports)
        ports.close_worker(0)
        assert waiting.recv(1000).startswith(b"HTTP/1.0 503 ")
        clients = [connect(ports) for _ in range(20)]
        assert ports.refuse(0) + ports.refuse(1) + ports.refuse(2) == 20
        for client in (waiting, *clients):
            client.close()


def test_a_link_of_a_worker_that_is_not_there_refuses_at_once() -> None:
    with held(LISTEN.format(0)) as ports, pytest.raises(ConnectionRefusedError):
        host, port = ports.links[0].split(":")
        socket.create_connection((host, int(port)), 5)


def test_shoutcast_has_the_next_port_as_well() -> None:
    with held(LISTEN.format(0) + 'shoutcast_mount = "/sc"\n') as ports, pytest.raises(OSError, match="in use"):
        server = bind_shared("127.0.0.1", ports.public[0] + 1)
        try:
            bind("127.0.0.1", ports.public[0] + 1)
        finally:
            server.close()


def test_each_worker_has_a_link_of_its_own_on_loopback() -> None:
    with held(LISTEN.format(0), 3) as ports:
        assert len(set(ports.links)) == 3
        assert ports.link_address == "127.0.0.1"
        for link in ports.links:
            bind_shared("127.0.0.1", int(link.removeprefix("127.0.0.1:"))).close()


def test_with_a_link_port_other_machines_reach_each_worker() -> None:
    with Ports() as free:
        first = free.take(("0.0.0.0", "::1"))
        cluster = f'[cluster]\nsecret = "s"\nadvertise = "radio-1:8000"\nlink_port = {first}\n'
        with held(LISTEN.format(0) + cluster, 1) as ports:
            assert ports.links == (f"radio-1:{first}",)


def test_a_taken_port_leaves_no_other_held() -> None:
    taken = bind("127.0.0.1", 0)
    with pytest.raises(ConfigError):
        WorkerPorts(loads(LISTEN.format(0) + LISTEN.format(taken.getsockname()[1]), {}, "test"), 2)
    taken.close()


@pytest.mark.parametrize(
    ("count", "workers", "dealt"),
    [(1, 3, [[0], [0], [0]]), (2, 2, [[0], [1]]), (3, 2, [[0, 2], [1]]), (2, 3, [[0], [1], [0]])],
)
def test_sockets_that_systemd_passes_are_dealt_out_and_left_open(
    count: int, workers: int, dealt: list[list[int]]
) -> None:
    systemds = [bind_shared("127.0.0.1", 0)]
    port = systemds[0].getsockname()[1]
    systemds += [bind_shared("127.0.0.1", port) for _ in range(count - 1)]
    mine = [os.dup(sock.fileno()) for sock in systemds]
    ports = WorkerPorts(loads(LISTEN.format(port), {}, "test"), workers, PassedSockets(mine))
    assert ports.public == (port,)
    assert ports.from_systemd
    assert [[mine.index(number) for number in ports.sockets(index)] for index in range(workers)] == dealt
    clients = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(10)]
    ports.steer([0])
    assert sum(ports.refuse(index) for index in range(workers)) == 0
    for index in range(workers):
        ports.close_worker(index)
    ports.close()
    accepted = 0
    for sock in systemds:  # the queues are still there
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sock.accept()[0].close()
                accepted += 1
    assert accepted == 10
    for client in (*clients, *systemds):
        client.close()


@pytest.mark.parametrize("first", ["0.0.0.0", "::"])
def test_ipv4_and_ipv6_may_have_one_port_each_of_all_addresses(first: str) -> None:
    second = "::" if first == "0.0.0.0" else "0.0.0.0"
    with Ports() as free:
        number = free.take(("0.0.0.0", "::1"))
    toml = "".join(f'[[listen]]\nbind_address = "{one}"\nport = {number}\n' for one in (first, second))
    with held(toml) as ports:
        assert ports.public == (number, number)
        addresses = [inherit(os.dup(fd)) for fd in ports.sockets(0)]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, number), 5).close()
        for sock in addresses:
            sock.close()
