"""This node's membership in its cluster: joins and leaves, announces the load, and serves incoming links.

The ownership of mounts is in `ownership.py`. The parts are made and connected in `app/cluster_assembly.py`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gevent import socket
from gevent.event import Event

from pycast import __version__
from pycast.cluster.link.frames import Kind, LinkError, Malformed
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.link import Connector, Link, asks_for_link, join_address, split_address
from pycast.cluster.link.questions import Ping, Pong
from pycast.cluster.link.rpc import NoAnswer, RpcClient, RpcServer
from pycast.cluster.mirror.messages import Pull
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.records import NodeRecord, NodeState
from pycast.cluster.registry.registry import DuplicateNode, Registry
from pycast.config.live import Live
from pycast.config.schema import ClusterSection, Config
from pycast.errors import ConfigError
from pycast.http.request import Request
from pycast.net.group import Group
from pycast.net.ticks import sleep_until_tick
from pycast.stats.counters import LinkCounters

if TYPE_CHECKING:  # loaded with the configuration of a port that needs it
    from pycast.net.tls_session import TlsStream

log = logging.getLogger(__name__)

# How long a caller may take after the handshake to send its first frame.
FIRST_FRAME_S = 5.0

# How long a node may take to answer a ping.
PROBE_S = 0.5

# How often this node announces its load, if it has changed by this many per cent.
LOAD_S = 2.0
LOAD_STEP = 2


@dataclass(frozen=True, slots=True)
class AnnouncedLoad:
    """The load that this node announces; the fields are those of `NodeRecord`."""

    slots: int
    used: int
    listeners: int
    weight: int


class ClusterMember:
    """This node as a member of its cluster. `start` it when the node listens."""

    def __init__(
        self,
        settings: Live,
        own: OwnRecord,
        registry: Registry,
        connector: Connector,
        rpc_client: RpcClient,
        rpc_server: RpcServer,
        mirrors: Mirrors,
        mirror_server: MirrorServer,
        load: Callable[[], AnnouncedLoad],
        group: Group,
    ) -> None:
        self.registry = registry
        self.rpc = rpc_client
        self.mirrors = mirrors
        self._settings = settings
        self._own = own
        self._connector = connector
        self._rpc_server = rpc_server
        self._mirror_server = mirror_server
        self._load = load
        self._group = group
        self._links: dict[Link, None] = {}
        self._joined = Event()
        """Set when `start` has returned, or failed."""

    @property
    def me(self) -> NodeRecord:
        """This node's record."""
        return self._own.now

    @property
    def settings(self) -> ClusterSection:
        """The cluster's present settings."""
        return self._settings.now.cluster

    @property
    def link_counters(self) -> LinkCounters:
        """The totals of this node's links."""
        return self._connector.checks.counters

    def start(self, port: int, machine: str = "") -> None:
        """Joins the cluster; `port` is the first listening port as bound, `machine` what the workers of one parent have
        in common. Raises ConfigError if another node has this one's name. May switch.
        """
        settings = self.settings
        address = settings.advertise or join_address(own_host(self._settings.now), port)
        node = settings.node or address
        self._own.now = replace(
            self._own.now, node=node, address=address, zone=settings.zone, version=__version__, machine=machine
        )
        self._own.now = self._with_load()
        try:
            self.registry.start(self._own.now)
        except DuplicateNode as error:
            raise ConfigError([f"cluster.node = {node!r}: {error}: give each node a name of its own"]) from error
        finally:
            self._joined.set()
        self.mirrors.start()
        self._group.spawn_forever("load for the cluster", self._announce_load)
        log.info(
            "= cluster %s: node %s at %s%s",
            settings.name,
            node,
            address,
            f", zone {settings.zone}" * bool(settings.zone),
        )

    def wait_until_joined(self) -> None:
        """Waits until the nodes that answer have told their mounts: before that this one would refuse listeners of
        streams that are on the air, and players do not ask again. May switch, for the time of `start` at most.
        """
        self._joined.wait()

    def set_draining(self, is_draining: bool) -> None:
        """Announces whether this node drains: then others send it no new listeners or sources."""
        self._update(replace(self._own.now, state=NodeState.DRAINING if is_draining else NodeState.UP))

    def stop(self) -> None:
        """Leaves the cluster. Incoming links are closed first, so that mounts on other nodes do not end, but not before
        these have what there is of them. May switch.
        """
        if not self._own.now.node:
            return
        self._mirror_server.finish()
        for link in list(self._links):
            link.close()
        self.registry.stop()
        self.rpc.stop()

    def others(self) -> tuple[NodeRecord, ...]:
        """Returns the other nodes that are up."""
        return tuple(node for node in self.registry.state.up_nodes() if node.node != self._own.now.node)

    @property
    def worker(self) -> str:
        """The number of this process among the workers of its parent; empty without one."""
        me = self._own.now
        return me.node.rpartition(".")[2] if me.machine else ""

    def siblings(self) -> tuple[NodeRecord, ...]:
        """Returns the other workers of this one's parent."""
        return tuple(node for node in self.others() if node.machine and node.machine == self._own.now.machine)

    def is_sibling(self, peer: NodeIdentity) -> bool:
        """Whether the node at the other end of a link is another worker of this one's parent."""
        known = self.registry.state.peer(peer.node)
        return (
            known is not None
            and known.record.boot == peer.boot
            and bool(known.record.machine)
            and known.record.machine == self._own.now.machine
        )

    def on_ping(self, question: Ping) -> Pong:
        """Answers a ping with the boot of this process."""
        return Pong(self._own.now.boot)

    def is_asked_for_link(self, request: Request) -> bool:
        """Whether a request asks for a link, as only nodes do."""
        return asks_for_link(request)

    def serve(
        self,
        sock: "socket.socket | TlsStream",
        request: Request,
        rest: bytes,
        caller: str,
        on_proof: Callable[[], None],
    ) -> None:
        """Serves a link that another node asks for, until it ends. `on_proof` is called after the handshake. Raises
        Refused for a caller without a valid proof, OSError. May switch.
        """
        link: Link | None = None
        try:
            link = self._connector.accept(sock, request, rest)
            on_proof()
            self._links[link] = None
            try:
                self._serve(link)
            finally:
                self._links.pop(link, None)
                link.close()  # what the server may say to a connection that ends would not be from this link
        except Malformed as error:
            if link is not None:
                self._connector.checks.blame(link.peer, error)
        except LinkError as error:  # the connection no longer speaks HTTP: there is no answer to send
            log.info("! %s: a link ends: %s", caller, error)

    def _serve(self, link: Link) -> None:
        first = link.read(FIRST_FRAME_S)
        if first is not None and first[0] is Kind.PULL:
            self._mirror_server.serve(link, Pull.read(first[1]), link.peer.node)
        elif first is not None:
            self._rpc_server.serve(link, first)

    def _announce_load(self) -> None:
        while True:
            sleep_until_tick(LOAD_S)
            now, before = self._with_load(), self._own.now
            step = max(before.slots * LOAD_STEP // 100, 1)
            # A limit for all nodes together needs the numbers of all nodes.
            is_counted = self._settings.now.limits.max_listeners >= 0 and now.listeners != before.listeners
            if is_counted or abs(now.used - before.used) >= step or abs(now.weight - before.weight) > LOAD_STEP:
                self._update(now)

    def _with_load(self) -> NodeRecord:
        load = self._load()
        return replace(self._own.now, slots=load.slots, used=load.used, listeners=load.listeners, weight=load.weight)

    def _update(self, me: NodeRecord) -> None:
        self._own.now = me
        if me.node:
            self.registry.update(me)


def own_host(config: Config) -> str:
    """Returns the address at which others reach this host, if the configuration has none."""
    bound = config.listen[0].bind_address
    if bound not in ("0.0.0.0", "::"):
        return bound
    for peer in (*config.cluster.peers, "192.0.2.1:9"):
        host, port = split_address(peer)
        # Nothing is sent: the kernel only chooses the local address.
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((host, port))
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return "127.0.0.1"


def answers(rpc_client: RpcClient, node: NodeRecord) -> bool:
    """Whether the process in this record answers, not another one at its address. May switch, for `PROBE_S` at most."""
    try:
        return rpc_client.call(node.address, Ping(), PROBE_S).boot == node.boot
    except NoAnswer:
        return False
