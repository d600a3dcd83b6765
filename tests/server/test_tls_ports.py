"""Tests of pycast.server.tls_ports: TLS and plain HTTP on one port, and on each other's port told in words."""

import logging
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import gevent
import pytest
from gevent import socket
from gevent import ssl as gssl

from pycast.config.load import loads
from pycast.http.addresses import Networks
from pycast.net.tls import Certificate
from pycast.server.acceptor import Acceptor
from pycast.server.connection import Connection
from pycast.server.endpoint import Endpoint
from pycast.server.proxies import Proxies
from pycast.server.tls_ports import TlsPort
from tests.conftest import WaitUntil
from tests.e2e.test_tls import make_certificate
from tests.server.contexts import Bench, make_bench, read_all


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder: Path = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "localhost")
    return Certificate(str(folder / "tls.crt"), str(folder / "tls.key"), time.monotonic)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = make_bench(limits="[limits]\nheader_timeout = 0.5\n")
    yield made
    made.close()


LOOPBACK = Networks([ip_network("127.0.0.0/8")])


@pytest.fixture(params=["tls", "plain"])
def acceptor(request: pytest.FixtureRequest, bench: Bench, certificate: Certificate) -> Iterator[Acceptor]:
    ports = {
        "tls": TlsPort(certificate),
        "plain": None,
        "auto": TlsPort(certificate, takes_plain=True),
        "auto behind a proxy": TlsPort(certificate, takes_plain=True),
        "auto_no_plain": TlsPort(certificate, asks_to_upgrade=True),
    }
    proxies = Proxies(LOOPBACK, requires_proxy_header=True) if "proxy" in request.param else None
    made = Acceptor(bench.context, Endpoint("127.0.0.1", 0, "", ports[request.param], proxies))
    made.start()
    yield made
    made.close()
    made.stop()


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
@pytest.mark.parametrize(
    "data",
    [
        b"GET /live.mp3 HTTP/1.1\r\n\r\n",
        b"GET /status-json.xsl HTTP/1.0\r\n\r\n",
        b"SOURCE /live.mp3 HTTP/1.0\r\n\r\n" + b"x" * 50_000,
        b"password\r\n",
    ],
    ids=["player", "visitor of a kept page", "encoder", "shoutcast"],
)
def test_plain_client_of_a_tls_port_gets_an_answer_that_names_https(
    bench: Bench, acceptor: Acceptor, data: bytes, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO),
        socket.create_connection(("127.0.0.1", acceptor.port), 5) as sock,
    ):
        sock.sendall(data)
        answer = read_all(sock)
        sock.close()
        wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"https://" in answer
    assert len(answer) < 1000
    assert "plain HTTP on a port of TLS" in said(caplog)
    assert bench.context.counters.bad_requests == 1


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
def test_tls_client_is_served_and_a_silent_one_dropped(bench: Bench, acceptor: Acceptor, wait_until: WaitUntil) -> None:
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as raw, context.wrap_socket(raw) as sock:
        sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert read_all(sock).endswith(b"alive\n")
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as silent:
        assert read_all(silent) == b""  # after header_timeout
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connections")
    assert bench.context.counters.bad_requests == 0


