"""Of the nodes of a cluster one fetches a relayed stream; when it dies another one does, and listeners stay."""

import re
from urllib.parse import quote

from pycast.testing import Cluster, Server
from tests.cluster_e2e.encoder import Encoder
from tests.e2e.deadline import until
from tests.e2e.wire import basic, get

MOUNT = "/live.mp3"
LISTENERS = re.compile(r"<listeners>(\d+)</listeners>")


def stats(server: Server, path: str) -> str:
    return get(server.port, path, basic("admin", server.admin_password)).body.decode()


def test_one_node_has_the_stream_and_another_takes_over_with_its_title() -> None:
    with (
        Server(mount=[{"mount_name": MOUNT}], burst_size="8k") as upstream,
        Encoder([("127.0.0.1", upstream.port)], MOUNT, password=upstream.source_password),
        Cluster(
            2,
            relay=[{"server": "127.0.0.1", "port": upstream.port, "mount": MOUNT}],
            source_grace=15,
            burst_size="8k",
        ) as nodes,
    ):

        def fetched() -> int:
            return int(LISTENERS.findall(stats(upstream, "/admin/listmounts"))[0])

        def owner() -> str:
            path = "/admin/stats?scope=node"
            return next((name for name in nodes.names if _relays(stats(nodes[name], path))), "")

        nodes.wait_for_mount(MOUNT)
        assert fetched() == 1
        first = owner()
        other = next(name for name in nodes.names if name != first)
        title = f"mode=updinfo&mount={MOUNT}&song={quote('Jóga')}"
        get(upstream.port, f"/admin/metadata?{title}", basic("source", upstream.source_password))
        until(lambda: "Jóga" in get(nodes[other].port, "/status-json.xsl").body.decode(), "the title")
        # Whichever node is asked, the relay is that of the node that has the stream.
        shown = stats(nodes[other], "/admin/managerelays")
        assert "<state>on_air</state>" in shown and shown.count("<active>true</active>") == 1
        with nodes[other].listen(MOUNT) as heard:
            heard.wait_for_bytes(5_000)
            nodes.kill(first)
            until(lambda: _relays(stats(nodes[other], "/admin/stats?scope=node")), "the other node to take over", 20)
            # More than two bursts: what it had, and what the new stream begins with.
            heard.wait_for_bytes(29_000, 20)
            assert "Jóga" in get(nodes[other].port, "/status-json.xsl").body.decode()
        until(lambda: fetched() == 1, "one node only to have the stream")
        changed = stats(nodes[other], f"/admin/managerelays?relay={MOUNT}&enable=0")
        assert "<message>relay has been changed</message>" in changed
        until(lambda: fetched() == 0, "the relay to be off")
        assert "<enable>0</enable>" in stats(nodes[other], "/admin/managerelays")


def _relays(shown: str) -> bool:
    return "<source_relay_connections>1<" in shown
