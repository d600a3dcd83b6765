"""A certificate goes over to other files by a reload, and a client trusts what it is told to."""

import socket
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from pycast.net.tls import CROWD, Certificate, trusting
from tests.conftest import WaitUntil
from tests.e2e.test_tls import make_certificate


def test_a_client_trusts_the_file_that_is_named_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    assert len(trusting(str(tmp_path / "tls.crt")).get_ca_certs()) == 1
    with pytest.raises(OSError, match="No such file"):
        trusting(str(tmp_path / "none"))


@pytest.mark.parametrize(
    "order",
    [
        ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],  # Chromium's
        ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"],
        ["ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ],
)
def test_the_client_says_which_cipher_it_would_rather_have(tmp_path: Path, order: list[str]) -> None:
    make_certificate(tmp_path, "localhost")
    used = Certificate(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"), lambda: 0.0)
    context = used.context()
    assert context is not None
    how = ["-tls1_3", "-ciphersuites"] if order[0].startswith("TLS_") else ["-tls1_2", "-cipher"]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{listening.getsockname()[1]}", *how, ":".join(order)]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            listening.settimeout(20)
            sock = listening.accept()[0]
            sock.settimeout(20)
            with context.wrap_socket(sock, server_side=True) as session:
                found = session.cipher()
        finally:
            client.kill()
            client.communicate()
    assert found is not None and found[0] == order[0]


def gets_ticket(server: ssl.SSLContext) -> bool:
    """Whether a client that connects gets a ticket with which to come again."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = client.wrap_bio(to_client, to_server)
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for step in (end.do_handshake, other.do_handshake, end.do_handshake, other.do_handshake, end.read):
        with suppress(ssl.SSLWantReadError):
            step()
    assert end.session is not None
    return end.session.has_ticket


def test_who_comes_in_a_crowd_gets_no_ticket(tmp_path: Path) -> None:
    make_certificate(tmp_path, "localhost")
    now = 100.0
    used = Certificate(str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"), lambda: now)

    def context() -> ssl.SSLContext:
        found = used.context()
        assert found is not None
        return found

    for _ in range(CROWD - 1):
        context()
    assert gets_ticket(context())
    assert not gets_ticket(context())
    now += 1.0
    assert gets_ticket(context())


def test_a_reload_goes_over_to_other_files_and_keeps_what_works(
    tmp_path: Path, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        make_certificate(folder, "localhost")
    used = Certificate(str(first / "tls.crt"), str(first / "tls.key"), lambda: 0.0)
    before = used.context()
    used.use(str(second / "tls.crt"), str(second / "tls.key"))
    wait_until(lambda: used.context() is not before, "the other certificate")
    after = used.context()
    used.use(str(tmp_path / "none"), "")
    wait_until(lambda: "cannot be used, the old one stays in use" in caplog.text, "the word about the missing file")
    assert used.context() is after
