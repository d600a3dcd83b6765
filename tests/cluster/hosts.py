"""A node's port in this process: what it takes and answers over real loopback sockets, without the rest of a server.

Helpers only. Invariant: after `stop` nothing of it is left.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gevent import socket

from pycast.app.cluster_assembly import answer_mesh
from pycast.cluster.link.frames import Frame, Kind, LinkError, Malformed
from pycast.cluster.link.link import READ_SIZE, Connector, Link, asks_for_link
from pycast.cluster.link.peer_checks import PeerChecks
from pycast.cluster.link.rpc import RpcClient, RpcServer
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.messages import Pull
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import NodeRecord
from pycast.cluster.registry.state_file import StateFile
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.errors import Refused
from pycast.http.request import HeadReader
from pycast.http.response import error_response, render
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.testing.ports import Ports


@contextmanager
def dead_port() -> Iterator[int]:
    """Has a port on loopback that answers nobody: its queue is full."""
    with socket.socket() as full, socket.socket() as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())
        yield full.getsockname()[1]


SETTINGS = "[server]\n[limits]\nburst_size = 2000\nsource_grace = 5\n"


class Host:
    """One node. `serve` is what it does with an authenticated link, by default what a node does."""

    def __init__(self, secret: str = "secret", name: str = "radio", toml: str = SETTINGS, port: int = 0) -> None:
        self._toml = toml
        self._cluster: dict[str, object] = {"secret": secret, "name": name}
        self.settings = Live(loads(toml, {}, "test"))
        self.configure()
        self.group = Group()
        self.now = 0.0
        self.own = OwnRecord()
        self.state = ClusterState()
        self.checks = PeerChecks(self.state.check_epoch)
        self.connector = Connector(self.settings, self.own, self.checks)
        self.answers = RpcServer(self.group, self.checks)
        self.peers = RpcClient(self.connector, self.group)
        self.lineages = Lineages()
        self.gone: list[Reason] = []
        pacer = Pacer(0.05, lambda: 0.0)
        self.events = events = StreamEvents()
        events.listener_left.subscribe(lambda event: self.gone.append(event.reason))
        self.mounts = Mounts(self.settings, pacer, self.group, events, self.clock)
        self.children = Children()
        events.new_audio.subscribe(self.children.on_new_audio)
        events.mount_closed.subscribe(self.children.on_mount_closed)
        self.mirror_server = MirrorServer(self.lineages, pacer, self, self.children)
        self.serve: Callable[[Link, Frame], None] = self.serve_as_a_node
        self.links: list[Link] = []
        self.refused: list[str] = []
        self._accepted: list[socket.socket] = []
        # Held until `stop`: a port that refuses is nobody else's.
        self._ports = Ports()
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port or self._ports.take()))
        self._socket.listen(50)
        self._accepting = self.group.spawn("accept", self._accept)
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.is_node(NodeRecord(f"node-{self._socket.getsockname()[1]}", self.own.now.boot, self.address))

    def is_node(self, record: NodeRecord) -> None:
        """Gives this node a name, a boot and an address."""
        self.own.now = record

    def open(self, name: str, depth: int = 0) -> Mount | None:
        """Returns the mount if this node has it."""
        return self.mounts.get(name)

    def is_first_to_go_on(self, name: str, child: str) -> bool:
        """Whether a child has to ask another node."""
        return False

    def configure(self, **cluster: object) -> None:
        """Applies other settings of [cluster]."""
        self._cluster |= cluster
        section = "\n".join(f"{key} = {json.dumps(value)}" for key, value in self._cluster.items())
        self.settings.replace(loads(f"{self._toml}\n[cluster]\n{section}\n", {}, "test"))

    def mesh(self) -> MeshRegistry:
        """Returns a registry for this node, connected as in a server."""
        section, state = self.settings.now.cluster, ClusterState()
        state_file = StateFile(section.state_file, state, self.group)
        registry = MeshRegistry(section, state, self.peers, state_file, self.group, time.monotonic)
        answer_mesh(self.answers, registry)
        self.peers.link_lost.subscribe(registry.on_link_lost)
        state.node_changed.subscribe(registry.on_node_changed)
        state.origin_changed.subscribe(registry.on_origin_changed)
        state.node_changed.subscribe(state_file.on_changed)
        state.origin_changed.subscribe(state_file.on_changed)
        return registry

    def clock(self) -> float:
        return self.now

    def serve_as_a_node(self, link: Link, first: Frame) -> None:
        if first[0] is Kind.PULL:
            self.mirror_server.serve(link, Pull.read(first[1]), "child")
        else:
            self.answers.serve(link, first)

    def refuse(self, sock: socket.socket, error: Refused) -> None:
        """Answers a request for a link that is refused, as the server does."""
        self.refused.append(str(error))
        sock.sendall(render(error_response(error.status, error.public, error.headers), server="test", now=0))

    def hang_up(self) -> None:
        """Closes every link that others have opened."""
        for link in self.links:
            link.close()

    def close_the_port(self) -> None:
        """Stops listening: the port refuses."""
        self._accepting.kill()
        self._socket.close()

    def stop(self) -> None:
        self.close_the_port()
        self._ports.release()
        self.peers.stop()
        self.hang_up()
        self.mounts.stop()
        self.group.kill()
        for sock in self._accepted:  # also those whose greenlet had not begun
            sock.close()

    def _accept(self) -> None:
        while True:
            sock, _ = self._socket.accept()
            self._accepted.append(sock)
            self.group.spawn("connection", self._connection, sock)

    def _connection(self, sock: socket.socket) -> None:
        link: Link | None = None
        try:
            reader = HeadReader()
            request = None
            while request is None:
                data = sock.recv(READ_SIZE)
                if not data:
                    return
                request = reader.feed(data)
            assert asks_for_link(request)
            link = self.connector.accept(sock, request, reader.rest)
            self.links.append(link)
            first = link.read(5)
            if first is not None:
                self.serve(link, first)
        except (OSError, LinkError) as error:
            if isinstance(error, Malformed) and link is not None:
                self.checks.blame(link.peer, error)
            self.refused.append(str(error))
        except Refused as error:
            self.refuse(sock, error)
        finally:
            sock.close()
