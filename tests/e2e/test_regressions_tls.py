"""TLS clients that are slow on purpose, and those that have a slow network."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pycast.balance.admission import RESERVE
from pycast.testing import Server
from tests.e2e.steady import SteadyStream
from tests.e2e.test_tls import make_certificate, tls_port
from tests.e2e.wire import Wire, ask, frames, listen, source

# The beginning of a TLS record that announces a ClientHello of 512 bytes.
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that is plain on its first port, TLS on its second, and has short timeouts."""
    make_certificate(tmp_path, "first.example")
    tls = {"certificate": str(tmp_path / "tls.crt"), "private_key": str(tmp_path / "tls.key")}
    with Server(listen=[{}, {"tls": True}], tls=tls, header_timeout=1) as server:
        yield server


def test_a_handshake_that_drips_is_cut_off(server: Server) -> None:
    with SteadyStream(server.port, server.source_password) as stream, Wire(tls_port(server)) as wire:
        wire.send(HELLO)
        wire.sock.settimeout(0.1)
        began = time.monotonic()
        while time.monotonic() - began < 5:
            try:
                wire.sock.sendall(b"x")
                if wire.sock.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert time.monotonic() - began < 3
        stream.verify()


def test_a_tls_listener_that_stalls_for_a_while_loses_no_byte(server: Server) -> None:
    audio = frames(0, 1000)
    port = tls_port(server)
    with source(port, "/live.mp3", server.source_password, tls=True) as feed:
        wire, _ = listen(port, "/live.mp3", tls=True, receive_buffer=4096)
        with wire:
            for at in range(0, len(audio), 100_000):
                feed.send(audio[at : at + 100_000])
            server.wait_until(lambda: len(server.received("/live.mp3")) == len(audio), 10, "all of the audio")
            assert wire.read(len(audio)) == audio


def test_clients_that_never_finish_a_tls_handshake_cannot_use_up_the_descriptors(tmp_path: Path) -> None:
    """On a full node the reserve's oldest connection gives way, also in the middle of its handshake."""
    make_certificate(tmp_path, "first.example")
    tls = {"certificate": str(tmp_path / "tls.crt"), "private_key": str(tmp_path / "tls.key")}
    with Server(listen=[{"tls": True}], tls=tls, clients=1, header_timeout=30) as server, ExitStack() as stack:
        silent = [stack.enter_context(Wire(server.port)) for _ in range(RESERVE + 20)]

        def has_refused() -> bool:
            stack.enter_context(Wire(server.port))
            return "refused before its request was read" in server.log()

        server.wait_until(has_refused, 5, "the oldest to give way")
        assert silent[1].read_all(5) == b""
        assert ask(server.port, "GET /livez HTTP/1.0\r\n\r\n", tls=True).status == 200