@pytest.mark.parametrize("acceptor", ["plain"], indirect=True)
def test_tls_client_of_a_plain_port_is_told_in_the_log(
    bench: Bench, acceptor: Acceptor, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with caplog.at_level(logging.INFO), socket.create_connection(("127.0.0.1", acceptor.port), 5) as raw:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(raw)
        wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert "a client of TLS, but this port takes plain HTTP" in said(caplog)


LIVEZ = b"GET /livez HTTP/1.0\r\n\r\n"
PAGE = b"GET /status-json.xsl HTTP/1.0\r\n\r\n"


def ask(port: int, data: bytes, *, tls: bool, before: bytes = b"") -> bytes:
    """Returns the answer to `data`; `before` comes first, without TLS."""
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(before)
        if not tls:
            raw.sendall(data)
            return read_all(raw)
        with context.wrap_socket(raw) as sock:
            sock.sendall(data)
            return read_all(sock)


@pytest.mark.parametrize("acceptor", ["auto"], indirect=True)
def test_a_port_for_both_serves_each_as_it_comes(bench: Bench, acceptor: Acceptor, wait_until: WaitUntil) -> None:
    for _ in range(3):
        for tls in (True, False):
            assert ask(acceptor.port, LIVEZ, tls=tls).endswith(b"alive\n")
            assert ask(acceptor.port, PAGE, tls=tls).startswith(b"HTTP/1.0 200 ")
    bench.context.answers.end_all()
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connections")
    assert bench.context.counters.bad_requests == 0


@pytest.mark.parametrize("acceptor", ["auto"], indirect=True)
def test_a_page_for_a_plain_client_of_both_goes_the_short_way(bench: Bench, acceptor: Acceptor) -> None:
    repeat, tries = None, 0
    while repeat is None and tries < 10:  # an answer is kept for the rest of its second
        tries += 1
        assert ask(acceptor.port, PAGE, tls=False).startswith(b"HTTP/1.0 200 ")
        repeat = bench.context.answers.repeats.find(
            PAGE, bench.context.settings.now, acceptor.endpoint.serves, int(time.time())
        )
    assert repeat is not None
    bench.context.answers.end_all()


@pytest.mark.parametrize("acceptor", ["auto"], indirect=True)
@pytest.mark.parametrize("piece", [b"", b"G", b"\x16", b"\x16\x03\x01\x02"])
def test_who_stalls_at_a_port_for_both_is_dropped(
    piece: bytes, bench: Bench, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as silent:
        silent.sendall(piece)
        read_all(silent)
    wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert time.monotonic() - began < 3  # header_timeout, and a slow machine


@pytest.mark.parametrize("acceptor", ["auto"], indirect=True)
@pytest.mark.parametrize("tls", [True, False])
def test_bytes_that_come_one_by_one_are_told_apart_as_well(tls: bool, acceptor: Acceptor) -> None:
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = context.wrap_bio(incoming, outgoing)
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as sock:
        if tls:
            with pytest.raises(ssl.SSLWantReadError):
                end.do_handshake()
        data = outgoing.read() if tls else LIVEZ
        sock.sendall(data[:1])
        gevent.sleep(0.05)
        sock.sendall(data[1:2])
        gevent.sleep(0.05)
        sock.sendall(data[2:])
        answer = sock.recv(1000)
    assert answer.startswith(b"\x16\x03" if tls else b"HTTP/1.0 200")


@pytest.mark.parametrize("acceptor", ["auto behind a proxy"], indirect=True)
@pytest.mark.parametrize("tls", [True, False])
def test_proxy_header_comes_before_either(tls: bool, bench: Bench, acceptor: Acceptor, wait_until: WaitUntil) -> None:
    header = b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n"
    assert ask(acceptor.port, LIVEZ, tls=tls, before=header).endswith(b"alive\n")
    wait_until(lambda: bench.accesses, "the line of the access log")
    assert bench.accesses[-1].ip == "192.0.2.7"


@pytest.mark.parametrize("acceptor", ["auto_no_plain"], indirect=True)
def test_port_without_plain_asks_to_upgrade(bench: Bench, acceptor: Acceptor) -> None:
    answer = ask(acceptor.port, LIVEZ, tls=False)
    assert answer.startswith(b"HTTP/1.0 426 Upgrade Required\r\n")
    assert b"\r\nUpgrade: TLS/1.0, HTTP/1.1\r\nConnection: Upgrade\r\n" in answer
    assert b"https://" in answer
    assert ask(acceptor.port, LIVEZ, tls=True).endswith(b"alive\n")


def upgraded(port: int, request: bytes, then: bytes = b"") -> tuple[bytes, bytes]:
    """Returns the answer to a plain request, and what came by TLS after a 101."""
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw:
        raw.sendall(request)
        head = b""
        while not head.endswith(b"\r\n\r\n") and (more := raw.recv(1)):
            head += more
        if b" 101 " not in head:
            return head, b""
        with context.wrap_socket(raw) as sock:
            sock.sendall(then)
            return head, read_all(sock)


WANTS_TLS = b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0\r\n\r\n"


@pytest.mark.parametrize("acceptor", ["auto", "auto_no_plain"], indirect=True)
def test_plain_client_may_ask_for_tls_and_is_answered_behind_it(bench: Bench, acceptor: Acceptor) -> None:
    for path, end in ((b"/livez", b"alive\n"), (b"/status-json.xsl", b"}}"), (b"/", b"</html>\n")):
        head, answer = upgraded(acceptor.port, b"GET " + path + WANTS_TLS)
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0, ")
        assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and answer.rstrip().endswith(end.rstrip())
    # As libshout asks what the server can do.
    head, answer = upgraded(acceptor.port, b"OPTIONS *" + WANTS_TLS)
    assert b" 101 " in head and answer.startswith((b"HTTP/1.0 204", b"HTTP/1.1 204"))
    assert bench.context.counters.bad_requests == 0


@pytest.mark.parametrize("acceptor", ["auto"], indirect=True)
def test_other_upgrades_are_ignored_and_a_client_must_wait_for_tls(bench: Bench, acceptor: Acceptor) -> None:
    for line in (b"Connection: Upgrade\r\nUpgrade: h2c", b"Upgrade: TLS/1.0", b"Upgrade-Insecure-Requests: 1"):
        request = b"GET /livez HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n\r\n"
        assert ask(acceptor.port, request, tls=False).endswith(b"alive\n")
    head, _ = upgraded(acceptor.port, b"GET /livez" + WANTS_TLS + b"GET /admin/ HTTP/1.0\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    bench.context.answers.end_all()


@pytest.mark.parametrize("acceptor", ["plain", "tls"], indirect=True)
def test_port_of_one_kind_upgrades_nobody(bench: Bench, acceptor: Acceptor) -> None:
    head, _ = upgraded(acceptor.port, b"GET /livez" + WANTS_TLS)
    assert head.startswith(b"HTTP/1.0 400 " if acceptor.endpoint.tls else b"HTTP/1.0 200 ")
    bench.context.answers.end_all()


@pytest.mark.parametrize("acceptor", ["auto", "auto behind a proxy"], indirect=True)
def test_client_that_drips_its_first_bytes_has_one_deadline_for_all_of_them(
    bench: Bench, acceptor: Acceptor, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    deadlines: list[float] = []
    read = Connection.read

    def seen(connection: Connection, deadline: float) -> bytes:
        deadlines.append(deadline - connection.begun)
        return read(connection, deadline)

    monkeypatch.setattr(Connection, "read", seen)
    bench.context.settings.replace(loads("[limits]\nheader_timeout = 60\n", {}, "x"))
    with socket.create_connection(("127.0.0.1", acceptor.port), 5) as sock:
        if acceptor.endpoint.proxies:
            sock.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 80\r\n")
        for count, piece in enumerate((b"G", b"ET", b" /livez HTTP/1.0\r\n")):
            sock.sendall(piece)
            wait_until(lambda count=count: len(deadlines) > count, "the piece")
        sock.sendall(b"\r\n")
        assert read_all(sock).endswith(b"alive\n")
    assert {round(one, 6) for one in deadlines[:3]} == {60.0}


def test_without_a_usable_certificate_plain_goes_on_and_tls_begins_when_there_is_one(
    bench: Bench, tmp_path: Path, wait_until: WaitUntil
) -> None:
    files = (str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    certificate = Certificate(*files, time.monotonic, is_needed=False)
    acceptor = Acceptor(bench.context, Endpoint("127.0.0.1", 0, "", TlsPort(certificate, takes_plain=True)))
    acceptor.start()
    assert ask(acceptor.port, LIVEZ, tls=False).endswith(b"alive\n")
    with pytest.raises(OSError):  # the connection is closed, in one way or another
        ask(acceptor.port, LIVEZ, tls=True)
    make_certificate(tmp_path, "localhost")
    certificate.use(*files)  # as a reload does
    wait_until(lambda: certificate.context() is not None, "the certificate")
    assert ask(acceptor.port, LIVEZ, tls=True).endswith(b"alive\n")
    acceptor.close()
    acceptor.stop()
    bench.context.answers.end_all()


class Client:
    """A client of TLS whose words are sent by hand."""

    def __init__(self, port: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.end = context.wrap_bio(self.incoming, self.outgoing)
        self.sock = socket.create_connection(("127.0.0.1", port), 5)

    def said(self) -> bytes:
        """Returns what it has to say after what has arrived."""
        with suppress(ssl.SSLWantReadError):
            self.end.do_handshake()
        return self.outgoing.read()

    def hear(self) -> None:
        self.incoming.write(self.sock.recv(65_536))

    def ask(self, request: bytes) -> bytes:
        """Sends a request, and what it still had to say; returns the answer."""
        self.end.write(request)
        self.sock.sendall(self.outgoing.read())
        answer = b""
        with gevent.Timeout(10):
            while data := self.sock.recv(65_536):
                self.incoming.write(data)
                with suppress(ssl.SSLWantReadError):
                    while piece := self.end.read(65_536):
                        answer += piece
        return answer


@pytest.fixture
def client(acceptor: Acceptor) -> Iterator[Client]:
    made = Client(acceptor.port)
    yield made
    made.sock.close()


@pytest.mark.parametrize("acceptor", ["tls", "auto"], indirect=True)
def test_a_handshake_needs_no_greenlet_and_a_request_may_come_with_its_end(
    client: Client, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    def greenlets() -> int:
        return len(acceptor._connections)

    hello = client.said()
    client.sock.sendall(hello[:100])
    wait_until(lambda: acceptor.open == 1, "the connection")
    client.sock.sendall(hello[100:])
    while client.end.version() is None:
        client.hear()
        client.sock.sendall(client.said())
        assert greenlets() == 0
    assert acceptor._newcomers is not None
    assert len(acceptor._newcomers) == 1
    assert client.ask(LIVEZ).endswith(b"alive\n")


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
def test_who_is_slow_in_the_middle_gets_a_greenlet_that_goes_on(
    client: Client, acceptor: Acceptor, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.server.newcomers.MOMENT_S", 0.0)
    monkeypatch.setattr("pycast.server.newcomers.HANDSHAKE_MOMENT_S", 0.0)
    hello = client.said()
    client.sock.sendall(hello[:100])
    wait_until(lambda: len(acceptor._connections) == 1, "the greenlet")
    client.sock.sendall(hello[100:])
    client.hear()
    client.sock.sendall(client.said())
    assert client.ask(LIVEZ).endswith(b"alive\n")


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
def test_what_fails_in_the_handshake_is_told_to_the_client_and_to_the_log(
    client: Client, bench: Bench, acceptor: Acceptor, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    hello = bytearray(client.said())
    hello[9:11] = b"\x02\x00"  # an SSL 2.0 client
    with caplog.at_level(logging.INFO):
        client.sock.sendall(bytes(hello))
        alert = read_all(client.sock)
        wait_until(lambda: bench.context.admission.open == 0, "the end of the connection")
    assert alert[:1] == b"\x15"
    assert "connection failed: [SSL" in said(caplog)


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
def test_a_port_that_closes_goes_on_with_the_handshakes_that_have_begun(
    client: Client, acceptor: Acceptor, wait_until: WaitUntil
) -> None:
    client.sock.sendall(client.said())
    wait_until(lambda: acceptor.open == 1, "the connection")
    acceptor.close()
    client.hear()
    client.sock.sendall(client.said())
    assert client.ask(LIVEZ).endswith(b"alive\n")
