"""What servers and OpenSSL say when one end speaks TLS and the other does not is understood."""

import ssl

import pytest

from pycast.net.tls_words import distrust, is_of_plain_port, is_of_tls_port, plain_words


@pytest.mark.parametrize(
    ("status", "answer", "is_tls"),
    [
        (400, b"This port takes TLS only: the URL should begin with https://", True),
        (400, b"The plain HTTP request was sent to HTTPS port", True),
        (400, b"You're speaking plain HTTP to an SSL-enabled server port.", True),
        (400, b"Bad request", False),
        (200, b"TLS", False),
        (400, b"", False),
    ],
)
def test_an_answer_of_a_port_for_tls_is_known(status: int, answer: bytes, is_tls: bool) -> None:
    assert is_of_tls_port(status, answer) is is_tls


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"ICY 401\r\n", b"\x00" * 50])
def test_the_error_of_an_answer_without_tls_is_known(answer: bytes) -> None:
    incoming = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(answer)
    with pytest.raises(ssl.SSLError) as caught:
        client.do_handshake()
    assert is_of_plain_port(str(caught.value))
    assert not distrust(str(caught.value))
    assert "_ssl.c" not in plain_words(str(caught.value))


def test_the_reason_for_which_a_certificate_is_not_trusted_is_found() -> None:
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:1006)"
    assert distrust(text) == "self-signed certificate"
    assert plain_words(text) == "certificate verify failed: self-signed certificate"
    assert not is_of_plain_port(text)
