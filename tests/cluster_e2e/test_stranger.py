"""Somebody without the secret has an address that nodes dial: he passes their proofs on, and gives orders."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pycast.cluster.link.frames import Kind, pack_json
from pycast.testing import Cluster
from tests.cluster_e2e.nodes import MOUNT, metric
from tests.e2e.deadline import until

ORDERS = [
    ("control.snapshot", {}),
    ("control.kill_source", {"mount": MOUNT}),
    ("server.drain", {"order": "now"}),
]


class Stranger:
    """A server that passes each handshake on to the node at `port`, and then gives that node orders of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.tries = 0
        self.received = b""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Stranger":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:  # closed
                return
            with caller, suppress(OSError):
                caller.settimeout(2)
                with socket.create_connection(("127.0.0.1", self.port), 2) as node:
                    self._relay(caller, node)
                self.tries += 1

    def _relay(self, caller: socket.socket, node: socket.socket) -> None:
        node.sendall(caller.recv(8192))
        answer = node.recv(8192)
        caller.sendall(answer)
        with suppress(OSError):
            node.sendall(caller.recv(64))  # the last proof, if there is one
        for number, (what, order) in enumerate(ORDERS):
            node.sendall(pack_json(Kind.CALL, {"n": number, "what": what, "with": order}))
        while data := node.recv(1 << 16):
            self.received += data
            if self.received.count(b'"n":') >= len(ORDERS):
                return


@contextmanager
def dialled_by(stranger: Stranger, size: int) -> Iterator[Cluster]:
    """Yields nodes that dial the stranger, as they would the address of a node that is gone."""
    with Cluster(size, cluster={"peers": [stranger.address]}) as nodes:
        yield nodes


@pytest.mark.parametrize("target", [0, 1], ids=["to the node that dials him", "to another node"])
def test_a_stranger_who_passes_a_proof_on_gets_no_link(target: int) -> None:
    with Stranger() as stranger, dialled_by(stranger, 2) as nodes:
        victim = nodes[target]
        with victim.stream(MOUNT, speed=0) as stream:
            stream.send(50)
            stranger.port = victim.port
            tries = stranger.tries
            until(lambda: stranger.tries >= tries + 2, "the attack")
            assert b'"with"' not in stranger.received, "an order was carried out"
            stream.send(50)
            assert victim.get(f"/readyz?mount={MOUNT}")[0] == 200
            assert metric(victim, "pycast_draining") == 0
            assert metric(victim, "pycast_sources") == 1
        # He is another way for them to find each other, no more.
        until(lambda: metric(victim, "pycast_cluster_nodes", status="up") == 2, "the other node")
