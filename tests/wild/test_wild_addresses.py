"""The addresses of streams that a node gives out, whatever it was asked for and by whom."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import loads
from tests.conftest import WaitUntil

TOML = """
[server]
hostname = "own.example"
{server}
[[listen]]
bind_address = "127.0.0.1"
port = 0
{listen}
[authentication]
admin_password = "of-these-tests-7"
[logging]
access_log = ""
[[mount]]
mount_name = "/live x.mp3"
{mount}
"""
LOGIN = b"Authorization: Basic c291cmNlOmhhY2ttZQ==\r\n"
SOURCE = b"SOURCE /live%20x.mp3 HTTP/1.0\r\n" + LOGIN + b"Content-Type: text/plain\r\n\r\naudio"
ADMIN = "Authorization: Basic YWRtaW46b2YtdGhlc2UtdGVzdHMtNw==\r\n"
STATISTICS = ["/status-json.xsl", "/admin/stats", "/admin/stats?mount=/live%20x.mp3"]
PLAYLISTS = [f"/live%20x.mp3.{kind}" for kind in ("m3u", "pls", "xspf", "vclt")]
PAGES = ["/", "/status.xsl"]
MOUNT = "/live%20x.mp3"


@contextmanager
def live(wait_until: WaitUntil, server: str = "", listen: str = "", mount: str = "") -> Iterator[Node]:
    """A node with a source of "/live x.mp3"."""
    node = Node(loads(TOML.format(server=server, listen=listen, mount=mount), {}, "test"), None, None, 1000)
    node.start()
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5)
    sock.sendall(SOURCE)
    wait_until(lambda: node.parts.context.mounts.get("/live x.mp3") is not None, "the mount")
    yield node
    sock.close()
    node.stop()


def ask(node: Node, path: str, head: str = "") -> str:
    with socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5) as sock:
        sock.sendall(f"GET {path} HTTP/1.0\r\n{ADMIN}Accept: text/html\r\n{head}\r\n".encode())
        answer = b""
        while piece := sock.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.0 200 "), answer[:100]
    return answer.decode()


FORWARDED = "Host: inner.example:8000\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: radio.example\r\n"
LISTENURL = 'listenurl = "https://cdn.example/a/live"'


@pytest.mark.parametrize(
    ("server", "mount", "url"),
    [
        ('public_url = "https://radio.example"', "", "https://radio.example" + MOUNT),
        ('public_url = "https://radio.example:8443/"', "", "https://radio.example:8443" + MOUNT),
        ('public_url = "https://radio.example/below/"', "", "https://radio.example/below" + MOUNT),
        ("", LISTENURL, "https://cdn.example/a/live"),
        ("", 'listenurl = "https://cdn.example"', "https://cdn.example" + MOUNT),
        ('public_url = "https://radio.example"', LISTENURL, "https://cdn.example/a/live"),
    ],
)
def test_the_configured_address_is_given_out_everywhere(
    server: str, mount: str, url: str, wait_until: WaitUntil
) -> None:
    with live(wait_until, server, 'trusted_proxies = ["127.0.0.1"]', mount) as node:
        for path in (*STATISTICS, *PLAYLISTS, *PAGES):
            for head in ("", "Host: other.example\r\n", FORWARDED):
                text = ask(node, path, head)
                assert url in text, path
                for name in ("own.example", "other.example", "inner.example", "radio.example"):
                    assert name in server or f"{name}{MOUNT}" not in text, path


@pytest.mark.parametrize(
    ("head", "base"),
    [
        (FORWARDED, "https://radio.example"),
        ("Host: radio.example\r\n", "http://radio.example"),
        ("Host: radio.example\r\nX-Forwarded-Port: 8443\r\nX-Forwarded-Proto: https\r\n", "https://radio.example:8443"),
        ("Host: radio.example\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Proto: https\r\n", "https://radio.example"),
        ("Host: radio.example:8443\r\nX-Forwarded-Port: 443\r\n", "http://radio.example:8443"),
        ("Host: x\r\nForwarded: for=1.2.3.4;host=radio.example;proto=https\r\n", "https://radio.example"),
        ("X-Forwarded-Host: evil.example, radio.example\r\n", "http://radio.example"),
    ],
)
def test_behind_a_trusted_proxy_the_address_is_the_one_that_was_asked_for(
    head: str, base: str, wait_until: WaitUntil
) -> None:
    with live(wait_until, listen='trusted_proxies = ["127.0.0.1"]') as node:
        for path in (*STATISTICS, *PLAYLISTS, *PAGES):
            assert base + MOUNT in ask(node, path, head), path
        own = f"http://own.example:{node.parts.context.site.address.port}"
        for path in STATISTICS:
            assert own + MOUNT in ask(node, path, "X-Forwarded-Host: <script>\r\n"), "what is no host is not given out"
            assert base + MOUNT in ask(node, path, head), "a page for one address is not given to another"


def test_nobody_else_is_believed(wait_until: WaitUntil) -> None:
    with live(wait_until) as node:
        own = f"http://own.example:{node.parts.context.site.address.port}"
        for path in STATISTICS:
            assert own + MOUNT in ask(node, path, FORWARDED), path
        for path in (*PLAYLISTS, *PAGES):
            assert "http://inner.example:8000" + MOUNT in ask(node, path, FORWARDED), path
