"""conf/nginx.conf itself, before real nodes, with other addresses and ports; and what nginx does by default."""

import pytest

from pycast.testing.heard import Heard
from pycast.testing.wire_heads import ServerAddress
from tests.balancer.nodes import CONF, Nodes
from tests.e2e.nginx import Nginx
from tests.e2e.programs import ENCODINGS, Target, ffmpeg_source
from tests.e2e.wire import Wire, basic, frames, get

STREAM, HTTP = "8000", "80"
MOUNT = "/live.mp3"
RAW = "application/octet-stream"

# As little as anybody writes: buffering is on.
PLAIN = """pid /run/nginx.pid;
events {{ worker_connections 100; }}
http {{
    server {{
        listen 80;
        location / {{ proxy_pass http://{address}:{port}; {more} }}
    }}
}}
"""


def nginx(nodes: Nodes) -> Nginx:
    return Nginx(nodes.adapt((CONF / "nginx.conf").read_text()), [STREAM, HTTP])


@pytest.mark.parametrize("line", ["SOURCE {} HTTP/1.0", "SOURCE {} ICE/1.0", "PUT {} HTTP/1.1\r\nHost: radio"])
def test_lb_07_unframed_sources_pass_the_stream_block(line: str) -> None:
    sent = frames(0, 200)
    with Nodes(1) as nodes, nginx(nodes) as proxy, Wire(proxy.ports[STREAM]) as feed:
        server = nodes[0].server
        login = basic("source", server.source_password)
        feed.send(f"{line.format(MOUNT)}\r\n{login}Content-Type: audio/mpeg\r\n\r\n")
        assert feed.read_head().status == 200
        feed.send(sent)
        server.wait_until(lambda: len(server.received(MOUNT)) == len(sent), 10, "all of it")
        assert server.received(MOUNT) == sent


def test_lb_07_ffmpeg_streams_through_the_stream_block() -> None:
    with Nodes(1) as nodes, nginx(nodes) as proxy:
        server = nodes[0].server
        with ffmpeg_source(Target(proxy.ports[STREAM], server.source_password), MOUNT, ENCODINGS[0]):
            server.wait_for_bytes(MOUNT, 20_000, 15)


def test_lb_07_a_chunked_put_passes_the_http_block() -> None:
    sent = frames(0, 100)
    with Nodes(1) as nodes, nginx(nodes) as proxy, Wire(proxy.ports[HTTP]) as feed:
        server = nodes[0].server
        login = basic("source", server.source_password)
        head = f"PUT {MOUNT} HTTP/1.1\r\nHost: radio\r\n{login}Content-Type: audio/mpeg\r\n"
        feed.send(f"{head}Transfer-Encoding: chunked\r\n\r\n")
        feed.send(b"%x\r\n%b\r\n" % (len(sent), sent))
        server.wait_until(lambda: len(server.received(MOUNT)) == len(sent), 10, "all of it")


@pytest.mark.parametrize("name", [STREAM, HTTP])
def test_lb_05_lb_06_lb_09_listener_hears_every_byte_and_is_known(name: str) -> None:
    with Nodes(1) as nodes, nginx(nodes) as proxy:
        node = nodes[0]
        with node.server.stream(MOUNT, speed=0) as stream:
            with Heard(ServerAddress("127.0.0.1", proxy.ports[name]), MOUNT) as heard:
                assert heard.headers["Content-Type"] == "audio/mpeg"
                stream.send(20)
                heard.wait_for_frames(20)
                assert heard.frames.is_exactly(range(20))
            node.server.wait_for_listeners(MOUNT, 0)


def test_when_a_node_is_gone_every_request_is_answered() -> None:
    with Nodes(3) as nodes, nginx(nodes) as proxy:
        nodes[0].server.kill()
        assert {get(proxy.ports[name], "/status-json.xsl").status for name in (STREAM, HTTP) * 9} == {200}


def test_lb_13_full_nodes_are_skipped_and_if_all_are_full_players_get_retry_after() -> None:
    with Nodes(3, clients=4) as nodes, nginx(nodes) as proxy:
        port = proxy.ports[HTTP]
        for node in nodes.nodes[:2]:
            node.fill()
        assert {get(port, "/status-json.xsl").status for _ in range(12)} == {200}
        nodes[2].fill()
        for _ in range(9):
            reply = get(port, "/status-json.xsl")
            assert (reply.status, reply.header("Retry-After")) == (503, "5")
        nodes[1].leave()
        nodes[1].server.wait_until(lambda: get(port, "/status-json.xsl").status == 200, 5, "the node that has room")


@pytest.mark.parametrize("is_obeyed", [True, False], ids=["as pycast asks", "if nginx does not listen"])
def test_lb_10_a_slow_listener_behind_nginx_is_seen_as_slow(is_obeyed: bool) -> None:
    """nginx buffers by default. pycast's answer turns that off; configured to ignore it, nginx reads everything."""
    more = "" if is_obeyed else "proxy_ignore_headers X-Accel-Buffering;"
    with Nodes(1, queue_size="64k") as nodes:
        node = nodes[0]
        config = PLAIN.format(address=node.address, port=node.port, more=more)
        with (
            Nginx(config, [HTTP]) as proxy,
            node.server.stream(MOUNT, headers={"Content-Type": RAW}, speed=0) as stream,
            Wire(proxy.ports[HTTP], receive_buffer=4096) as listener,
        ):
            listener.send(f"GET {MOUNT} HTTP/1.0\r\n\r\n")
            node.server.wait_for_listeners(MOUNT, 1)
            for _ in range(64):
                stream.send_bytes(bytes(256 << 10))
                if "too far behind" in node.server.log():
                    break
            if is_obeyed:
                node.server.wait_until(lambda: "too far behind" in node.server.log(), 5, "it to be dropped")
            else:
                node.server.wait_for_bytes(MOUNT, 16 << 20)
                assert "too far behind" not in node.server.log()
