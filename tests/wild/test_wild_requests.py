"""Requests as encoders, players, proxies and strangers send them, and what a node answers: one small input each."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from tests.conftest import WaitUntil

TOML = """
[[listen]]
bind_address = "127.0.0.1"
port = 0
shoutcast_mount = "/sc"
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


def connect(node: Node, data: bytes, offset: int = 0) -> socket.socket:
    """Connects to the node's port, or with 1 to that of SHOUTcast sources."""
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port + offset), 5)
    sock.sendall(data)
    return sock


def ask(node: Node, data: bytes, size: int = 1 << 20) -> bytes:
    """Returns the answer, or the first `size` bytes of a stream."""
    with connect(node, data) as sock:
        answer = b""
        while len(answer) < size and (piece := sock.recv(65_536)):
            answer += piece
    return answer


def hear(node: Node, data: bytes, encoder: socket.socket) -> bytes:
    """Returns the head of a stream, and its body up to what the encoder sends when the player is there."""
    with connect(node, data) as sock:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65_536)
            assert piece, head
            head += piece
        if not head.startswith(b"HTTP/1.0 200"):
            return head
        encoder.sendall(b"more")
        while not head.endswith(b"more"):
            piece = sock.recv(65_536)
            assert piece, head
            head += piece
    return head


@contextmanager
def source(node: Node, wait_until: WaitUntil, mount: str, head: bytes, offset: int = 0) -> Iterator[socket.socket]:
    """Connects a source, which has sent its head and 5 bytes of audio or more, and waits until its mount is gone."""
    mounts = node.parts.context.mounts
    with connect(node, head, offset) as sock:
        answer = sock.recv(100)
        assert answer.startswith((OK, b"OK2\r\n")), answer
        wait_until(lambda: getattr(mounts.get(mount), "bytes_read", 0) >= 5, "the audio")
        yield sock
    wait_until(lambda: mounts.get(mount) is None, "the end of the mount")


@pytest.fixture
def live(node: Node, wait_until: WaitUntil) -> Iterator[socket.socket]:
    """A source of /live.mp3 that goes on."""
    with source(node, wait_until, "/live.mp3", b"SOURCE /live.mp3 ICE/1.0\r\n" + LOGIN + TYPE + b"\r\naudio") as sock:
        yield sock


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
    "a statistics client": (b"STATS / HTTP/1.0\r\n\r\n", b"HTTP/1.0 401 Authentication Required"),
    "a source without a slash": (b"SOURCE live.mp3 ICE/1.0\r\n\r\n", b"HTTP/1.0 400 Bad Request"),
}


