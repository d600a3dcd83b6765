"""Health checks and figures: also, and above all, when the server is full."""

import time
from contextlib import ExitStack

import pytest

from pycast.testing import Server
from tests.e2e.wire import Wire, frames, get, listen, source

MOUNT = "/live.mp3"


def test_server_is_alive_and_ready(pycast_server: Server) -> None:
    assert get(pycast_server.port, "/livez").status == 200
    assert get(pycast_server.port, "/readyz").status == 200


@pytest.mark.pycast(clients=20)
def test_full_server_answers_health_checks_at_once_and_refuses_others(pycast_server: Server) -> None:
    with ExitStack() as stack:
        feed = stack.enter_context(source(pycast_server.port, MOUNT, pycast_server.source_password))
        listeners = [stack.enter_context(listen(pycast_server.port, MOUNT)[0]) for _ in range(19)]
        refused = get(pycast_server.port, MOUNT)
        assert refused.status == 503
        assert int(refused.header("Retry-After")) > 0
        assert get(pycast_server.port, "/livez").status == 200
        assert get(pycast_server.port, "/readyz").status == 503  # alive, and asks for no more
        # The best of some: what else runs on this machine is not the server's fault.
        assert min(seconds(pycast_server, path) for path in ("/livez", "/readyz") * 5) < 0.05
        feed.send(frames(0, 10))
        for listener in listeners:
            assert listener.read(len(frames(0, 10))) == frames(0, 10)


@pytest.mark.pycast(clients=5)
def test_server_is_ready_again_when_listeners_leave(pycast_server: Server) -> None:
    wires = [Wire(pycast_server.port) for _ in range(5)]
    pycast_server.wait_until(lambda: get(pycast_server.port, "/readyz").status == 503, 5, "the server to be full")
    for wire in wires:
        wire.close()
    pycast_server.wait_until(lambda: get(pycast_server.port, "/readyz").status == 200, 5, "the server to be ready")


def test_metrics_count_listeners_sources_and_bytes(pycast_server: Server) -> None:
    with source(pycast_server.port, MOUNT, pycast_server.source_password) as feed:
        feed.send(frames(0, 100))
        listener, _ = listen(pycast_server.port, MOUNT)
        with listener:
            listener.read(len(frames(0, 100)))
            reply = get(pycast_server.port, "/metrics")
    assert reply.status == 200
    assert reply.header("Content-Type").startswith("text/plain")
    samples = dict(line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if not line.startswith("#"))
    listeners = {name: value for name, value in samples.items() if "listeners{" in name and MOUNT in name}
    assert [float(value) for name, value in listeners.items() if "peak" not in name and "slow" not in name] == [1.0]
    assert any("bytes" in name and float(value) >= len(frames(0, 100)) for name, value in samples.items())


def seconds(server: Server, path: str) -> float:
    """How long an answer takes."""
    began = time.monotonic()
    get(server.port, path)
    return time.monotonic() - began
