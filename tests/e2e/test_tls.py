"""TLS: for sources and listeners, and a new certificate without a restart."""

import os
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.numbered import frames_in
from tests.e2e.programs import curl_listener, require
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import get

MOUNT = "/live.mp3"


def make_certificate(directory: Path, name: str) -> None:
    """Writes a self-signed certificate; the key first, so for a moment the two do not match."""
    done = subprocess.run(
        [
            require("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}",
            "-keyout", str(directory / "new.key"), "-out", str(directory / "new.crt"),
        ],
        capture_output=True,
        check=False,
        timeout=30,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    os.replace(directory / "new.key", directory / "tls.key")
    os.replace(directory / "new.crt", directory / "tls.crt")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Plain on its first port, TLS on its second."""
    make_certificate(tmp_path, "first.example")
    tls = {"certificate": str(tmp_path / "tls.crt"), "private_key": str(tmp_path / "tls.key")}
    with Server(listen=[{}, {"tls": True}], tls=tls) as server:
        yield server


def tls_port(server: Server) -> int:
    return next(int(one["port"]) for one in server.ready["ports"] if one["tls"])


def certificate_of(port: int) -> bytes:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), 5) as raw, context.wrap_socket(raw) as wrapped:
        return wrapped.getpeercert(binary_form=True) or b""


def test_source_and_listener_speak_tls(server: Server) -> None:
    with server.stream(MOUNT, port=tls_port(server), speed=0) as stream:
        stream.send(200)
        with server.listen(MOUNT, port=tls_port(server)) as secure, server.listen(MOUNT) as plain:
            stream.send(50)
            for heard in (plain, secure):
                heard.wait_for_frame(249)
                assert heard.frames.is_whole and len(heard.frames) >= 100


def test_curl_listens_by_tls(server: Server, tmp_path: Path) -> None:
    with server.stream(MOUNT, speed=0) as stream:
        stream.send(100)
        heard = tmp_path / "heard"
        with curl_listener(f"https://127.0.0.1:{tls_port(server)}{MOUNT}", heard, extra=["-k"]):
            server.wait_until(lambda: heard.exists() and heard.stat().st_size >= stream.size, 5, "the stream")
        assert frames_in(heard.read_bytes()).is_exactly(range(100))


def test_tls_listener_that_leaves_frees_its_slot(server: Server) -> None:
    with server.stream(MOUNT, speed=0):
        with server.listen(MOUNT, port=tls_port(server)):
            server.wait_for_listeners(MOUNT, 1)
        server.wait_for_listeners(MOUNT, 0, 2)


def test_new_certificate_is_used_without_a_restart(server: Server, tmp_path: Path) -> None:
    port = tls_port(server)
    old = certificate_of(port)
    with SteadyStream(server.port, server.source_password) as stream:
        make_certificate(tmp_path, "second.example")
        server.wait_until(lambda: certificate_of(port) != old, 10, "the new certificate")
        (tmp_path / "tls.crt").write_text("broken")
        new = certificate_of(port)
        assert new != old  # the last good one stays
        stream.verify()


def test_plain_text_on_the_tls_port_costs_nobody_else_anything(server: Server) -> None:
    with SteadyStream(server.port, server.source_password) as stream:
        with socket.create_connection(("127.0.0.1", tls_port(server)), 5) as wire:
            wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
            with suppress(ConnectionResetError):
                assert b"200 OK" not in wire.recv(4096)
        assert certificate_of(tls_port(server))
        stream.verify()
        assert get(server.port, "/livez").status == 200


def test_silent_tls_client_is_dropped_after_header_timeout(tmp_path: Path) -> None:
    make_certificate(tmp_path, "first.example")
    tls = {"certificate": str(tmp_path / "tls.crt"), "private_key": str(tmp_path / "tls.key")}
    with (
        Server(listen=[{}, {"tls": True}], tls=tls, header_timeout=0.5) as server,
        socket.create_connection(("127.0.0.1", tls_port(server)), 5) as wire,
    ):
        assert wire.recv(1) == b""
