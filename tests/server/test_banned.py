"""Those who may not connect, over real ports: closed without an answer as in Icecast, on every way in."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

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
{}
[logging]
access_log = ""
[limits]
source_grace = 0
"""
PROXY = 'trusted_proxies = ["127.0.0.3"]'
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\n"
ADMIN = b"GET /admin/stats HTTP/1.0\r\nAuthorization: Basic YWRtaW46aGFja21l\r\n\r\n"
WAYS = {
    "page": b"GET /status-json.xsl HTTP/1.0\r\n\r\n",
    "health": b"GET /livez HTTP/1.0\r\n\r\n",
    "stream": b"GET /x HTTP/1.0\r\n\r\n",
    "admin": ADMIN,
    "source": SOURCE,
}

Make = Callable[..., Node]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Node] = []

    def started(listen: str = "", **lists: str) -> Node:
        paths = "[paths]\n"
        for key, content in lists.items():
            (tmp_path / key).write_text(content)
            paths += f'{key} = "{tmp_path / key}"\n'
        made.append(Node(loads(TOML.format(listen) + paths, {}, "test"), None, None, 1000))
        made[-1].start()
        return made[-1]

    yield started
    for node in made:
        node.stop()


def ask(node: Node, data: bytes, ip: str = "127.0.0.1", *, next_port: bool = False) -> bytes:
    """Returns the beginning of the answer to what `ip` sends."""
    port = node.parts.context.site.address.port + next_port
    with socket.create_connection(("127.0.0.1", port), 5, source_address=(ip, 0)) as sock:
        try:
            sock.sendall(data)
            return bytes(sock.recv(1000))
        except ConnectionError:
            return b""


def with_head(data: bytes, head: str) -> bytes:
    return data.replace(b"\r\n", f"\r\n{head}\r\n".encode(), 1)


@pytest.mark.parametrize("key", ["deny_ip", "allow_ip"])
def test_a_refused_address_gets_no_answer_on_any_way_in_and_another_does(make: Make, key: str) -> None:
    node = make(**{key: "127.0.0.9\n" if key == "deny_ip" else "127.0.0.1\n"})
    for data in WAYS.values():
        assert ask(node, data, "127.0.0.9") == b""
    assert ask(node, b"hackme\r\n", "127.0.0.9", next_port=True) == b""
    assert ask(node, ADMIN).startswith(b"HTTP/1.0 200")
    counters = node.parts.context.counters
    assert (counters.banned, counters.client_connections) == (len(WAYS) + 1, 1)


def test_a_refused_connection_gets_no_greenlet(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node, begun = make(deny_ip="127.0.0.9"), []
    monkeypatch.setattr("pycast.server.acceptor.Acceptor._begin", lambda *given: begun.append(given))
    for _ in range(20):
        assert ask(node, WAYS["stream"], "127.0.0.9") == b""
    assert begun == []
    assert node.parts.context.admission.open == 0


def test_a_refused_player_gets_no_answer_not_even_a_kept_page(make: Make) -> None:
    node = make(deny_agents="*bot*\n")
    for data in WAYS.values():
        assert ask(node, with_head(data, "User-Agent: a robot")) == b""
        assert ask(node, with_head(data, "User-Agent: player"))[:5] == b"HTTP/"
    assert ask(node, WAYS["page"])[:5] == b"HTTP/", "who does not say who he is is in no list"


def test_a_shoutcast_source_of_a_refused_kind_is_closed(make: Make) -> None:
    node = make(deny_agents="*bot*\n")
    data = b"hackme\r\nicy-name:x\r\nUser-Agent: robot\r\n\r\n"
    assert ask(node, data, next_port=True).startswith(b"OK2")
    assert node.parts.context.mounts.get("/sc") is None
    assert node.parts.context.counters.banned == 1


def test_behind_a_proxy_the_client_is_refused_with_403_and_the_proxy_never(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    node = make(PROXY, deny_ip="127.0.0.3\n203.0.113.0/24\n")
    client, other = "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.114.7"
    for data in WAYS.values():
        assert ask(node, with_head(data, client), "127.0.0.3").startswith(b"HTTP/1.0 403")
        assert ask(node, with_head(data, other), "127.0.0.3")[:5] == b"HTTP/"
    assert ask(node, WAYS["health"], "127.0.0.3").startswith(b"HTTP/1.0 200")
    # Nobody can blame another address, or hide behind one.
    assert ask(node, with_head(WAYS["health"], client), "127.0.0.5").startswith(b"HTTP/1.0 200")
    assert caplog.text.count("refused, its address is in paths.deny_ip") == 1
    assert caplog.text.count("! 203.0.113.7:") == 1, "no line for each"


def test_a_client_that_a_proxy_header_names_is_refused(make: Make) -> None:
    node = make(PROXY, deny_ip="203.0.113.7\n")
    line = b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 8000\r\n"
    assert ask(node, line + WAYS["page"], "127.0.0.3") == b""
    assert ask(node, line + b"hackme\r\n", "127.0.0.3", next_port=True) == b""
    assert ask(node, line.replace(b"113.7", b"113.8") + WAYS["page"], "127.0.0.3").startswith(b"HTTP/1.0 200")


def test_a_listener_is_disconnected_when_a_reload_names_a_list(
    make: Make, tmp_path: Path, wait_until: WaitUntil
) -> None:
    node = make()
    port = node.parts.context.site.address.port
    with (
        socket.create_connection(("127.0.0.1", port), 5) as source,
        socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.9", 0)) as listener,
    ):
        source.sendall(SOURCE + b"audio")
        wait_until(lambda: node.parts.context.mounts.get("/x"), "the mount")
        listener.sendall(WAYS["stream"])
        assert listener.recv(5) == b"HTTP/"
        (tmp_path / "deny").write_text("127.0.0.9\n")
        settings = node.parts.context.settings
        node._apply(settings.now.replace(paths=settings.now.paths.replace(deny_ip=str(tmp_path / "deny"))))
        while listener.recv(1000):
            pass
        assert node.parts.context.mounts.get("/x") is not None, "the source stays"
