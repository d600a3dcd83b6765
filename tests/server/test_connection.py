"""A connection's deadlines hold however slowly its peer sends, and a read returns all that has arrived."""

import socket as plain
import time
from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from pycast.net.tls import Certificate
from pycast.server.connection import LINGER_BYTES, READ_SIZE, Connection
from tests.e2e.test_tls import make_certificate
from tests.net.handshake import connect_tls

Pair = tuple[Connection, socket.socket]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory, "localhost")
    return Certificate(str(directory / "tls.crt"), str(directory / "tls.key"), lambda: 0.0)


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Pair]:
    """Returns the server's connection, and its peer's end."""
    is_tls = request.param == "tls"
    ours, peer = connect_tls(certificate) if is_tls else socket.socketpair()
    connection = Connection(ours, "127.0.0.1", is_tls)
    yield connection, peer
    connection.close()
    peer.close()


def test_a_read_returns_all_that_has_arrived(pair: Pair) -> None:
    """Also over TLS, where a record is as small as a write of the encoder and a source is read a few times a second."""
    connection, peer = pair
    for _ in range(40):
        peer.sendall(b"x" * 417)
    assert connection.read(time.monotonic() + 5) == b"x" * 40 * 417


def test_a_read_returns_no_more_than_its_size(pair: Pair) -> None:
    connection, peer = pair
    sending = gevent.spawn(peer.sendall, b"x" * (READ_SIZE + 1))  # noqa: TID251  # a test's own greenlet
    got = b""
    while len(got) <= READ_SIZE:
        data = connection.read(time.monotonic() + 5)
        assert 0 < len(data) <= READ_SIZE
        got += data
    sending.join(5)


def test_the_end_is_read_after_the_last_bytes(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(b"last")
    # Not close(): this peer has not read the session tickets that TLS sent it, so its close would be a reset.
    peer.shutdown(socket.SHUT_WR)
    assert connection.read(time.monotonic() + 5) == b"last"
    assert connection.read(time.monotonic() + 5) == b""


def test_a_read_ends_at_its_deadline(pair: Pair) -> None:
    connection, _ = pair
    with gevent.Timeout(5), pytest.raises(TimeoutError):
        connection.read(time.monotonic() + 0.05)


def test_half_a_tls_record_does_not_prolong_a_read(certificate: Certificate) -> None:
    """Sent byte by byte, a record takes as long as its sender likes."""
    ours, peer = connect_tls(certificate)
    connection = Connection(ours, "127.0.0.1", True)
    raw = plain.socket(fileno=peer.detach())
    raw.sendall(b"\x17\x03\x03\x40\x00")  # application data, 16 KiB to come

    def drip() -> None:
        while True:
            raw.sendall(b"x")
            gevent.sleep(0.02)

    dripping = gevent.spawn(drip)  # noqa: TID251  # a test's own greenlet
    try:
        with gevent.Timeout(3), pytest.raises(TimeoutError):
            connection.read(time.monotonic() + 0.2)
    finally:
        dripping.kill()
        raw.close()
        connection.close()


def test_a_write_that_the_peer_does_not_read_ends_in_time(pair: Pair) -> None:
    connection, _ = pair
    with gevent.Timeout(5), pytest.raises(TimeoutError):
        connection.write(bytes(16 << 20), 0.1)


def test_bytes_that_still_arrive_do_not_cut_the_answer_off() -> None:
    """However small the pieces are."""
    ours, peer = socket.socketpair()
    connection = Connection(ours, "127.0.0.1", False)
    connection.write(b"answer", 1)
    lingering = gevent.spawn(connection.linger)  # noqa: TID251  # a test's own greenlet
    for _ in range(100):
        peer.sendall(b"x" * 1000)
        gevent.sleep(0)
    assert not lingering.ready()
    sending = gevent.spawn(peer.sendall, bytes(LINGER_BYTES))  # noqa: TID251  # a test's own greenlet
    with gevent.Timeout(5):
        lingering.join()  # the wait has an end
    connection.close()
    sending.kill()
    peer.close()
