"""LB-14, LB-15: the effect of a node's lines in HAProxy 2.6, seen in HAProxy's own statistics."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.balancer.nodes import Node, Nodes
from tests.e2e.haproxy import HAProxy
from tests.e2e.wire import basic, get

CLIENTS = 20
MOUNT = "/live.mp3"

FREE = range(60, 101)
"""The weight of a node with nothing to do: on a busy machine its loop is late, which lowers the weight."""


@pytest.fixture
def node() -> Iterator[Node]:
    with Nodes(1, clients=CLIENTS, queue_size="8M", drain={"lead": 60}) as nodes:
        yield nodes[0]


@pytest.fixture
def proxy(node: Node) -> Iterator[HAProxy]:
    with HAProxy(
        f"global\ndefaults\n    timeout connect 5s\n    timeout check 5s\n"
        f"    timeout client 30s\n    timeout server 30s\n"
        f"listen radio\n    mode tcp\n    bind :8000\n    server node {node.address}:{node.port} "
        f"weight 100 check inter 50ms agent-check agent-addr {node.address} agent-port {node.agent_port} "
        f"agent-inter 50ms\n"
    ) as proxy:
        yield proxy


def drain(node: Node, query: str = "") -> None:
    login = basic("admin", node.server.admin_password)
    reply = get(node.port, f"/admin/drain?{query}", login, method="POST", host=node.address)
    assert reply.status == 200, reply


def test_lb_14_agent_speaks_haproxys_language(node: Node, proxy: HAProxy) -> None:
    seen = proxy.wait_for(agent="L7OK", weight=FREE)
    assert (seen.status, seen.maxconn) == ("UP", CLIENTS + 64)


def test_lb_14_drain_is_a_drain_to_haproxy_and_serving_again_cancels_it(node: Node, proxy: HAProxy) -> None:
    proxy.wait_for(status="UP", agent="L7OK")
    drain(node)
    assert node.ask_agent() == b"drain\n"
    proxy.wait_for(status="DRAIN")
    drain(node, "cancel=1")
    assert proxy.wait_for(status="UP", weight=FREE).failures == 0


def test_lb_14_a_server_that_stops_is_down_to_haproxy(node: Node, proxy: HAProxy) -> None:
    """It runs for a moment after that: the rest of the stream is still to be sent to a listener that does not read."""
    proxy.wait_for(status="UP", agent="L7OK")
    with (
        node.server.stream(MOUNT, headers={"Content-Type": "text/plain"}, speed=0) as stream,
        node.server.listen(MOUNT, bytes_per_s=1),
    ):
        stream.send_bytes(bytes(3 << 20))
        node.server.wait_for_bytes(MOUNT, 3 << 20)
        os.kill(node.server.pid, signal.SIGTERM)
        assert "stopping" in proxy.wait_for(status="DOWN", agent="L7STS").agent_text


def test_lb_14_a_line_is_all_that_a_connection_gets(node: Node) -> None:
    for _ in range(100):
        assert node.ask_agent() == b"100%% maxconn:%d up ready\n" % (CLIENTS + 64)


def test_lb_13_lb_14_a_full_server_is_up_with_no_weight(node: Node, proxy: HAProxy) -> None:
    proxy.wait_for(status="UP", weight=FREE)
    node.fill()
    assert node.ask_agent() == b"0%% maxconn:%d up ready\n" % (CLIENTS + 64)
    proxy.wait_for(status="UP", weight=0)
    node.leave()
    assert proxy.wait_for(status="UP", weight=FREE).failures == 0


def test_lb_15_weight_falls_as_listeners_come_and_rises_as_they_go(node: Node, proxy: HAProxy) -> None:
    proxy.wait_for(weight=FREE)
    with node.server.stream(MOUNT, speed=0):
        with ExitStack() as listeners:
            for _ in range(CLIENTS // 2 - 1):
                listeners.enter_context(node.server.listen(MOUNT))
            # HAProxy's own check may be in the eleventh slot at that moment.
            node.server.wait_until(lambda: 45 <= proxy.seen().weight <= 50, 5, "half the weight")
        node.server.wait_until(lambda: proxy.seen().weight >= 90, 5, "nearly all of it")
