"""The benchmarks' encoder: it plays on while it is away, and comes back."""

import socket
from threading import Thread

from benchmarks.encoder import Encoder
from benchmarks.frames import FrameReader, find_frame

HEAD_END = b"\r\n\r\n"


def answer(server: socket.socket, reply: bytes) -> tuple[socket.socket, bytes]:
    """The next encoder, accepted with `reply`: its connection and its head."""
    sock = server.accept()[0]
    sock.settimeout(5)
    head = b""
    while HEAD_END not in head:
        head += sock.recv(4096)
    sock.sendall(reply)
    return sock, head


def first_frame(sock: socket.socket) -> int:
    data = b""
    while (found := find_frame(data)) is None:
        data += sock.recv(4096)
    return found[1]


def test_it_comes_back_and_what_it_played_meanwhile_is_not_sent() -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        encoder = Encoder(server.getsockname()[1], "/live.mp3", "secret", reconnect_s=0.2)
        thread = Thread(target=encoder.run, args=(lambda what, why, seq: said.append(what),))
        thread.start()
        try:
            sock, head = answer(server, b"HTTP/1.0 200 OK\r\n\r\n")
            assert head.startswith(b"SOURCE /live.mp3 HTTP/1.0\r\n")
            before = first_frame(sock)
            sock.close()
            refused, _ = answer(server, b"HTTP/1.0 403 Forbidden\r\n\r\n")
            refused.close()
            sock, _ = answer(server, b"HTTP/1.0 200 OK\r\n\r\n")
            assert first_frame(sock) > before + 10
            encoder.stop.set()
            sock.close()
        finally:
            encoder.stop.set()
            thread.join()
    assert said[:4] == ["connected", "lost", "refused", "connected"]


def test_its_frames_are_whole_and_in_order() -> None:
    reader = FrameReader(3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        encoder = Encoder(server.getsockname()[1], "/live.mp3", "secret", reconnect_s=0.2, number=3)
        thread = Thread(target=encoder.run, args=(lambda what, why, seq: None,))
        thread.start()
        try:
            sock, _ = answer(server, b"HTTP/1.0 200 OK\r\n\r\n")
            while reader.frames < 10:
                reader.feed(sock.recv(4096), 0)
            encoder.stop.set()
            sock.close()
        finally:
            encoder.stop.set()
            thread.join()
    assert reader.errors == 0
