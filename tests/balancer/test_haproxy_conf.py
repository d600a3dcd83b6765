"""conf/haproxy.cfg itself, before three real nodes: only addresses, ports and the pace of the checks are other ones."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pycast.testing import Server
from pycast.testing.heard import Heard
from pycast.testing.numbered_stream import NumberedStream
from pycast.testing.wire_heads import ServerAddress
from tests.balancer.nodes import CONF, Nodes
from tests.e2e.deadline import until
from tests.e2e.haproxy import HAProxy, haproxy_program
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source
from tests.e2e.test_behind_haproxy import CLIENT, ClientWire
from tests.e2e.wire import Reply, basic, get

TCP, HTTP = ":8000", ":80"
BACKENDS = {TCP: "nodes_tcp", HTTP: "nodes_http"}
NAMES = ("a", "b", "c")
MOUNT = "/live.mp3"


@contextmanager
def haproxy(nodes: Nodes) -> Iterator[HAProxy]:
    """HAProxy, once it has the state of every node that runs."""
    with HAProxy(nodes.adapt((CONF / "haproxy.cfg").read_text()), [TCP, HTTP]) as proxy:
        for backend in BACKENDS.values():
            for name, _ in zip(NAMES, nodes.nodes, strict=False):
                proxy.wait_for(f"{backend}/{name}", status="UP", check="L7OK", agent="L7OK")
        yield proxy


def source_through(proxy: HAProxy, bind: str, server: Server) -> NumberedStream:
    login = (server.source_user, server.source_password)
    return NumberedStream(ServerAddress("127.0.0.1", proxy.ports[bind]), MOUNT, login=login, speed=0)


def listener_through(proxy: HAProxy, bind: str) -> Heard:
    return Heard(ServerAddress("127.0.0.1", proxy.ports[bind]), MOUNT)


def get_through(proxy: HAProxy, bind: str, path: str = "/status-json.xsl") -> Reply:
    return get(proxy.ports[bind], path)


def test_it_is_valid_as_it_stands() -> None:
    done = subprocess.run(
        [haproxy_program(), "-c", "-f", str(CONF / "haproxy.cfg")], capture_output=True, check=False, timeout=10
    )
    assert done.returncode == 0, done.stderr
    assert b"WARNING" not in done.stderr, done.stderr


def test_lb_07_lb_09_a_source_through_tcp_is_heard_through_both_ways_in() -> None:
    with Nodes(1) as nodes, haproxy(nodes) as proxy:
        for name in NAMES[1:]:
            proxy.wait_for(f"{BACKENDS[HTTP]}/{name}", status="DOWN")
        server = nodes[0].server
        with source_through(proxy, TCP, server) as stream:
            stream.send(200)
            server.wait_for_bytes(MOUNT, stream.size)
            for bind in (TCP, HTTP):
                with listener_through(proxy, bind) as heard:
                    heard.wait_for_frame(199)
                    assert heard.status == 200 and heard.frames.is_whole


def test_lb_07_ffmpeg_streams_through_tcp(tmp_path: Path) -> None:
    with Nodes(1) as nodes, haproxy(nodes) as proxy:
        server = nodes[0].server
        with ffmpeg_source(Target(proxy.ports[TCP], server.source_password), MOUNT, ENCODINGS[0]):
            server.wait_for_bytes(MOUNT, 20_000, 15)


def wait_for_all(proxy: HAProxy, names: tuple[str, ...], **wanted: object) -> None:
    for backend in BACKENDS.values():
        for name in names:
            proxy.wait_for(f"{backend}/{name}", **wanted)


def test_lb_13_with_all_nodes_full_players_get_retry_after_and_no_node_flaps() -> None:
    with Nodes(3, clients=6) as nodes, haproxy(nodes) as proxy:
        for node in nodes.nodes:
            node.fill()
        wait_for_all(proxy, NAMES, status="UP", weight=0)
        for bind in (TCP, HTTP) * 9:
            reply = get_through(proxy, bind)
            assert (reply.status, reply.header("Retry-After")) == (503, "5")
        nodes[1].leave()
        until(lambda: {get_through(proxy, bind).status for bind in (TCP, HTTP)} == {200}, "the node that has room")
        wait_for_all(proxy, (*NAMES, "a-full", "b-full", "c-full"), status="UP", failures=0)


def test_lb_13_a_full_node_gets_no_listener_while_another_has_room() -> None:
    # As many as all requests together: on a busy machine a connection counts for a while after its end.
    with Nodes(2, clients=60) as nodes, haproxy(nodes) as proxy:
        nodes[0].fill()
        wait_for_all(proxy, ("a",), status="UP", weight=0)
        assert {get_through(proxy, bind).status for bind in (TCP, HTTP) * 10} == {200}


@pytest.mark.parametrize("bind", [TCP, HTTP])
def test_lb_16_a_node_that_drains_gets_and_loses_no_listener(bind: str) -> None:
    with Nodes(1, drain={"lead": 60}) as nodes, haproxy(nodes) as proxy:
        first = nodes[0]
        with first.server.stream(MOUNT, speed=0) as stream:
            for name in NAMES[1:]:
                proxy.wait_for(f"{BACKENDS[bind]}/{name}", status="DOWN")
            with listener_through(proxy, bind) as heard:
                login = basic("admin", first.server.admin_password)
                assert get(first.port, "/admin/drain", login, method="POST", host=first.address).status == 200
                until(lambda: proxy.seen(f"{BACKENDS[bind]}/a").status != "UP", "the drain to be seen")
                stream.send(50)
                heard.wait_for_frames(50)
                assert heard.frames.is_exactly(range(50))


def test_when_a_node_dies_every_request_is_answered() -> None:
    with Nodes(3) as nodes, haproxy(nodes) as proxy:
        nodes[0].server.kill()
        for bind in (TCP, HTTP):
            assert {get_through(proxy, bind).status for _ in range(9)} == {200}
        proxy.wait_for("a", status="DOWN")


def test_lb_06_x_forwarded_for_of_a_client_is_not_passed_on() -> None:
    with Nodes(1) as nodes, haproxy(nodes) as proxy, ClientWire(proxy.ports[HTTP]) as wire:
        wire.send("GET /lie HTTP/1.0\r\nX-Forwarded-For: 192.0.2.66\r\nForwarded: for=192.0.2.66\r\n\r\n").read_all()
        server = nodes[0].server
        server.wait_until(lambda: any("/lie" in line for line in server.access_log()), 5, "the line")
        assert {line.split()[0] for line in server.access_log() if "/lie" in line} == {CLIENT}
