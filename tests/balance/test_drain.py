"""A drain carried out on a node in this process: its order, failures in it, and which listeners it drops."""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket
from gevent.event import Event

from pycast.app.node import Node
from pycast.balance.drain_plan import DrainState
from pycast.config.load import loads
from tests.conftest import WaitUntil

TOML = (
    '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n[limits]\nqueue_size = "8M"\n[logging]\naccess_log = ""\n'
    "[drain]\nlead = 0\nrate = 1.0\ndeadline = {deadline}\n"
)
SOURCE = b"SOURCE /x HTTP/1.0\r\nAuthorization: Basic c291cmNlOmhhY2ttZQ==\r\nContent-Type: text/plain\r\n\r\n"


@pytest.fixture
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    made = Node(loads(TOML.replace("{deadline}", str(getattr(request, "param", 60))), {}, "test"), None, None, 1000)
    made.start()
    yield made
    made.stop()


def connect(node: Node, data: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", node.parts.context.site.address.port), 5)
    sock.sendall(data)
    sock.recv(1000)
    return sock


def wait_for(event: Event) -> None:
    event.wait()


def test_lb_17_listeners_are_dropped_after_everything_else_has_moved(
    node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain, moved, may_go = node.parts.context.drain, [], Event()

    def move() -> None:
        moved.append("begun")
        may_go.wait()
        moved.append("done")

    monkeypatch.setattr(drain, "_move_sources", move)
    heard: list[DrainState] = []
    drain.changed.subscribe(lambda event: heard.append(event.state))
    with connect(node, SOURCE), connect(node, b"GET /x HTTP/1.0\r\n\r\n") as listener:
        drain.begin()
        wait_until(lambda: moved == ["begun"], "the move to begin")
        gevent.sleep(0.3)
        assert drain.state is DrainState.MOVING
        assert node.parts.context.site.local.snapshot().listeners == 1
        may_go.set()
        assert drain.wait()
        assert moved == ["begun", "done"]
        assert listener.recv(1000) == b""
    assert heard == [DrainState.LEAD, DrainState.MOVING, DrainState.LEAVING, DrainState.DONE]


def test_a_failed_move_is_logged_and_does_not_stop_the_drain(
    node: Node, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail() -> None:
        raise OSError("no other node")

    monkeypatch.setattr(node.parts.context.drain, "_move_sources", fail)
    node.parts.context.drain.begin()
    assert node.parts.context.drain.wait()
    assert "no other node" in caplog.text


@pytest.mark.parametrize("node", [1.0], indirect=True)
def test_lb_17_a_move_that_never_ends_does_not_outlive_the_deadline(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.parts.context.drain, "_move_sources", lambda: wait_for(Event()))
    with connect(node, SOURCE), connect(node, b"GET /x HTTP/1.0\r\n\r\n") as listener:
        node.parts.context.drain.begin()
        assert node.parts.context.drain.wait()
        assert listener.recv(1000) == b""


def test_a_listener_that_stays_behind_is_dropped_when_no_other_is_left(
    node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.balance.drain.BEHIND_S", 0.5)
    with connect(node, SOURCE) as source, connect(node, b"GET /x HTTP/1.0\r\n\r\n"):
        source.sendall(bytes(6 << 20))  # more than its connection holds, and it does not read
        wait_until(lambda: node.parts.context.site.local.snapshot().counters.bytes_read == 6 << 20, "the audio")
        node.parts.context.drain.begin()
        gevent.sleep(0.3)
        assert node.parts.context.site.local.snapshot().listeners == 1
        assert node.parts.context.drain.wait()


def test_a_drain_can_be_cancelled_and_begun_again_at_once(node: Node, wait_until: WaitUntil) -> None:
    drain = node.parts.context.drain
    with connect(node, SOURCE), connect(node, b"GET /x HTTP/1.0\r\n\r\n") as listener:
        for _ in range(3):
            drain.begin()
            drain.cancel()
            assert not drain.wait()
            assert node.parts.context.site.readiness.is_ready
        assert node.parts.context.site.local.snapshot().listeners == 1
        drain.begin()
        assert drain.wait()
        assert listener.recv(1000) == b""
