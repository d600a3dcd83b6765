"""Health checks and figures. When the server is full: tests/balancer/test_health.py."""

from pycast.testing import Server
from tests.e2e.wire import get

MOUNT = "/live.mp3"


def test_server_is_alive_and_ready(pycast_server: Server) -> None:
    assert get(pycast_server.port, "/livez").status == 200
    assert get(pycast_server.port, "/readyz").status == 200


def test_metrics_count_listeners_sources_and_bytes(pycast_server: Server) -> None:
    with pycast_server.stream(MOUNT, speed=0) as stream, pycast_server.listen(MOUNT) as heard:
        stream.send(100)
        heard.wait_for_frames(100)
        reply = get(pycast_server.port, "/metrics")
    assert reply.status == 200
    assert reply.header("Content-Type").startswith("text/plain")
    samples = dict(line.rsplit(" ", 1) for line in reply.body.decode().splitlines() if not line.startswith("#"))
    listeners = {name: value for name, value in samples.items() if "listeners{" in name and MOUNT in name}
    assert [float(value) for name, value in listeners.items() if "peak" not in name and "slow" not in name] == [1.0]
    assert any("bytes" in name and float(value) >= heard.size for name, value in samples.items())
