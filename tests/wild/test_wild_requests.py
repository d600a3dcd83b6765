"""Requests as encoders, players, proxies and strangers send them, and what a node answers: one small input each."""

from collections.abc import Iterator

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from tests.conftest import WaitUntil

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
[limits]
header_timeout = 5
client_timeout = 2
source_grace = 0
[logging]
access_log = ""
"""
LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"
TYPE = b"Content-Type: text/plain\r\n"
OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    made = Node(loads(TOML, {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(node: Node, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5)
    sock.sendall(data)
    return sock


def ask(node: Node, data: bytes, size: int = 1 << 20) -> bytes:
    """Returns the answer, or the first `size` bytes of a stream."""
    with connect(node, data) as sock:
        answer = b""
        while len(answer) < size and (piece := sock.recv(65_536)):
            answer += piece
    return answer


@pytest.fixture
def live(node: Node, wait_until: WaitUntil) -> Iterator[socket.socket]:
    """A source of /live.mp3 that goes on."""
    with connect(node, b"SOURCE /live.mp3 ICE/1.0\r\n" + LOGIN + TYPE + b"\r\naudio") as sock:
        assert sock.recv(100) == OK
        wait_until(lambda: getattr(node.parts.context.mounts.get("/live.mp3"), "bytes_read", 0), "the audio")
        yield sock
    wait_until(lambda: node.parts.context.mounts.get("/live.mp3") is None, "the end of the mount")


# -- framing

CHUNKED = b"3 \r\naud\r\n2\r\nio\r\n"
FRAMINGS = {
    "Content-Length: -1": b"audio",
    f"Content-Length: {2**63}": b"audio",
    "Content-Length: 0": b"audio",
    "Content-Length: 100\r\nContent-Length: 100": b"audio",
    "Content-Length: 4\r\nContent-Length: 100": b"audio",
    "content-length: lots": b"audio",
    "Content-Length : 3": b"audio",
    "Transfer-Encoding: identity": b"audio",
    "Transfer-Encoding: chunked": CHUNKED,
    "TRANSFER-ENCODING: CHUNKED": CHUNKED,
    "transfer-encoding: chunked\r\nContent-Length: 3": CHUNKED,
    "Transfer-Encoding: gzip, chunked": CHUNKED,
    "Transfer-Encoding: chunked, chunked": CHUNKED,
    "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked": CHUNKED,
}


@pytest.mark.parametrize(("fields", "body"), FRAMINGS.items(), ids=FRAMINGS)
@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_a_source_is_heard_whatever_it_says_about_its_length(
    method: str, fields: str, body: bytes, node: Node, wait_until: WaitUntil
) -> None:
    head = f"{method} /framed HTTP/1.1\r\n".encode() + LOGIN + TYPE + fields.encode() + b"\r\n\r\n"
    with connect(node, head + body) as sock:
        assert sock.recv(100) == OK
        wait_until(lambda: node.parts.context.mounts.get("/framed") is not None, "the mount")
        mount = node.parts.context.mounts.get("/framed")
        assert mount is not None
        wait_until(lambda: mount.ring.head == 5, "the audio")
        assert mount.ring.read(0, 5) == b"audio"
        assert node.parts.context.mounts.source("/framed") is not None, "it goes on"
    wait_until(lambda: node.parts.context.mounts.get("/framed") is None, "the end of the mount")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        *((fields, b"400") for fields in FRAMINGS if fields.lower().count("content-length") and fields[-2:] != " 0"),
        ("Transfer-Encoding: gzip, chunked", b"501"),
        ("Transfer-Encoding: chunked, chunked", b"501"),
        ("Transfer-Encoding: identity", b"501"),
    ],
)
def test_all_others_are_refused_if_their_end_can_be_read_in_two_ways(
    method: str, fields: str, status: bytes, node: Node
) -> None:
    smuggled = b"GET /livez HTTP/1.1\r\n\r\n"
    answer = ask(node, f"{method} /admin/stats HTTP/1.1\r\n{fields}\r\n\r\n".encode() + smuggled)
    assert answer.split(b" ")[1] == status and answer.count(b"HTTP/1.0") == 1


# -- players and strangers

STREAM = {
    "a proxy's form": b"GET http://radio.example:8000/live.mp3 HTTP/1.1\r\nHost: radio.example\r\n\r\n",
    "without Host": b"GET /live.mp3 HTTP/1.0\r\n\r\n",
    "a range": b"GET /live.mp3 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n",
    "a part": b"GET /live.mp3 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n",
    "a condition": b"GET /live.mp3 HTTP/1.1\r\nIf-Modified-Since: Sat, 22 Nov 2025 07:00:00 GMT\r\n\r\n",
    "broken escapes in the query": b"GET /live.mp3?a=%zz&%=%&b=%u1234 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a host of any bytes": b"GET /live.mp3 HTTP/1.1\r\nHost: r\xc3\xa4dio.example\xff\r\n\r\n",
    "a fragment": b"GET /live.mp3#t=10 HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("head", STREAM.values(), ids=STREAM)
def test_a_player_gets_the_stream(head: bytes, node: Node, live: socket.socket) -> None:
    answer = ask(node, head, 100)
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and b"icy-metaint" not in answer


@pytest.mark.parametrize("field", [b"Icy-MetaData: 1", b"icy-metadata:1", b"ICY-METADATA: 1", b"Icy-Metadata:  1 "])
def test_titles_are_asked_for_in_any_spelling(field: bytes, node: Node, live: socket.socket) -> None:
    assert b"icy-metaint:16000\r\n" in ask(node, b"GET /live.mp3 HTTP/1.0\r\n" + field + b"\r\n\r\n", 300)


def test_head_of_a_stream_has_no_body(node: Node, live: socket.socket) -> None:
    answer = ask(node, b"HEAD /live.mp3 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and answer.endswith(b"\r\n\r\n")


STRANGERS = {
    "every host": (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.0 204 No Content"),
    "no such method": (b"FOO BAR / HTTP/1.1\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "no such method, well formed": (b"FOO / HTTP/1.1\r\n\r\n", b"HTTP/1.0 405 Method Not Allowed"),
    "half an address": (b"GET http://[/ HTTP/1.1\r\n\r\n", b"HTTP/1.0 200 OK"),
    "an address without a path": (b"GET http://h HTTP/1.1\r\n\r\n", b"HTTP/1.0 200 OK"),
    "another scheme": (b"GET ftp://h/x HTTP/1.1\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "a tunnel": (b"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "a client of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), b"HTTP/1.0 400 Bad Request"),
    "an old copy": (
        b"GET /status-json.xsl HTTP/1.1\r\nIf-Modified-Since: Sat, 22 Nov 2025 07:00:00 GMT\r\n\r\n",
        b"HTTP/1.0 200 OK",
    ),
    "a host of any bytes": (b"GET / HTTP/1.1\r\nHost: \xff\xfe<script>\r\n\r\n", b"HTTP/1.0 200 OK"),
    "a broken escape in the path": (b"GET /%zz HTTP/1.1\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "a NUL in the path": (b"GET /a%00.mp3 HTTP/1.1\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "a way up": (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "HTTP/0.9": (b"GET /\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
    "a statistics client": (b"STATS / HTTP/1.0\r\n\r\n", b"HTTP/1.0 405 Method Not Allowed"),
    "a source without a slash": (b"SOURCE live.mp3 ICE/1.0\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
}


@pytest.mark.parametrize(("data", "line"), STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_gets_one_answer(data: bytes, line: bytes, node: Node) -> None:
    answer = ask(node, data)
    assert answer.startswith(line + b"\r\n")
    assert answer.count(b"HTTP/1.0") == 1 and b"<script>\r" not in answer
