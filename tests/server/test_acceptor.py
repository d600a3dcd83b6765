"""Tests of pycast.server.acceptor: the rate of LB-20, and that it accepts from its start to its close."""

import errno
import os
import socket as stdlib_socket
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent import socket

from pycast.balance.admission import RESERVE
from pycast.errors import ConfigError
from pycast.net.sockets import bind, inherit
from pycast.server.acceptor import (
    ACCEPTS_AT_ONCE,
    ANSWERS_S,
    FAREWELL_S,
    Acceptor,
    AcceptRate,
    Endpoint,
    listen_on_pair,
    stop_all,
)
from pycast.server.reserve import BUSY
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, make_bench, read_all

ANY_PORT = Endpoint("127.0.0.1", 0)
LIVEZ = b"GET /livez HTTP/1.0\r\n\r\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench(limits="")
    yield made
    made.close()


@pytest.fixture
def acceptor(bench: Bench) -> Iterator[Acceptor]:
    made = Acceptor(bench.context, ANY_PORT)
    made.start()
    yield made
    made.close()
    made.stop()


def ask(acceptor: Acceptor, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as sock:
        sock.sendall(data)
        return read_all(sock)


def test_lb_20_without_a_limit_all_connections_are_accepted() -> None:
    assert AcceptRate().take(0.0, 0, 32) == 32


@pytest.mark.parametrize("rate", [5, 100, 1000])
def test_lb_20_a_storm_is_accepted_at_the_rate(rate: int) -> None:
    accepting = AcceptRate()
    taken = sum(accepting.take(tick / 100, rate, 32) for tick in range(1, 501))
    assert taken == pytest.approx(5 * rate, rel=0.05, abs=2)


def test_lb_20_tokens_that_were_not_used_can_be_put_back() -> None:
    accepting = AcceptRate()
    assert accepting.take(10.0, 100, 32) == 10
    accepting.give_back(9)
    assert accepting.take(10.0, 100, 32) == 9


def test_a_connection_is_served_counted_and_removed(bench: Bench, acceptor: Acceptor, wait_until: WaitUntil) -> None:
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    assert bench.context.counters.connections == 1
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")


def test_after_its_close_it_accepts_nothing_and_its_loop_has_ended(
    bench: Bench, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    wait_until(lambda: len(bench.context.group) == 1, "the loop")
    acceptor.close()
    acceptor.close()
    wait_until(lambda: len(bench.context.group) == 0, "the end of the loop")
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", acceptor.port), 5)


def test_close_leaves_open_connections_and_stop_ends_them(
    bench: Bench, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    address = ("127.0.0.1", acceptor.port)
    with socket.create_connection(address, 5) as asking, socket.create_connection(address, 5) as silent:
        wait_until(lambda: bench.context.admission.open == 2, "the connections")
        acceptor.close()
        asking.sendall(LIVEZ)
        assert read_all(asking).endswith(b"alive\n")
        acceptor.stop()
        bench.context.answers.end_all()
        assert silent.recv(100) == b""
    assert bench.context.admission.open == 0


def wait_unaccepted(acceptor: Acceptor, count: int) -> list[stdlib_socket.socket]:
    """Clients that have sent their request and wait in the kernel's queue: this thread does not let the loop run."""
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(count)]
    for client in clients:
        client.sendall(LIVEZ)
    return clients


def answers(clients: list[stdlib_socket.socket]) -> set[bytes]:
    found = set()
    for client in clients:
        with socket.socket(fileno=client.detach()) as sock:
            found.add(read_all(sock)[9:12])
    return found


def test_who_waits_in_the_queue_when_it_closes_is_served(bench: Bench, acceptor: Acceptor) -> None:
    gevent.sleep(0)  # the loop begins
    clients = wait_unaccepted(acceptor, 3 * ACCEPTS_AT_ONCE)
    acceptor.close()
    assert answers(clients) == {b"200"}
    assert bench.context.counters.connections == len(clients)


def test_who_waits_in_the_queue_at_a_stop_is_told_to_come_again(bench: Bench, acceptor: Acceptor) -> None:
    gevent.sleep(0)
    clients = wait_unaccepted(acceptor, 3 * ACCEPTS_AT_ONCE)
    bench.context.site.readiness.is_stopping = True
    acceptor.close()
    acceptor.stop()
    assert answers(clients) == {b"503"}
    assert bench.context.counters.refused_connections == len(clients)
    assert bench.context.admission.open == 0


def test_a_closing_port_without_descriptors_answers_503(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    gevent.sleep(0)
    clients = wait_unaccepted(acceptor, 20)
    free, listening = 5, acceptor._sock

    class Poor:
        """The listening socket of a process that may open only so many files; the spare one counts."""

        def accept(self) -> tuple[socket.socket, tuple[str, int]]:
            nonlocal free
            if free == 0 and acceptor._spare is not None:
                raise OSError(errno.EMFILE, "Too many open files")
            accepted = listening.accept()
            free -= free > 0
            return accepted

        def __getattr__(self, name: str) -> Any:
            return getattr(listening, name)

    monkeypatch.setattr(acceptor, "_sock", Poor())
    acceptor.close()
    assert answers(clients) == {b"200", b"503"}
    assert bench.context.counters.refused_connections == 15


def test_a_socket_that_another_process_keeps_is_given_up_with_its_queue(bench: Bench) -> None:
    kept = bind("127.0.0.1", 0)
    first = Acceptor(bench.context, ANY_PORT, inherit(os.dup(kept.fileno())))
    first.start()
    gevent.sleep(0)
    clients = wait_unaccepted(first, 10)
    first.close()
    assert bench.context.counters.connections == 0
    second = Acceptor(bench.context, ANY_PORT, inherit(os.dup(kept.fileno())))
    assert second.port == first.port
    second.start()
    assert answers(clients) == {b"200"}
    second.close()
    kept.close()


def test_at_a_stop_connections_whose_greenlets_have_not_begun_are_answered_too(
    bench: Bench, acceptor: Acceptor
) -> None:
    gevent.sleep(0)
    clients = wait_unaccepted(acceptor, 10)
    acceptor.close()
    bench.context.site.readiness.is_stopping = True
    acceptor.end_open()  # as on a machine that is too busy to begin with them
    acceptor.see_off(time.monotonic() + FAREWELL_S)
    assert answers(clients) == {b"503"}
    assert bench.context.admission.open == 0


def test_ports_that_stop_together_wait_once(bench: Bench) -> None:
    acceptors = [Acceptor(bench.context, ANY_PORT) for _ in range(8)]
    for one in acceptors:
        one.start()
    silent = [socket.create_connection(("127.0.0.1", one.port), 5) for one in acceptors]
    gevent.sleep(0.05)
    bench.context.site.readiness.is_stopping = True
    begun = time.monotonic()
    for one in acceptors:
        one.close()
    stop_all(acceptors)
    assert time.monotonic() - begun < 2 * (ANSWERS_S + FAREWELL_S)
    for client in silent:
        assert read_all(client) == BUSY
        client.close()


def test_a_full_node_answers_a_health_check_whose_request_comes_later_than_many_others(wait_until: WaitUntil) -> None:
    bench = make_bench(limits="[limits]\nclients = 1\n")
    acceptor = Acceptor(bench.context, ANY_PORT)
    acceptor.start()
    address = ("127.0.0.1", acceptor.port)
    holder, check = (socket.create_connection(address, 5) for _ in range(2))
    others = [socket.create_connection(address, 5) for _ in range(2 * RESERVE)]
    wait_until(lambda: bench.context.admission.open == 2 + len(others), "all of them")
    check.sendall(LIVEZ)
    assert read_all(check).endswith(b"alive\n")
    for sock in (holder, check, *others):
        sock.close()
    acceptor.close()
    acceptor.stop()
    bench.close()


def test_a_full_node_answers_health_checks_and_refuses_the_oldest_of_the_reserve(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.server.reserve.MOMENT_S", 0.0)
    bench = make_bench(limits="[limits]\nclients = 1\n")
    acceptor = Acceptor(bench.context, ANY_PORT)
    acceptor.start()
    address = ("127.0.0.1", acceptor.port)
    held = [socket.create_connection(address, 5) for _ in range(1 + RESERVE)]
    wait_until(lambda: bench.context.admission.open == len(held), "a full reserve")
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    assert read_all(held[1]) == BUSY
    assert ask(acceptor, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 503 ")
    for sock in held:
        sock.close()
    acceptor.close()
    acceptor.stop()
    bench.close()


def test_a_port_that_is_in_use_is_a_configuration_error(bench: Bench, acceptor: Acceptor) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {acceptor.port}"):
        Acceptor(bench.context, Endpoint("127.0.0.1", acceptor.port))


def test_a_pair_has_two_ports_side_by_side(bench: Bench) -> None:
    first, second = listen_on_pair(bench.context, ANY_PORT, Endpoint("127.0.0.1", 0, "/sc"))
    assert second.port == first.port + 1
    assert second.endpoint.mount == "/sc"
    first.close()
    second.close()
