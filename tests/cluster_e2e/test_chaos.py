"""The proxy that fails on purpose: it fails as it was commanded, and in no other way."""

import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster_e2e.chaos import Chaos
from tests.cluster_e2e.remote import RemoteError
from tests.e2e.deadline import quickest_s, until

DEADLINE_S = 5.0
SILENT_S = 0.3
Pair = Callable[[], tuple[socket.socket, socket.socket]]


@pytest.fixture
def target() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(DEADLINE_S)
        yield listening


@pytest.fixture
def chaos(target: socket.socket) -> Iterator[Chaos]:
    with Chaos("127.0.0.1", target.getsockname()[1]) as proxy:
        yield proxy


@pytest.fixture
def pair(chaos: Chaos, target: socket.socket) -> Iterator[Pair]:
    """Makes a connection through the proxy: the client's end and the target's."""
    ends: list[socket.socket] = []

    def connect() -> tuple[socket.socket, socket.socket]:
        client = socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S)
        ends.append(client)
        server, _ = target.accept()
        ends.append(server)
        server.settimeout(DEADLINE_S)
        return client, server

    yield connect
    for end in ends:
        end.close()


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := sock.recv(size - len(data))):
        data += more
    return data


def is_silent(sock: socket.socket) -> bool:
    sock.settimeout(SILENT_S)
    try:
        return sock.recv(1, socket.MSG_PEEK) is None
    except TimeoutError:
        return True
    finally:
        sock.settimeout(DEADLINE_S)


def test_bytes_pass_in_both_directions_unchanged(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    data = os.urandom(100_000)
    client.sendall(data)
    assert read(server, len(data)) == data
    server.sendall(data[::-1])
    assert read(client, len(data)) == data[::-1]
    assert (chaos.passed("up"), chaos.passed("down")) == (len(data), len(data))


def test_end_of_one_side_reaches_the_other_after_its_last_byte(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert read(server, 100) == b"last words"
    server.sendall(b"answer")
    server.close()
    assert read(client, 100) == b"answer"
    until(lambda: chaos.connections() == 0, "the connection to be gone")


def test_reset_of_one_side_reaches_the_other(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    server.sendall(b"unread")
    until(lambda: chaos.passed("down") == 6, "the bytes to go through")
    client.close()  # with bytes unread: the kernel resets
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_delay_holds_each_direction_back_for_its_own_time(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    chaos.delay(200, jitter_ms=50, direction="down")

    def up() -> None:
        client.sendall(b"up")
        assert read(server, 2) == b"up"

    def down() -> None:
        server.sendall(b"down")
        assert read(client, 4) == b"down"

    assert quickest_s(up, 0.15) < 0.15
    assert 0.2 <= quickest_s(down, 0.5) < 0.5


def test_jitter_does_not_change_the_order(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    chaos.delay(1, jitter_ms=20)
    for number in range(50):
        client.sendall(bytes([number]))
        time.sleep(0.001)
    assert read(server, 50) == bytes(range(50))


def test_stall_stops_the_sender_and_loses_nothing(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    chaos.stall("up")
    client.setblocking(False)
    data, sent = os.urandom(1 << 20), 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += client.send(data)
    server.sendall(b"the other way")
    client.settimeout(DEADLINE_S)
    assert read(client, 13) == b"the other way"
    assert is_silent(server)
    chaos.passing("up")
    assert read(server, sent) == (data * (sent // len(data) + 1))[:sent]


def test_connection_made_in_a_stall_reaches_the_target_when_it_is_over(chaos: Chaos, target: socket.socket) -> None:
    chaos.stall()
    with socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S) as client:
        client.sendall(b"hello")
        target.settimeout(SILENT_S)
        with pytest.raises(TimeoutError):
            target.accept()
        target.settimeout(DEADLINE_S)
        chaos.passing()
        server, _ = target.accept()
        with server:
            server.settimeout(DEADLINE_S)
            assert read(server, 5) == b"hello"


def test_black_hole_drops_all_without_a_sign(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    chaos.black_hole()
    for _ in range(100):
        client.sendall(bytes(100_000))
    server.sendall(b"lost")
    assert is_silent(server) and is_silent(client)
    client.close()
    assert is_silent(server), "the end got through"


def test_connection_that_lost_bytes_does_not_continue_after_them(pair: Pair, chaos: Chaos) -> None:
    hurt, unhurt = pair(), pair()
    chaos.black_hole("up")
    hurt[0].sendall(b"lost")
    time.sleep(SILENT_S)
    chaos.passing()
    for client, _ in (hurt, unhurt):
        client.sendall(b"next")
    assert read(unhurt[1], 4) == b"next"
    assert is_silent(hurt[1])


def test_connection_made_in_a_black_hole_is_accepted_and_stays_silent(chaos: Chaos, target: socket.socket) -> None:
    chaos.black_hole("down")
    with socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S) as client:
        client.sendall(b"hello")
        until(lambda: chaos.connections() == 1, "the connection to be taken")
        chaos.passing()
        assert is_silent(client)
        target.settimeout(SILENT_S)
        with pytest.raises(TimeoutError):
            target.accept()


def test_cut_resets_both_sides_and_takes_new_connections(pair: Pair, chaos: Chaos) -> None:
    pairs = [pair(), pair()]
    chaos.cut()
    for end in (end for ends in pairs for end in ends):
        with pytest.raises(ConnectionResetError):
            end.recv(1)
    client, server = pair()
    client.sendall(b"again")
    assert read(server, 5) == b"again"
    assert (chaos.connections(), chaos.accepted()) == (1, 3)


def test_half_close_ends_one_direction_only(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    client.sendall(b"said")
    assert read(server, 4) == b"said"
    chaos.half_close("up")
    assert server.recv(1) == b""
    server.sendall(b"heard")
    assert read(client, 5) == b"heard"


def test_refuse_closes_the_port_until_accept(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    chaos.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S)
    client.sendall(b"still there")
    assert read(server, 11) == b"still there"
    chaos.accept()
    pair()


def test_target_that_refuses_looks_like_a_reset(chaos: Chaos, target: socket.socket) -> None:
    """The reset may arrive so soon that `connect` raises it."""
    target.close()
    with (
        pytest.raises(ConnectionResetError),
        socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S) as client,
    ):
        client.recv(1)


def test_aim_changes_the_target_of_new_connections(pair: Pair, chaos: Chaos) -> None:
    client, server = pair()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(DEADLINE_S)
        assert chaos.aim(f"127.0.0.1:{other.getsockname()[1]}") == chaos.address
        with socket.create_connection(("127.0.0.1", chaos.port), DEADLINE_S):
            other.accept()[0].close()
    client.sendall(b"the old way")
    assert read(server, 11) == b"the old way"


def test_proxy_that_is_idle_uses_no_processor(pair: Pair, chaos: Chaos) -> None:
    pair()
    chaos.stall("up")
    before = chaos.busy_s()
    time.sleep(0.5)
    assert chaos.busy_s() - before < 0.05


def test_command_that_is_not_possible_is_an_error(chaos: Chaos) -> None:
    with pytest.raises(RemoteError, match="direction"):
        chaos._remote.ask("half_close", direction="sideways")
