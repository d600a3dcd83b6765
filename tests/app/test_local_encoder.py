"""Tests of pycast.app.local_encoder: an ordinary source that starts with a whole frame and finds the next port."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from gevent import socket

from pycast.app.local_encoder import next_frame, play
from pycast.demo_stream import BITRATE, LEAD_S, demo_mp3
from pycast.net.group import Group

HOST = "127.0.0.1"
FRAME = b"\xff\xfb"


@pytest.fixture
def ports() -> Iterator[list[socket.socket]]:
    found = [socket.socket() for _ in range(2)]
    for port in found:
        port.bind((HOST, 0))
        port.listen()
        port.settimeout(5.0)
    yield found
    for port in found:
        port.close()


@pytest.fixture(autouse=True)
def encoder(ports: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("pycast.app.local_encoder.RETRY_S", 0.01)
    group = Group()
    group.spawn("encoder", play, [port.getsockname()[1] for port in ports], "/demo.mp3", "secret")
    yield
    group.kill()


def accept(port: socket.socket) -> socket.socket:
    sock, _ = port.accept()
    sock.settimeout(5.0)
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(4096)
    assert head.startswith(b"SOURCE /demo.mp3 HTTP/1.0\r\nAuthorization: Basic c291cmNlOnNlY3JldA==\r\n")
    return sock


def read(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(65536)
        assert piece
        data += piece
    return data


@pytest.mark.parametrize("at", [0, 1, 416, 100_000, len(demo_mp3()) - 1, 3 * len(demo_mp3()) + 5])
def test_a_stream_begins_with_a_whole_frame_wherever_it_is_in_the_tune(at: int) -> None:
    tune = demo_mp3()
    begin = next_frame(tune, at)
    assert at <= begin < at + 420
    assert (tune * 5)[begin : begin + 2] == FRAME


def test_it_is_a_burst_ahead_of_the_clock(ports: list[socket.socket]) -> None:
    with closing(accept(ports[0])) as sock:
        sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        burst = read(sock, int(LEAD_S * BITRATE / 8) - 500)
    assert burst[:2] == FRAME


def test_one_that_hangs_up_is_left_for_the_next_door_with_a_whole_frame(ports: list[socket.socket]) -> None:
    for port in (ports[0], ports[1], ports[0]):
        with closing(accept(port)) as sock:
            sock.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
            assert read(sock, 2)[:2] == FRAME


def test_one_that_refuses_gets_no_byte_of_audio(ports: list[socket.socket]) -> None:
    with closing(accept(ports[0])) as sock:
        sock.sendall(b"HTTP/1.0 403 Forbidden\r\n\r\n")
        assert sock.recv(1) == b""
    accept(ports[1]).close()
