"""Tests of benchmarks.tls_crowd: players that have audio play, others are told; the bare server makes handshakes."""

import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from benchmarks.servers import ROOT
from benchmarks.tls_crowd import TlsCrowd, TlsPlayer
from tests.e2e.test_tls import make_certificate


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "localhost")
    whole = folder / "whole.pem"
    whole.write_bytes((folder / "tls.key").read_bytes() + (folder / "tls.crt").read_bytes())
    return whole


@pytest.fixture
def bare(certificate: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "benchmarks.bare_tls", str(certificate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def test_handshakes_alone_are_made(bare: int) -> None:
    with closing(TlsCrowd(bare)) as crowd:
        players = [TlsPlayer() for _ in range(20)]
        crowd.connect(players, 10, at_once=20)
        assert all(player.is_playing for player in players)
        assert not crowd.errors()


def test_players_that_get_audio_play_and_others_are_told(certificate: Path) -> None:
    answers = {b"/good": b"200 OK", b"/none": b"404 Not Found"}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    kept = []

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock = context.wrap_socket(listening.accept()[0], server_side=True)
                kept.append(sock)
                path = sock.recv(1000).split()[1]
                sock.sendall(b"HTTP/1.0 " + answers[path] + b"\r\n\r\n" + bytes(100))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        with closing(TlsCrowd(listening.getsockname()[1])) as crowd:
            players = [TlsPlayer("/good", enough=100), TlsPlayer("/none", enough=100), TlsPlayer("/good", enough=101)]
            crowd.connect(players, 2)
            assert [player.is_playing for player in players] == [True, False, False]
            assert players[1].error == "HTTP/1.0 404 Not Found"
            assert players[2].error == "no audio in time"
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for sock in kept:
        sock.close()
