"""Certificates that OpenSSL takes at its strictest, and that clients of a server under test trust, or do not."""

import socket
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.certificates import Authority
from tests.e2e.programs import require
from tests.e2e.wire import source


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_openssl_finds_nothing_wrong(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(authority.certificate)
    for number in range(8):  # some numbers begin with a bit that would make them negative
        (tmp_path / "server.pem").write_text(authority.issue(["radio.example.org", "127.0.0.1"]))
        for check in (
            ["verify", "-x509_strict", "-CAfile", "ca.pem", "-verify_hostname", "radio.example.org", "server.pem"],
            ["verify", "-x509_strict", "-CAfile", "ca.pem", "-verify_ip", "127.0.0.1", "server.pem"],
            ["pkey", "-in", "server.pem", "-check", "-noout"],
        )[: 3 if number == 0 else 1]:
            done = subprocess.run([require("openssl"), *check], cwd=tmp_path, capture_output=True, timeout=30)
            assert done.returncode == 0, done.stderr


def handshake(certificate: str, trusted: str, name: str, folder: Path) -> None:
    """A handshake in memory. Raises ssl.SSLError."""
    (folder / "pair.pem").write_text(certificate)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "pair.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = ssl.create_default_context(cadata=trusted).wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version()


@pytest.mark.parametrize(
    ("hosts", "times", "name", "is_own", "wrong"),
    [
        (["localhost", "::1"], {}, "localhost", True, ""),
        (["localhost", "::1"], {}, "::1", True, ""),
        (["localhost"], {"begins_s": -200.0, "ends_s": -100.0}, "localhost", True, "expired"),
        (["localhost"], {"begins_s": 1000.0}, "localhost", True, "not yet valid"),
        (["other.example.org"], {}, "localhost", True, "Hostname mismatch"),
        (["localhost"], {}, "localhost", False, "unable to get local issuer"),
    ],
)
def test_clients_take_what_is_right_and_say_what_is_wrong(
    authority: Authority,
    hosts: Sequence[str],
    times: dict[str, float],
    name: str,
    is_own: bool,
    wrong: str,
    tmp_path: Path,
) -> None:
    trusted = authority if is_own else Authority("another authority")
    certificate = authority.issue(hosts, **times)
    if not wrong:
        handshake(certificate, trusted.certificate, name, tmp_path)
        return
    with pytest.raises(ssl.SSLCertVerificationError, match=wrong):
        handshake(certificate, trusted.certificate, name, tmp_path)


def test_a_server_with_tls_has_a_certificate_that_its_clients_trust() -> None:
    with Server(tls=True) as server:
        assert server.url == f"https://127.0.0.1:{server.port}"
        assert server.get("/livez")[0] == 200  # which checks the certificate
        for name in ("127.0.0.1", "localhost"):
            with (
                socket.create_connection(("127.0.0.1", server.port), 10) as plain,
                server.ssl_context().wrap_socket(plain, server_hostname=name) as secret,
            ):
                secret.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                assert secret.recv(1000).startswith(b"HTTP/1.0 200")
        curl = ["curl", "-fsS", "--cacert", str(server.ca_file), f"https://localhost:{server.port}/livez"]
        assert subprocess.run(curl, capture_output=True, check=True, timeout=30).stdout == b"alive\n"
        with source(server.port, "/live.mp3", server.source_password, tls=True):
            server.wait_for_source("/live.mp3")
    with Server() as plain_server, pytest.raises(RuntimeError, match="tls=True"):
        plain_server.ssl_context()
