"""TLS without its socket: however the peer sends and reads, both get every byte once, in order."""

import ssl
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle

import gevent
import pytest
from gevent import ssl as gssl

from pycast.net import tls_session
from pycast.net.sockets import detach
from pycast.net.tls import Certificate
from pycast.net.tls_session import MOST_UNSENT, RECORD, RECORDS_AT_ONCE, TlsSession, TlsStream, TlsTransport
from tests.e2e.test_tls import make_certificate
from tests.net.handshake import connect_tls

DATA = bytes(range(256)) * 4096  # 1 MiB in which no two neighbouring records are alike


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    directory = tmp_path_factory.mktemp("tls")
    make_certificate(directory, "localhost")
    return Certificate(str(directory / "tls.crt"), str(directory / "tls.key"), lambda: 0.0)


@pytest.fixture
def pair(certificate: Certificate) -> Iterator[tuple[TlsTransport, gssl.SSLSocket]]:
    """Returns the server's transport and the player's end."""
    ours, session, player = connect_tls(certificate)
    transport = session.transport(detach(ours))
    yield transport, player
    transport.close()
    player.close()


def drain(player: gssl.SSLSocket) -> bytes:
    """Returns all that has arrived."""
    player.setblocking(False)
    got = b""
    with suppress(ssl.SSLWantReadError):
        while data := player.recv(1 << 16):
            got += data
    return got


@pytest.mark.parametrize("sizes", [(300_000, 98_304), (300_000, 20_000), (300_000, 1000, 16_384)])
def test_a_write_that_was_refused_may_be_tried_again_with_less(
    sizes: tuple[int, ...], pair: tuple[TlsTransport, gssl.SSLSocket]
) -> None:
    """The fan-out offers half a second of audio to all, and less at a time to a listener that did not take it."""
    transport, player = pair
    sent, offers, heard = 0, cycle(sizes), b""
    with gevent.Timeout(10):
        while sent < len(DATA):
            offered = next(offers)
            with suppress(BlockingIOError):
                while taken := transport.send(DATA[sent : sent + offered]):
                    sent += taken
            heard += drain(player)
    assert heard + drain(player) == DATA


def test_what_is_settled_goes_out_once_and_before_all_else(pair: tuple[TlsTransport, gssl.SSLSocket]) -> None:
    transport, player = pair
    sent = transport.send(DATA)
    settled = sent + transport.settle()
    assert sent < settled < len(DATA) and transport.settle() == 0
    with pytest.raises(BlockingIOError):
        transport.send(b"later")
    heard = drain(player)
    with gevent.Timeout(10):
        while True:
            with suppress(BlockingIOError):
                if transport.send(b"later") == 5:
                    break
            heard += drain(player)
    assert heard + drain(player) == DATA[:settled] + b"later"


def test_a_full_connection_blocks_and_a_closed_one_fails(pair: tuple[TlsTransport, gssl.SSLSocket]) -> None:
    transport, _ = pair
    with pytest.raises(BlockingIOError):
        while transport.send(DATA):
            pass
    transport.close()
    with pytest.raises(OSError, match=r"closed|descriptor"):
        transport.send(DATA)


class Both:
    """A session and its client, which talk through memory."""

    def __init__(self, certificate: Certificate, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        self.to_client, self.to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self.to_client, self.to_server)
        server = certificate.context()
        assert server is not None
        self.session = TlsSession(server)

    def step(self, most: int = 1 << 20) -> bytes:
        """Lets the client work, and passes `most` bytes of what it says; returns what the session has read."""
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
        self.session.feed(self.to_server.read(most))
        data = self.session.read(1 << 20)
        self.to_client.write(self.session.unsent)
        self.session.unsent = b""
        return data


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_goes_on_with_every_byte_and_what_comes_with_its_end_is_read(
    version: ssl.TLSVersion, certificate: Certificate
) -> None:
    both, said, sent = Both(certificate, version), b"", False
    for _ in range(5000):
        said += both.step(most=1)
        if not sent and both.client.version():
            with suppress(ssl.SSLWantReadError):
                both.client.do_handshake()
                both.client.write(b"GET / HTTP/1.0")
                sent = True
        if said == b"GET / HTTP/1.0":
            break
    assert said == b"GET / HTTP/1.0"
    assert both.client.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2"}.get(version, "TLSv1.3")