@pytest.mark.parametrize(("data", "line"), STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_gets_one_answer(data: bytes, line: bytes, node: Node) -> None:
    answer = ask(node, data)
    assert answer.startswith(line + b"\r\n")
    assert answer.count(b"HTTP/1.0") == 1 and b"<script>\r" not in answer


# -- names of mounts

PLAYER, BROWSER = b"Accept: audio/*, */*\r\n\r\n", b"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n\r\n"


@pytest.mark.parametrize("head", [b"SOURCE / ICE/1.0", b"PUT / HTTP/1.1", b"SOURCE /#x HTTP/1.0"])
def test_a_stream_at_the_root_is_for_players_and_the_page_for_browsers(
    head: bytes, node: Node, wait_until: WaitUntil
) -> None:
    assert b"text/html" in ask(node, b"GET / HTTP/1.0\r\n" + PLAYER), "no stream yet: the page for all"
    with source(node, wait_until, "/", head + b"\r\n" + LOGIN + TYPE + b"\r\naudio") as sock:
        assert hear(node, b"GET / HTTP/1.0\r\n" + PLAYER, sock).endswith(b"more")
        assert hear(node, b"GET / HTTP/1.0\r\n\r\n", sock).endswith(b"more")
        assert b"text/html" in ask(node, b"GET / HTTP/1.0\r\n" + BROWSER)
        assert b"http://h:1/\r\n" in ask(node, b"GET /.m3u HTTP/1.0\r\nHost: h:1\r\n\r\n")
        assert b"<!doctype html>" in ask(node, b"GET /status.xsl HTTP/1.0\r\n" + BROWSER).lower()


@pytest.mark.parametrize("mount", ["/stream/2/", "/live/", "/a/b/", "/live.mp3/"])
def test_a_mount_may_end_with_a_slash(mount: str, node: Node, wait_until: WaitUntil) -> None:
    with source(node, wait_until, mount, f"SOURCE {mount} ICE/1.0\r\n".encode() + LOGIN + TYPE + b"\r\naudio") as sock:
        assert hear(node, f"GET {mount} HTTP/1.0\r\n\r\n".encode(), sock).endswith(b"more")
        assert b"404" in ask(node, f"GET {mount[:-1]} HTTP/1.0\r\n\r\n".encode())[:13]
        assert f"http://h:1{mount}\r\n".encode() in ask(node, f"GET {mount}.m3u HTTP/1.0\r\nHost: h:1\r\n\r\n".encode())
        assert f'{mount}"'.encode() in ask(node, b"GET /status-json.xsl HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "mount", ["//", "/a//b/", "/admin/", "/Admin/x/", "/metrics/", "/livez/", "/sw.js/", "/a/../b"]
)
def test_no_source_gets_a_name_that_is_something_else(mount: str, node: Node) -> None:
    answer = ask(node, f"SOURCE {mount} ICE/1.0\r\n".encode() + LOGIN + TYPE + b"\r\naudio")
    assert answer[9:12] in (b"400", b"403")


@pytest.mark.parametrize("kind", ["m3u", "pls", "xspf", "vclt"])
@pytest.mark.parametrize("mount", ["/listen", "/", "/gone.mp3", "/stream/2/"])
def test_there_is_no_playlist_of_what_nobody_can_hear(mount: str, kind: str, node: Node) -> None:
    assert ask(node, f"GET {mount}.{kind} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 404 ")


@pytest.mark.parametrize("kind", ["m3u", "pls"])
def test_a_configured_mount_has_a_playlist_before_its_source(kind: str, node: Node) -> None:
    assert b"http://h:1/sc\r\n" in ask(node, f"GET /sc.{kind} HTTP/1.0\r\nHost: h:1\r\n\r\n".encode())


# -- SHOUTcast

ICY_HEAD = b"content-type:text/plain\r\nicy-name:x\r\n\r\naudio"


@pytest.mark.parametrize(
    "line", [b"hackme", b"hackme:#1", b"dj:hackme", b"dj:hackme:#2", b"/sc:hackme", b"/sc:dj:hackme:#1"]
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r\r\n"])
def test_a_shoutcast_password_may_come_with_a_name_and_a_number(
    line: bytes, end: bytes, node: Node, wait_until: WaitUntil
) -> None:
    with source(node, wait_until, "/sc", line + end + ICY_HEAD, 1):
        password = line.decode().replace("#", "%23")
        title = f"GET /admin.cgi?mode=updinfo&pass={password}&song=Song HTTP/1.0\r\n\r\n".encode()
        assert b"Metadata update successful" in ask(node, title)
        assert b"Song" in ask(node, b"GET /status-json.xsl HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("line", [b"wrong:#1", b"hackme:dj", b"dj:wrong", b":#1", b"dj:#1"])
def test_a_wrong_shoutcast_password_is_wrong_in_any_form(line: bytes, node: Node) -> None:
    with connect(node, line + b"\r\n" + ICY_HEAD, 1) as sock:
        assert sock.recv(100) == b""


@pytest.mark.parametrize(
    "path", ["/;", "/;stream.mp3", "/;stream.nsv", "/;?type=http&nocache=1", "/stream/1/", "/stream", "/%3B"]
)
def test_a_player_of_shoutcast_streams_gets_the_shoutcast_mount(path: str, node: Node, wait_until: WaitUntil) -> None:
    assert ask(node, f"GET {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 404 ")
    with source(node, wait_until, "/sc", b"hackme\r\n" + ICY_HEAD, 1) as sock:
        assert hear(node, f"GET {path} HTTP/1.0\r\n\r\n".encode(), sock).endswith(b"more")


@pytest.mark.parametrize(
    "path", ["/live.mp3;", "/live.mp3;stream.nsv", "/live.mp3/;stream.nsv", "/live.mp3;?nocache=1"]
)
def test_what_players_of_shoutcast_streams_put_behind_a_mount_is_cut_off(
    path: str, node: Node, live: socket.socket
) -> None:
    assert hear(node, f"GET {path} HTTP/1.0\r\n\r\n".encode(), live).endswith(b"more")
    assert ask(node, f"HEAD {path} HTTP/1.0\r\n\r\n".encode()).startswith(b"HTTP/1.0 200 ")


@pytest.mark.parametrize("path", ["/admin/;", "/metrics;", "/gone;", ";", "/;/../x", "/live.mp3;.m3u"])
def test_nothing_else_is_found_behind_a_semicolon(path: str, node: Node, live: socket.socket) -> None:
    assert ask(node, f"GET {path} HTTP/1.0\r\n\r\n".encode())[9:12] in (b"404", b"400", b"401")


# -- titles in a source's audio

BLOCK = b"\x02StreamTitle='A - Song';".ljust(33, b"\0")
INLINE = {
    "over HTTP": (0, "/live.mp3", b"SOURCE /live.mp3 HTTP/1.0\r\n" + LOGIN + TYPE + b"icy-metaint: 3\r\n\r\n"),
    "chunked": (
        0,
        "/live.mp3",
        b"PUT /live.mp3 HTTP/1.1\r\n" + LOGIN + TYPE + b"Icy-MetaInt:3\r\nTransfer-Encoding: chunked\r\n\r\n28\r\n",
    ),
    "over SHOUTcast": (1, "/sc", b"hackme\r\ncontent-type:text/plain\r\nicy-metaint:3\r\n\r\n"),
}


@pytest.mark.parametrize(("offset", "mount", "head"), INLINE.values(), ids=INLINE)
def test_titles_are_taken_out_of_a_sources_audio(
    offset: int, mount: str, head: bytes, node: Node, wait_until: WaitUntil
) -> None:
    with source(node, wait_until, mount, head + b"aud" + BLOCK + b"io0\0" + b"\r\n" * (b"chunked" in head), offset):
        heard = node.parts.context.mounts.get(mount)
        assert heard is not None
        wait_until(lambda: heard.ring.head == 6, "the audio")
        assert heard.ring.read(0, 6) == b"audio0" and b"metaint" not in heard.source_lines
        assert b'"title":"A - Song"' in ask(node, b"GET /status-json.xsl HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("value", [b"0", b"-1", b"lots", b"99999999999999999999"])
def test_an_interval_that_is_none_is_ignored(value: bytes, node: Node, wait_until: WaitUntil) -> None:
    head = b"SOURCE /live.mp3 HTTP/1.0\r\n" + LOGIN + TYPE + b"icy-metaint: " + value + b"\r\n\r\naudio"
    with source(node, wait_until, "/live.mp3", head) as sock:
        assert hear(node, b"GET /live.mp3 HTTP/1.0\r\n\r\n", sock).endswith(b"more")


def test_a_source_that_sends_audio_where_it_announced_titles_is_ended(node: Node, wait_until: WaitUntil) -> None:
    head = b"SOURCE /live.mp3 HTTP/1.0\r\n" + LOGIN + TYPE + b"icy-metaint: 5\r\n\r\n"
    with source(node, wait_until, "/live.mp3", head + b"audio") as sock:
        sock.sendall(b"\x01" + b"x" * 16)
        assert sock.recv(100) == b""
