"""Ports that workers share: held for them, and for nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gevent import socket

from pycast.app.worker_ports import WorkerPorts
from pycast.config.load import loads
from pycast.errors import ConfigError
from pycast.net.sockets import bind, bind_shared

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


def test_without_a_worker_a_client_is_refused_at_once() -> None:
    with held(LISTEN.format(0)) as ports, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ports.public[0]), 5)


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
    free = bind("127.0.0.1", 0)
    first = free.getsockname()[1]
    free.close()
    cluster = f'[cluster]\nsecret = "s"\nadvertise = "radio-1:8000"\nlink_port = {first}\n'
    with held(LISTEN.format(0) + cluster, 1) as ports:
        assert ports.links == (f"radio-1:{first}",)


def test_a_taken_port_leaves_no_other_held() -> None:
    taken = bind("127.0.0.1", 0)
    with pytest.raises(ConfigError):
        WorkerPorts(loads(LISTEN.format(0) + LISTEN.format(taken.getsockname()[1]), {}, "test"), 2)
    taken.close()
