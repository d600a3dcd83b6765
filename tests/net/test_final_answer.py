"""Tests of pycast.net.final_answer: what a server sends before its answer is skipped, whatever it is."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from urllib3.exceptions import HTTPError

from pycast.net.final_answer import pool_manager

ANSWER = b"HTTP/1.1 200 OK\r\nX-Who: answer\r\nContent-Length: 4\r\n\r\nbody"

Serve = Callable[[bytes], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Returns what makes a server that answers each request with these bytes, on connections that it keeps, and returns
    its port.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(data: bytes) -> None:
        sock, _ = listener.accept()
        with sock:
            while sock.recv(4096):
                sock.sendall(data)

    def start(data: bytes) -> int:
        threads.append(threading.Thread(target=answer, args=(data,)))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    listener.close()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 3,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nX-Who: hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_answer_is_the_final_one_on_every_request_of_a_connection(serve: Serve, before: bytes) -> None:
    port = serve(before + ANSWER)
    with pool_manager(retries=False, timeout=10) as pool:
        for _ in range(3):
            found = pool.request("GET", f"http://127.0.0.1:{port}/")
            assert (found.status, found.headers["X-Who"], found.data) == (200, "answer", b"body")


def test_switch_to_another_protocol_is_an_answer(serve: Serve) -> None:
    port = serve(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    with pool_manager(retries=False, timeout=10) as pool:
        found = pool.request("GET", f"http://127.0.0.1:{port}/", preload_content=False)
        assert found.status == 101
        found.close()


def test_server_that_never_comes_to_its_answer_is_a_failure(serve: Serve) -> None:
    port = serve(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    with pool_manager(retries=False, timeout=0.2) as pool, pytest.raises(HTTPError):
        pool.request("GET", f"http://127.0.0.1:{port}/")
