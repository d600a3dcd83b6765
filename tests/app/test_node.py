"""A node starts, serves, reloads and stops, and leaves nothing behind (the suite's own check for that runs on each)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from gevent import socket

from pycast.app.node import Node
from pycast.config.load import load, loads
from pycast.errors import ConfigError
from pycast.testing.ports import Ports
from tests.conftest import WaitUntil

TOML = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\nshoutcast_mount = "/sc"\n[logging]\naccess_log = ""\n'
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\n"


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(loads(TOML, {}, "test"), None, None, 1000)
    yield made
    made.stop()
    made.stop()


def connect(port: int, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 5)
    sock.sendall(data)
    return sock


def test_it_says_where_it_listens(node: Node) -> None:
    ready = node.start()
    (port, tls, shoutcast), (other, _, is_shoutcast) = ready.ports
    assert (ready.port, tls, shoutcast, is_shoutcast) == (port, False, False, True)
    assert other == port + 1


def test_a_stop_ends_sources_and_listeners_and_answers_who_has_not_asked(node: Node, wait_until: WaitUntil) -> None:
    port = node.start().port
    source = connect(port, SOURCE)
    assert source.recv(100) == b"HTTP/1.0 200 OK\r\n\r\n"
    listener = connect(port, b"GET /x HTTP/1.0\r\n\r\n")
    wait_until(lambda: node.parts.context.site.local.snapshot().listeners == 1, "the listener")
    idle = connect(port, b"GET / HT")
    wait_until(lambda: node.parts.context.admission.open == 3, "all three")
    node.stop()
    assert listener.recv(10_000).startswith(b"HTTP/1.0 200 OK\r\n")
    assert idle.recv(1000).startswith(b"HTTP/1.0 503 ")
    assert [sock.recv(100) for sock in (source, listener, idle)] == [b"", b"", b""]
    for sock in (source, listener, idle):
        sock.close()


def test_a_request_that_arrives_at_a_stop_is_told_to_come_again(node: Node, wait_until: WaitUntil) -> None:
    port = node.start().port
    source = connect(port, SOURCE)
    assert source.recv(100) == b"HTTP/1.0 200 OK\r\n\r\n"
    late = connect(port, b"")
    wait_until(lambda: node.parts.context.admission.open == 2, "both")
    stopping = node.parts.context.group.spawn("stop", node.stop)
    wait_until(lambda: node.parts.context.site.readiness.is_stopping, "the stop")
    late.sendall(b"GET /x HTTP/1.0\r\n\r\n")
    answer = late.recv(1000)
    assert answer.startswith(b"HTTP/1.0 503 ")
    assert b"Retry-After: 5\r\n" in answer
    late.close()
    source.close()
    stopping.join(5)
    assert node.parts.context.admission.open == 0


def test_every_connection_is_counted_out_again(node: Node, wait_until: WaitUntil) -> None:
    port = node.start().port
    for data in (b"GET /none HTTP/1.0\r\n\r\n", b"\x00rubbish\r\n\r\n", b"", b"HEAD / HTTP/1.1\r\n\r\n", SOURCE):
        connect(port, data).close()
    wait_until(lambda: node.parts.context.counters.connections == 5, "the connections")
    wait_until(lambda: node.parts.context.admission.open == 0, "their ends")


def test_a_port_that_is_taken_is_a_clear_error(node: Node) -> None:
    port = node.start().port
    second = Node(loads(TOML.replace("port = 0", f"port = {port}"), {}, "test"), None, None, 1000)
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}: Address already in use"):
        second.start()


def test_a_reload_takes_what_the_file_says_now(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "pycast.toml"
    path.write_text(TOML)
    node = Node(load(path, {}), path, None, 1000)
    path.write_text(TOML + "[limits]\nclients = 7\n")
    node.reload()
    assert node.parts.context.admission.limit == 7
    path.write_text("[limits]\nclients = 'many'\nclents = 3\n")
    node.reload()
    assert node.parts.context.admission.limit == 7
    assert caplog.text.count("reload refused") == 2
    path.write_text(TOML.replace("/sc", "/other"))
    node.reload()
    assert "changes that need a restart: listen[0].shoutcast_mount\n" in caplog.text
    node.stop()


def test_a_reload_reads_the_files_of_passwords_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, secret = tmp_path / "pycast.toml", tmp_path / "secret"
    secret.write_text("one")
    secret.chmod(0o644)
    path.write_text(f'{TOML}[authentication]\nadmin_password_file = "{secret}"\n')
    # The second has no configuration file, only the environment.
    nodes = [Node(load(path, {}), path, None, 1000)]
    nodes.append(Node(loads(TOML, {"PYCAST_AUTHENTICATION__ADMIN_PASSWORD_FILE": str(secret)}, "x"), None, None, 1000))
    for node in nodes:
        secret.write_text("two")
        node.reload()
        assert node.parts.context.settings.now.authentication.admin_password == "two"
        assert "every user of this machine can read" in caplog.text
        secret.write_text("")
        caplog.clear()
        node.reload()
        assert node.parts.context.settings.now.authentication.admin_password == "two"
        assert "reload refused: " in caplog.text
        assert "authentication.admin_password_file" in caplog.text
        node.stop()


@pytest.mark.parametrize("first", ["0.0.0.0", "::"])
def test_ipv4_and_ipv6_are_both_answered_on_one_port(first: str) -> None:
    second = "::" if first == "0.0.0.0" else "0.0.0.0"
    with Ports() as ports:
        port = ports.take(("0.0.0.0", "::1"))
        toml = "".join(f'[[listen]]\nbind_address = "{one}"\nport = {port}\n' for one in (first, second))
        node = Node(loads(toml, {}, "test"), None, None, 1000)
        try:
            node.start()
            for host in ("127.0.0.1", "::1"):
                with socket.create_connection((host, port), 5) as sock:
                    sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
                    assert sock.recv(1000).startswith(b"HTTP/1.0 200 OK\r\n")
        finally:
            node.stop()
