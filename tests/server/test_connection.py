"""A connection's deadlines hold however slowly its peer sends, and a read returns all that has arrived."""

import socket as plain
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent import socket

from pycast.net.group import Group
from pycast.net.tls import Certificate
from pycast.net.tls_session import RECORD, RECORDS_AT_ONCE, TlsSession
from pycast.server.connection import LINGER_BYTES, LINGER_S, READ_SIZE, Connection
from pycast.server.tls_ports import _finish
from tests.e2e.test_tls import make_certificate
from tests.net.handshake import connect_tls

Pair = tuple[Connection, socket.socket]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory, "localhost")
    return Certificate(str(directory / "tls.crt"), str(directory / "tls.key"), lambda: 0.0)


def over_tls(certificate: Certificate) -> Pair:
    ours, session, peer = connect_tls(certificate)
    connection = Connection(ours, "127.0.0.1", True)
    connection.session = session
    return connection, peer


def plainly() -> Pair:
    ours, peer = socket.socketpair()
    return Connection(ours, "127.0.0.1", False), peer


@pytest.fixture(params=["plain", "tls"])
def pair(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[Pair]:
    """Returns the server's connection, and its peer's end."""
    is_tls = request.param == "tls"
    connection, peer = over_tls(certificate) if is_tls else plainly()
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
    # Not close(): this peer has not read the session ticket that TLS sent it, so its close would be a reset.
    peer.shutdown(socket.SHUT_WR)
    assert connection.read(time.monotonic() + 5) == b"last"
    assert connection.read(time.monotonic() + 5) == b""


def test_a_read_ends_at_its_deadline(pair: Pair) -> None:
    connection, _ = pair
    with gevent.Timeout(5), pytest.raises(TimeoutError):
        connection.read(time.monotonic() + 0.05)


def test_a_deadline_that_is_noticed_late_costs_no_bytes_that_have_come(pair: Pair) -> None:
    connection, peer = pair
    peer.sendall(b"audio")
    with pytest.raises(TimeoutError):
        connection.read(time.monotonic() - 1)
    assert connection.read_late(time.monotonic() - 1) == b"audio"
    with pytest.raises(TimeoutError):
        connection.read_late(time.monotonic() - 1)


class Torrent:
    """A socket on which there are always bytes to read, as from a peer that sends faster than it is read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.reads = 0

    def settimeout(self, seconds: float | None) -> None:
        pass

    def shutdown(self, how: int) -> None:
        pass

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.reads += 1
        assert self.reads < 1_000_000, "it was read for ever"
        return b"x" * min(size, self.size)


class TlsTorrent(Torrent):
    """The same over TLS, in records of `size` bytes."""

    def __init__(self, size: int, certificate: Certificate) -> None:
        super().__init__(size)
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = client.wrap_bio(incoming, self._outgoing)
        server = certificate.context()
        assert server is not None
        self.session = TlsSession(server)
        while not self.session.is_ready:
            with suppress(ssl.SSLWantReadError):
                self._client.do_handshake()
            self.session.feed(self._outgoing.read())
            self.session.read(READ_SIZE)
            incoming.write(self.session.unsent)
            self.session.unsent = b""
        self._sent = b""

    def recv(self, size: int, flags: int = 0) -> bytes:
        if not self.session.is_ready:
            return super().recv(size, flags)
        self.reads += 1
        while len(self._sent) < size:
            self._client.write(b"x" * self.size)
            self._sent += self._outgoing.read()
        sent, self._sent = self._sent[:size], self._sent[size:]
        return sent


def torrent(size: int, certificate: Certificate | None = None) -> tuple[Connection, Torrent]:
    source = TlsTorrent(size, certificate) if certificate else Torrent(size)
    connection = Connection(source, "127.0.0.1", certificate is not None)  # type: ignore[arg-type]
    connection.session = source.session if isinstance(source, TlsTorrent) else None
    return connection, source


@pytest.mark.parametrize("size", [1, READ_SIZE])
@pytest.mark.parametrize("how", ["read", "peek", "tls", "linger"])
def test_a_peer_that_sends_without_a_pause_holds_neither_the_loop_nor_the_reader(
    size: int, how: str, certificate: Certificate
) -> None:
    connection, source = torrent(size, certificate if how == "tls" else None)
    turns, group = [0], Group()

    def others() -> None:
        while True:
            gevent.sleep(0)
            turns[0] += 1

    group.spawn("others", others)
    begun = time.monotonic()
    deadline = begun + 0.2
    if how == "linger":
        connection.linger()
        assert source.reads * size >= LINGER_BYTES or time.monotonic() - begun >= LINGER_S
    else:
        with pytest.raises(TimeoutError):
            while True:
                (connection.peek if how == "peek" else connection.read)(deadline)
    assert time.monotonic() - begun < LINGER_S + 1
    assert turns[0] >= 3
    group.kill()


def test_a_read_takes_a_limited_number_of_tls_records(certificate: Certificate) -> None:
    """They may have a byte each, and a million may have arrived."""
    connection, source = torrent(1, certificate)
    assert connection.read(time.monotonic() + 5) == b"x" * RECORDS_AT_ONCE
    assert connection.read_now() == b"x" * RECORDS_AT_ONCE
    assert source.reads == 1


def shattered_hello() -> bytes:
    """Returns the beginning of a handshake, in records of one byte."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([f"{number:0>200}" for number in range(150)])
    out = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    hello = b""
    while head := out.read(5):
        hello += out.read(int.from_bytes(head[3:]))
    return b"".join(b"\x16\x03\x01\0\1" + hello[at : at + 1] for at in range(len(hello)))


def finish(connection: Connection) -> None:
    assert connection.session is not None
    with suppress(ConnectionAbortedError):
        _finish(connection, connection.session, time.monotonic() + 20)


@pytest.mark.parametrize(
    "use",
    [
        finish,
        lambda connection: connection.read(time.monotonic() + 20),
        lambda connection: connection.stream.recv(READ_SIZE),
    ],
    ids=["handshake", "read", "stream"],
)
def test_records_that_say_nothing_do_not_gather(use: Callable[[Connection], object], certificate: Certificate) -> None:
    """A read takes a limited number of them, and a client may send any number of records of one byte."""
    connection, peer = plainly()
    context, held = certificate.context(), list[int]()
    assert context is not None

    class Watched(TlsSession):
        def feed(self, data: bytes) -> None:
            super().feed(data)
            held.append(len(self._arrived))

    connection.session = Watched(context)
    hello, group = shattered_hello(), Group()
    assert len(hello) > 2 * READ_SIZE

    def send() -> None:
        peer.sendall(hello)
        peer.shutdown(socket.SHUT_WR)

    group.spawn("client", send)
    with gevent.Timeout(30):
        use(connection)
    assert max(held) < READ_SIZE + RECORD
    # The last byte of the hello was read as well: it is answered.
    peer.settimeout(20)
    assert connection.session.unsent or peer.recv(5)[:1] == b"\x16"
    connection.close()
    peer.close()
    group.kill()


def test_what_has_arrived_is_read_without_waiting(pair: Pair) -> None:
    connection, peer = pair
    assert connection.read_now() == b""
    peer.sendall(b"audio")
    assert connection.read_now() == b"audio"
    assert connection.read_now() == b""


def test_half_a_tls_record_does_not_prolong_a_read(certificate: Certificate) -> None:
    """Sent byte by byte, a record takes as long as its sender likes."""
    connection, peer = over_tls(certificate)
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


def test_the_end_of_an_answer_is_told_over_tls(certificate: Certificate) -> None:
    """Without it, a client cannot tell the end from a line that somebody has cut."""
    connection, peer = over_tls(certificate)
    connection.write(b"answer", 1)
    lingering = gevent.spawn(connection.linger)  # noqa: TID251  # a test's own greenlet
    peer.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # the end without a word would be an error
    with gevent.Timeout(5):
        assert peer.recv(100) == b"answer"
        assert peer.recv(100) == b""
    peer.close()
    lingering.join(5)
    connection.close()
