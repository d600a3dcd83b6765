"""LB-16, LB-17: a real server is drained, with real listeners on it."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from pycast.testing import Server, ServerDied
from tests.e2e.wire import FRAME_BYTES, Wire, basic, frames, get, listen, source

MOUNT = "/live.mp3"
ADMIN = basic("admin", "adminpass")


def drain(server: Server, query: str = "", method: str = "POST") -> dict[str, object]:
    reply = get(server.port, f"/admin/drain?{query}", ADMIN, method=method)
    assert reply.status == 200, reply
    assert reply.header("Content-Type") == "application/json"
    progress = json.loads(reply.body)
    assert isinstance(progress, dict)
    return progress


@dataclass(slots=True)
class Crowd:
    """Listeners of a stream that goes on, until the server closes their connections."""

    feed: Wire
    listeners: list[Wire]
    sizes: list[int] = field(init=False)
    left: list[float] = field(default_factory=list)
    """When each of those that are gone was dropped, in order."""
    _sent: int = 1000

    def __post_init__(self) -> None:
        self.sizes = [0] * len(self.listeners)

    def listen(self, until: float) -> None:
        """Reads until all are gone, at most until `until` (monotonic)."""
        with selectors.DefaultSelector() as selector:
            for index, wire in enumerate(self.listeners):
                selector.register(wire.sock, selectors.EVENT_READ, index)
            due = time.monotonic()
            while selector.get_map() and time.monotonic() < until:
                if time.monotonic() >= due:
                    due += 2 / 38  # the pace of the audio
                    self._sent += 2
                    self.feed.send(frames(self._sent, 2))
                for key, _ in selector.select(0.02):
                    self._read(selector, key)

    def _read(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        data = self.listeners[key.data].sock.recv(1 << 16)
        self.sizes[key.data] += len(data)
        if not data:
            self.left.append(time.monotonic())
            selector.unregister(key.fileobj)


@pytest.fixture
def crowd(pycast_server: Server) -> Iterator[Crowd]:
    """500 listeners, each with its response head read."""
    with ExitStack() as stack:
        feed = stack.enter_context(source(pycast_server.port, MOUNT, pycast_server.source_password))
        listeners = [stack.enter_context(listen(pycast_server.port, MOUNT)[0]) for _ in range(500)]
        yield Crowd(feed, listeners)


@pytest.mark.pycast(drain={"lead": 0.5, "rate": 0.2, "deadline": 30})
def test_lb_17_500_listeners_are_dropped_at_a_constant_rate_each_after_a_whole_frame(
    crowd: Crowd, pycast_server: Server
) -> None:
    began = time.monotonic()
    drain(pycast_server)
    crowd.listen(began + 20)
    assert len(crowd.left) == 500
    assert {size % FRAME_BYTES for size in crowd.sizes} == {0}
    assert crowd.left[0] - began >= 0.5
    # 100 in each second. What else runs on this machine may hold both ends up, but nobody leaves ahead of the line.
    ahead = max(number / 100 - (moment - began - 0.5) for number, moment in enumerate(crowd.left))
    assert ahead < 0.15
    assert crowd.left[-1] - began - 0.5 > 4.5
    pycast_server.wait_until(lambda: drain(pycast_server, method="GET")["state"] == "done", 5, "the end")


@pytest.mark.pycast(drain={"lead": 60, "deadline": 1.0})
def test_lb_17_deadline_empties_the_server_whatever_the_lead(crowd: Crowd, pycast_server: Server) -> None:
    began = time.monotonic()
    drain(pycast_server)
    crowd.listen(began + 10)
    assert len(crowd.left) == 500
    assert crowd.left[0] - began >= 0.95
    assert crowd.left[-1] - crowd.left[0] < 2


@pytest.mark.parametrize(("readiness", "status"), [("fail", 503), ("hold", 200)])
def test_lb_16_readiness_and_agent_announce_the_drain_while_no_listener_is_dropped(readiness: str, status: int) -> None:
    with (
        Server(drain={"readiness": readiness, "lead": 60}) as server,
        server.stream(MOUNT, speed=0) as stream,
        server.listen(MOUNT) as heard,
    ):
        assert get(server.port, "/readyz").status == 200
        progress = drain(server)
        assert (progress["state"], progress["listeners"]) == ("lead", 1)
        assert get(server.port, "/readyz").status == status
        assert get(server.port, "/livez").status == 200
        assert f"pycast_ready {int(status == 200)}.0".encode() in get(server.port, "/metrics").body
        assert b"pycast_draining 1.0" in get(server.port, "/metrics").body
        stream.send(10)
        heard.wait_for_frames(10)
        assert heard.frames.is_exactly(range(10))
        with server.listen(MOUNT) as late:  # the balancer has not reacted yet: new listeners are served
            assert late.status == 200
        assert drain(server, "cancel=1")["state"] == "serving"
        assert get(server.port, "/readyz").status == 200


@pytest.mark.pycast(drain={"lead": 0})
def test_lb_16_an_empty_server_that_is_drained_refuses_listeners_until_it_serves_again(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0):
        drain(pycast_server)
        pycast_server.wait_until(lambda: drain(pycast_server, method="GET")["state"] == "done", 5, "the end")
        refused = get(pycast_server.port, MOUNT)
        assert (refused.status, refused.header("Retry-After")) == (503, "5")
        assert get(pycast_server.port, "/status-json.xsl").status == 200
        drain(pycast_server, "cancel=1")
        with pycast_server.listen(MOUNT) as heard:
            assert heard.status == 200


def test_drain_is_for_the_admin_and_a_get_changes_nothing(pycast_server: Server) -> None:
    for login in ("", basic("source", "sourcepass"), basic("relay", "relaypass")):
        assert get(pycast_server.port, "/admin/drain", login, method="POST").status == 401
    assert drain(pycast_server, "now=1", method="GET")["state"] == "serving"


@pytest.mark.pycast(clients=3)
def test_a_full_server_can_be_drained(pycast_server: Server) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Wire(pycast_server.port))
        pycast_server.wait_until(lambda: get(pycast_server.port, "/").status == 503, 5, "the server to be full")
        assert drain(pycast_server)["state"] == "lead"


def wait_for_end(server: Server, timeout: float) -> None:
    with pytest.raises(ServerDied, match="status 0"):
        server.wait_until(lambda: False, timeout, "the end")


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 0.5, "rate": 1.0})
def test_sigterm_drains_before_the_server_stops(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream, pycast_server.listen(MOUNT) as heard:
        os.kill(pycast_server.pid, signal.SIGTERM)
        pycast_server.wait_until(lambda: get(pycast_server.port, "/readyz").status == 503, 5, "the drain")
        stream.send(10)
        assert heard.wait_for_end() == "the server closed the connection"
        assert heard.frames.is_exactly(range(10))
        wait_for_end(pycast_server, 5)


@pytest.mark.pycast(server={"drain": True}, drain={"lead": 60})
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_second_signal_stops_at_once(pycast_server: Server, second: signal.Signals) -> None:
    os.kill(pycast_server.pid, signal.SIGTERM)
    pycast_server.wait_until(lambda: get(pycast_server.port, "/readyz").status == 503, 5, "the drain")
    os.kill(pycast_server.pid, second)
    wait_for_end(pycast_server, 5)


def pycast_drain(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As Kubernetes' preStop runs it: it finds everything in the configuration."""
    config = server.config_path
    text = config.read_text()
    config.write_text(text.replace('"port" = 0', f"port = {server.port}", 1))
    command = [sys.executable, "-m", "pycast", "drain", "--config", str(config), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.pycast(drain={"lead": 60, "rate": 0.5})
def test_the_command_empties_the_server_and_shows_its_progress(pycast_server: Server) -> None:
    with ExitStack() as stack:
        stack.enter_context(pycast_server.stream(MOUNT, speed=0))
        listeners = [stack.enter_context(pycast_server.listen(MOUNT)) for _ in range(4)]
        done = pycast_drain(pycast_server, "--now")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1] == "empty; 0 listeners"
        assert any(line.startswith("disconnecting listeners; ") for line in done.stdout.splitlines())
        assert {heard.wait_for_end() for heard in listeners} == {"the server closed the connection"}
    assert get(pycast_server.port, "/readyz").status == 503
    assert pycast_drain(pycast_server, "--cancel").stdout == "serving; 0 listeners\n"
    assert get(pycast_server.port, "/readyz").status == 200
