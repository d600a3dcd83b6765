"""Tests of pycast.server.plain_on_tls: TLS and plain HTTP on each other's port are told in words."""

import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket
from gevent import ssl as gssl

from pycast.net.tls import Certificate
from pycast.server.acceptor import Acceptor, Endpoint
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


@pytest.fixture(params=["tls", "plain"])
def acceptor(request: pytest.FixtureRequest, bench: Bench, certificate: Certificate) -> Iterator[Acceptor]:
    made = Acceptor(bench.context, Endpoint("127.0.0.1", 0, "", certificate if request.param == "tls" else None))
    made.start()
    yield made
    made.close()
    made.stop()


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("acceptor", ["tls"], indirect=True)
@pytest.mark.parametrize(
    "data",
    [b"GET /live.mp3 HTTP/1.1\r\n\r\n", b"SOURCE /live.mp3 HTTP/1.0\r\n\r\n" + b"x" * 50_000, b"password\r\n"],
    ids=["player", "encoder", "shoutcast"],
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