def test_two_handshakes_at_once_do_not_meet(certificate: Certificate) -> None:
    """Their sessions share OpenSSL's buffers."""
    pair = Both(certificate), Both(certificate)
    for _ in range(3000):
        for both in pair:
            both.step(most=7)
        if all(both.session.is_ready for both in pair):
            break
    for number, both in enumerate(pair):
        with suppress(ssl.SSLWantReadError):
            both.client.do_handshake()
        both.client.write(b"%d" % number)
    for number, both in enumerate(pair):
        assert both.step() == b"%d" % number
        both.to_client.write(both.session.encrypt(b"answer %d" % number))
        assert both.client.read(100) == b"answer %d" % number


def test_what_is_no_tls_fails_with_an_alert_and_fails_again(certificate: Certificate) -> None:
    broken = Both(certificate).session
    broken.feed(b"\x16\x03\x01\xff\xff" + bytes(100))
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            broken.read(1 << 20)
    assert broken.unsent[:1] == b"\x15"
    other = Both(certificate)  # whose buffers are the same
    while not other.session.is_ready:
        other.step()


def test_a_changed_byte_ends_a_session_and_no_other(certificate: Certificate) -> None:
    both = Both(certificate)
    while not both.session.is_ready:
        both.step()
    both.client.write(b"audio")
    record = bytearray(both.to_server.read())
    record[-1] ^= 1
    both.session.feed(bytes(record))
    with pytest.raises(ssl.SSLError):
        both.session.read(100)
    other = Both(certificate)
    while not other.session.is_ready:
        other.step()


def test_the_clients_end_is_known(certificate: Certificate) -> None:
    both = Both(certificate)
    while not both.session.is_ready:
        both.step()
    with suppress(ssl.SSLWantReadError):
        both.client.unwrap()
    assert both.step() == b""
    assert both.session.is_over


def test_no_record_is_held_up_by_the_next_ones_beginning(certificate: Certificate) -> None:
    both = Both(certificate)
    while not both.session.is_ready:
        both.step()
    for size in (10, RECORD):
        both.client.write(b"x" * size)
    said = both.to_server.read()
    both.session.feed(said[:100])
    assert both.session.read(1 << 20) == b"x" * 10
    both.session.feed(said[100:])
    assert both.session.read(1 << 20) == b"x" * RECORD


def test_many_small_records_are_read_in_parts(certificate: Certificate) -> None:
    both = Both(certificate)
    while not both.session.is_ready:
        both.step()
    for _ in range(3 * RECORDS_AT_ONCE):
        both.client.write(b"x")
    both.session.feed(both.to_server.read())
    assert [len(both.session.read(1 << 20)) for _ in range(4)] == [RECORDS_AT_ONCE] * 3 + [0]


def test_greenlets_use_it_as_a_socket(certificate: Certificate) -> None:
    ours, session, player = connect_tls(certificate)
    stream: TlsStream = session.stream(ours)
    stream.settimeout(5)
    sending = gevent.spawn(stream.sendall, DATA)  # noqa: TID251  # a test's own greenlet
    heard = b""
    with gevent.Timeout(10):
        while len(heard) < len(DATA):
            heard += player.recv(1 << 16)
        sending.join()
        assert heard == DATA
        player.sendall(DATA[:50_000])
        while len(heard) < len(DATA) + 50_000:
            heard += stream.recv(4096)
    assert heard[len(DATA) :] == DATA[:50_000]
    player.close()
    assert stream.recv(4096) == b""
    stream.close()


def test_a_listener_that_has_everything_is_told_the_end(pair: tuple[TlsTransport, gssl.SSLSocket]) -> None:
    transport, player = pair
    transport.send(b"last")
    transport.close()
    player.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # the end without a word would be an error
    with gevent.Timeout(5):
        assert player.recv(100) == b"last"
        assert player.recv(100) == b""
    transport.close()


def test_what_a_write_that_failed_has_left_is_sent_to_nobody_else(certificate: Certificate) -> None:
    server = certificate.context()
    assert server is not None
    hello = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    # A write that has to go on with the handshake first makes its answer, and cannot end it.
    tls_session._incoming.write(hello.read())
    with pytest.raises(ssl.SSLError):
        TlsSession(server).encrypt(b"audio")
    assert (tls_session._incoming.read(), tls_session._outgoing.read()) == (b"", b"")


def test_a_client_that_has_answers_made_and_reads_none_is_ended(certificate: Certificate) -> None:
    both = Both(certificate)
    for _ in range(4):
        both.step()
    both.session.unsent = b"x" * (MOST_UNSENT + 1)  # as after many new keys, which Python's client cannot ask for
    both.client.write(b"audio")
    both.session.feed(both.to_server.read())
    assert both.session.read(1 << 20) == b"audio"
    for _ in range(2):
        with pytest.raises(ssl.SSLError, match="more than it reads"):
            both.session.read(1 << 20)
