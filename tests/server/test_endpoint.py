"""Tests of pycast.server.endpoint: how the connections of a port begin."""

import pytest

from pycast.http.addresses import Networks
from pycast.net.tls import Certificate
from pycast.server.endpoint import Endpoint
from pycast.server.handler import serve_http
from pycast.server.newcomers import read_arrived
from pycast.server.proxies import Proxies
from pycast.server.tls_ports import TlsPort

PLAIN = Endpoint("127.0.0.1", 0)
NO_CERTIFICATE = Certificate("/none", "/none", lambda: 0.0, is_needed=False)
TLS_ONLY = PLAIN._replace(tls=TlsPort(NO_CERTIFICATE))
BOTH = PLAIN._replace(tls=TlsPort(NO_CERTIFICATE, takes_plain=True))


@pytest.mark.parametrize(
    ("endpoint", "is_direct"),
    [
        (PLAIN, True),
        (BOTH, True),
        (TLS_ONLY, True),
        (PLAIN._replace(mount="/x"), False),
        (PLAIN._replace(proxies=Proxies(Networks(()), True)), False),
    ],
)
def test_without_a_proxy_the_first_bytes_are_a_request_of_the_client_itself(
    endpoint: Endpoint, is_direct: bool
) -> None:
    assert endpoint.is_direct is is_direct


def test_requests_are_served_but_on_a_port_for_shoutcast_sources() -> None:
    assert PLAIN.protocol() is serve_http
    assert PLAIN._replace(mount="/x").protocol() is not serve_http


def test_a_handshake_is_made_only_where_one_may_begin() -> None:
    assert PLAIN.reader() is read_arrived
    assert BOTH.reader() == BOTH.tls.read  # type: ignore[union-attr]


def test_a_request_for_tls_is_no_request_for_a_page_only_where_it_may_be_meant() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\n\r\n"
    assert (PLAIN.page_test()(head), BOTH.page_test()(head)) == (True, False)
