"""Tests of pycast.server.acceptor: it accepts from its start to its close."""

import errno
import os
import socket as stdlib_socket
import struct
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
    stop_all,
)
from pycast.server.connection import Connection
from pycast.server.endpoint import Endpoint
from pycast.server.reserve import BUSY
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.server.contexts import Bench, FakeSource, make_bench, read_all

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


def test_a_connection_is_served_counted_and_removed(bench: Bench, acceptor: Acceptor, wait_until: WaitUntil) -> None:
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    assert bench.context.counters.connections == 1
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")


def test_a_stop_waits_for_handshakes_only_while_clients_connect_and_less_for_those_of_this_machine(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert acceptor.handshake_s == 0
    monkeypatch.setattr("pycast.server.acceptor.BUSY_S", 60.0)
    public = Acceptor(bench.context, Endpoint("0.0.0.0", 0))
    public.start()
    try:
        for one in (acceptor, public):
            ask(one, LIVEZ)
        assert 0 < acceptor.handshake_s < public.handshake_s
    finally:
        public.close()
        public.stop()


def test_after_its_close_it_accepts_nothing_and_its_loops_have_ended(
    bench: Bench, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    wait_until(lambda: len(bench.context.group) == 2, "the loops")
    acceptor.close()
    acceptor.close()
    wait_until(lambda: len(bench.context.group) == 0, "the end of the loops")
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

        def _accept(self) -> tuple[int, tuple[str, int]]:
            nonlocal free
            if free == 0 and acceptor._spare is not None:
                raise OSError(errno.EMFILE, "Too many open files")
            accepted: tuple[int, tuple[str, int]] = listening._accept()  # type: ignore[attr-defined]
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


def test_ports_that_stop_together_wait_once(bench: Bench, wait_until: WaitUntil) -> None:
    acceptors = [Acceptor(bench.context, ANY_PORT) for _ in range(8)]
    for one in acceptors:
        one.start()
    silent = [socket.create_connection(("127.0.0.1", one.port), 5) for one in acceptors]
    wait_until(lambda: bench.context.admission.open == len(silent), "the connections")
    bench.context.site.readiness.is_stopping = True
    begun = time.monotonic()
    for one in acceptors:
        one.close()
    stop_all(acceptors)
    assert time.monotonic() - begun < 2 * (ANSWERS_S + FAREWELL_S)
    for client in silent:
        assert read_all(client) == BUSY
        client.close()


def test_a_full_node_answers_a_health_check_whose_request_comes_later_than_many_others(
    wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The moment that each has to send its request, on a machine that is too busy to let them connect in half a second.
    monkeypatch.setattr("pycast.server.reserve.MOMENT_S", 60.0)
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


def test_a_page_that_is_kept_costs_no_greenlet(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("pycast.web.kept.SHARE", 1e9)
    page = b"GET /status-json.xsl HTTP/1.0\r\nUser-Agent: poller\r\n\r\n"
    first = ask(acceptor, page)
    begun: list[Connection] = []
    monkeypatch.setattr(acceptor, "_begin", lambda connection, *_: begun.append(connection))
    second = ask(acceptor, page)
    assert not begun
    assert first.startswith(b"HTTP/1.0 200 OK\r\n")
    assert first.partition(b"\r\n\r\n")[2] == second.partition(b"\r\n\r\n")[2]
    wait_until(lambda: len(bench.accesses) == 2, "the access log")
    assert {(one.path, one.status, one.agent) for one in bench.accesses} == {("/status-json.xsl", 200, "poller")}
    assert bench.accesses[1].bytes_sent == len(second)
    counters = bench.context.counters
    assert (counters.connections, counters.client_connections) == (2, 2)
    assert bench.context.site.counters.file_connections == 2
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connections")
    assert acceptor.open == 0


def test_a_health_check_behind_hundreds_of_pages_is_answered_before_most_of_them(bench: Bench) -> None:
    acceptor = Acceptor(bench.context, ANY_PORT)
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(301)]
    for client in clients[:300]:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    clients[300].sendall(LIVEZ)
    acceptor.start()
    with gevent.Timeout(10):
        socket.wait_read(clients[300].fileno())
    assert clients[300].recv(65_536).startswith(b"HTTP/1.0 200 OK")
    assert len(bench.accesses) < 200
    for client in clients:
        client.close()
    acceptor.close()
    acceptor.stop()


def test_a_page_in_the_queue_at_a_stop_is_told_to_come_again(bench: Bench) -> None:
    acceptor = Acceptor(bench.context, ANY_PORT)
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(40)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    acceptor.start()
    acceptor.close()
    bench.context.site.readiness.is_stopping = True
    acceptor.stop()
    assert answers(clients) <= {b"200", b"503"}
    assert acceptor.open == 0


PLAYER = b"GET /x HTTP/1.0\r\nUser-Agent: player\r\n\r\n"


def let_no_turn_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has those who wait in line go on waiting."""
    for name in ("TURN_S", "CROWDED_TURN_S"):
        monkeypatch.setattr(f"pycast.server.waiting_line.{name}", -1.0)


def wait_as_players(acceptor: Acceptor, count: int) -> list[stdlib_socket.socket]:
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(count)]
    for client in clients:
        client.sendall(PLAYER)
    return clients


def test_a_health_check_behind_hundreds_of_players_does_not_wait_until_they_have_joined(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    mount = bench.context.mounts.attach_source("/x", FakeSource())
    mount.feed(bytes.fromhex("fffb9064") + bytes(413))
    let_no_turn_come(monkeypatch)
    clients = wait_as_players(acceptor, 300)
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    wait_until(lambda: len(acceptor._players) > 200, "those who wait")
    assert len(mount.fanout) < 100
    monkeypatch.undo()
    begun: list[Connection] = []
    monkeypatch.setattr(acceptor, "_begin", lambda connection, *_: begun.append(connection))
    wait_until(lambda: len(mount.fanout) == 300, "all of them")
    assert not begun, "without a greenlet"
    ports = [client.getsockname()[1] for client in clients]
    assert _ports_of(mount) == ports, "in the order in which they came"
    for client in clients:
        client.close()


def test_a_health_check_behind_hundreds_who_need_a_greenlet_is_answered_before_them(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    let_no_turn_come(monkeypatch)
    monkeypatch.setattr("pycast.server.waiting_line.AT_ONCE", 0)
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(300)]
    for number, client in enumerate(clients):
        client.sendall(
            (b"G", b"GET /admin/stats HTTP/1.0\r\n\r\n", b"SOURCE /x ICE/1.0\r\n", b"\x16\x03\x01")[number % 4]
        )
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    wait_until(lambda: len(acceptor._others) == 300, "those who wait")
    monkeypatch.undo()
    assert answers(clients[1::4]) == {b"401"}
    for client in (*clients[::4], *clients[2::4], *clients[3::4]):
        client.close()


def test_a_health_check_behind_hundreds_of_pages_that_are_refused_is_answered_before_them(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("pycast.server.answers.MOST_WAITING", 0)
    clients = [stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5) for _ in range(300)]
    for client in clients:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
    with monkeypatch.context() as nobody:
        let_no_turn_come(nobody)
        nobody.setattr("pycast.server.waiting_line.AT_ONCE", 0)
        assert ask(acceptor, LIVEZ).endswith(b"alive\n")
        wait_until(lambda: len(acceptor._others) == 300, "those who wait")
        assert bench.context.counters.refused_pages == 0
    assert answers(clients) == {b"503"}
    assert bench.context.counters.refused_pages == 300


def test_who_leaves_without_a_word_costs_no_greenlet(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("pycast.server.newcomers.MOMENT_S", 60.0)
    begun: list[Connection] = []
    monkeypatch.setattr(acceptor, "_begin", lambda connection, *_: begun.append(connection))
    for number in range(40):
        client = stdlib_socket.create_connection(("127.0.0.1", acceptor.port), 5)
        if number % 2:  # a reset instead of an orderly end
            client.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    wait_until(lambda: bench.context.counters.connections == 40, "all of them")
    wait_until(lambda: bench.context.admission.open == 0, "their ends")
    assert not begun


def _ports_of(mount: Mount) -> list[int]:
    return [listener.transport.getpeername()[1] for listener in mount.fanout]  # type: ignore[attr-defined]


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil) -> Iterator[tuple[Bench, Acceptor]]:
    """A node with 20 slots, and its port: players have them all, and nobody's turn to join comes."""
    let_no_turn_come(monkeypatch)
    monkeypatch.setattr("pycast.server.waiting_line.AT_ONCE", 0)
    made = make_bench(limits="[limits]\nclients = 20\n")
    acceptor = Acceptor(made.context, ANY_PORT)
    acceptor.start()
    clients = wait_as_players(acceptor, 20)
    wait_until(lambda: len(acceptor._players) == 20, "those who have all slots")
    yield made, acceptor
    for client in clients:
        client.close()
    acceptor.close()
    acceptor.stop()
    made.close()


def test_a_full_node_answers_a_health_check_behind_players_who_wait_to_join(
    crowded: tuple[Bench, Acceptor], monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    bench, acceptor = crowded
    late = wait_as_players(acceptor, 200)
    assert ask(acceptor, LIVEZ).endswith(b"alive\n")
    assert answers(late) == {b"503"}
    assert ask(acceptor, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 503 ")
    assert len(acceptor._players) == 20
    mount = bench.context.mounts.attach_source("/x", FakeSource())
    mount.feed(bytes.fromhex("fffb9064") + bytes(413))
    monkeypatch.undo()
    wait_until(lambda: len(mount.fanout) == 20, "those who have a slot")


def test_a_crowd_of_players_at_a_stop_is_told_to_come_again_and_few_get_a_greenlet(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    let_no_turn_come(monkeypatch)
    monkeypatch.setattr("pycast.server.waiting_line.AT_ONCE", 0)
    monkeypatch.setattr("pycast.server.acceptor.MOST_AT_STOP", 10)
    clients = wait_as_players(acceptor, 100)
    wait_until(lambda: bench.context.counters.connections == 100, "all of them")
    bench.context.site.readiness.is_stopping = True
    acceptor.close()
    assert len(acceptor._connections) <= 10
    acceptor.stop()
    assert answers(clients) == {b"503"}
    bench.context.answers.end_all()
    assert (bench.context.admission.open, acceptor.open) == (0, 0)
