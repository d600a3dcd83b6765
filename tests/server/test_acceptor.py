"""Tests of pycast.server.acceptor: the rate of LB-20, and that it accepts from its start to its close."""

from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.balance.admission import RESERVE
from pycast.errors import ConfigError
from pycast.server.acceptor import Acceptor, AcceptRate, Endpoint, listen_on_pair
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
        assert silent.recv(100) == b""
    assert bench.context.admission.open == 0


def test_a_full_node_answers_health_checks_and_refuses_the_oldest_of_the_reserve(wait_until: WaitUntil) -> None:
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
