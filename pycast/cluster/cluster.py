"""This node's part in its cluster, put together: links, registry, mirrors, feeds.

`server` makes one of these if the configuration has a cluster, gives it the links that come in, and asks it for mounts
that are not here. What happens to sources is `ownership.py`'s, which gets what it needs as `membership`.
"""

import logging
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from zlib import crc32

from gevent import socket

from pycast import __version__
from pycast.cluster.link.frames import Kind, LinkError
from pycast.cluster.link.link import Connector, Link, join_address, split_address
from pycast.cluster.link.rpc import NoAnswer, RpcClient, RpcServer
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.messages import Pull
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.registry.records import NodeRecord, NodeState
from pycast.cluster.registry.registry import DuplicateNode, Registry
from pycast.config.schema import ClusterSection, Config
from pycast.errors import ConfigError
from pycast.http.request import Request
from pycast.net.group import Group
from pycast.net.ticks import sleep_until_tick
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer

log = logging.getLogger(__name__)

# What a caller has to say first, after its proof.
FIRST_FRAME_S = 5.0

# A direct look whether a node is there, where the registry says that it is not.
PROBE_S = 0.5

# The others are told this node's load this often, and only if it has moved by more than so many per cent.
LOAD_S = 2.0
LOAD_STEP = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What the others are told of this node's load."""

    slots: int
    used: int
    listeners: int
    weight: int


class Cluster:
    """Made once, started when the node listens."""

    def __init__(
        self,
        config: Callable[[], Config],
        mounts: Mounts,
        lineages: Lineages,
        pacer: Pacer,
        group: Group,
        clock: Callable[[], float],
        load: Callable[[], Load],
    ) -> None:
        self._config = config
        self._group = group
        self._load = load
        self._links: dict[Link, None] = {}
        self._me = NodeRecord("", secrets.token_hex(8), "")
        settings = config().cluster
        connector = Connector(lambda: config().cluster)
        self.answers = RpcServer(group)
        self.peers = RpcClient(connector, group)
        self.registry = self._registry(settings, clock)
        self.feeds = MirrorServer(lineages, pacer, self._find)
        self.mirrors = Mirrors(
            lambda: self._me,
            lambda: config().cluster,
            connector,
            self.peers,
            mounts,
            lineages,
            self.registry.state,
            self.feeds.children,
            group,
            clock,
        )
        self._connector = connector
        self.answers.handlers["mirror.tail"] = self.mirrors.tail
        self.answers.handlers["node.ping"] = lambda message: {"boot": self._me.boot}
        self.membership = OwnerClient(lambda: self._me, self.registry, self.peers, self.mirrors, group)
        self.answers.handlers["source.announce"] = self.membership.on_announcement

    @property
    def me(self) -> NodeRecord:
        """This node's record."""
        return self._me

    @property
    def settings(self) -> ClusterSection:
        """As the configuration has them now."""
        return self._config().cluster

    @property
    def number(self) -> int:
        """Of 20 bits, with which this node's listeners are numbered: Icecast's readers take a listener's id for a
        number, and that of a cluster's has to be unique.
        """
        return crc32(self._me.node.encode()) & 0xFFFFF

    def start(self, port: int, machine: str = "") -> None:
        """Joins the cluster; `port` is the first listening port as bound, `machine` what the workers of one parent have
        in common. Raises ConfigError if another node has this one's name. May switch.
        """
        settings = self._config().cluster
        address = settings.advertise or join_address(own_host(self._config()), port)
        node = settings.node or address
        self._me = replace(
            self._me, node=node, address=address, zone=settings.zone, version=__version__, machine=machine
        )
        self._me = self._with_load()
        try:
            self.registry.start(self._me)
        except DuplicateNode as error:
            raise ConfigError([f"cluster.node = {node!r}: {error}: give each node a name of its own"]) from error
        self.mirrors.start()
        self._group.spawn_forever("load for the cluster", self._tell_load)
        log.info(
            "= cluster %s: node %s at %s%s",
            settings.name,
            node,
            address,
            f", zone {self._me.zone}" * bool(self._me.zone),
        )

    def set_draining(self, is_draining: bool) -> None:
        """The others put nothing new on a node that drains."""
        self._update(replace(self._me, state=NodeState.DRAINING if is_draining else NodeState.UP))

    def stop(self) -> None:
        """Leaves the cluster. Children lose their lines first, so that no mount of theirs ends. May switch."""
        if not self._me.node:
            return
        for link in list(self._links):
            link.close()
        self.registry.stop()
        self.peers.stop()

    def others(self) -> tuple[NodeRecord, ...]:
        """The other nodes that are up."""
        return tuple(node for node in self.registry.state.up_nodes() if node.node != self._me.node)

    def siblings(self) -> tuple[NodeRecord, ...]:
        """The other workers of this one's parent."""
        return tuple(node for node in self.others() if node.machine and node.machine == self._me.machine)

    def has_source(self, name: str) -> bool:
        """Whether a node that answers has a source for the mount."""
        origin = self.registry.state.origin(name)
        return origin is not None and origin.is_live and self.registry.state.is_up(origin.node)

    def find(self, name: str) -> Mount | None:
        """A mount that another node has, copied from now on. None if no node has it. May switch."""
        return self.mirrors.open(name) if self._me.node else None

    def serve(
        self, sock: socket.socket, request: Request, rest: bytes, caller: str, on_proof: Callable[[], None]
    ) -> None:
        """Serves a link that another node asks for, until it ends. Raises OSError. May switch."""
        try:
            link = self._connector.accept(sock, request, rest)
            on_proof()
            self._links[link] = None
            try:
                self._serve(link, caller)
            finally:
                self._links.pop(link, None)
        except LinkError as error:  # there is no HTTP any more on this line: nothing can be answered
            log.info("! %s: a link ends: %s", caller, error)

    def _serve(self, link: Link, caller: str) -> None:
        first = link.read(FIRST_FRAME_S)
        if first is not None and first[0] is Kind.PULL:
            self.feeds.serve(link, Pull.read(first[1]), caller)
        elif first is not None:
            self.answers.serve(link, first)

    def _registry(self, settings: ClusterSection, clock: Callable[[], float]) -> Registry:
        if settings.registry == "etcd":
            from pycast.cluster.etcd.etcd_registry import (
                EtcdRegistry,  # an HTTP client comes with it: only for who needs it
            )

            return EtcdRegistry(settings, self._group, self._answers, clock, random.Random())
        return MeshRegistry(settings, self.peers, self.answers, self._group, clock)

    def _answers(self, node: NodeRecord) -> bool:
        """Whether the very process that `node` tells of answers."""
        try:
            return self.peers.call(node.address, "node.ping", {}, PROBE_S).get("boot") == node.boot
        except NoAnswer:
            return False

    def _find(self, name: str, depth: int) -> Mount | None:
        return self.mirrors.open(name, depth + 1)

    def _tell_load(self) -> None:
        while True:
            sleep_until_tick(LOAD_S)
            now, before = self._with_load(), self._me
            step = max(before.slots * LOAD_STEP // 100, 1)
            if abs(now.used - before.used) >= step or abs(now.weight - before.weight) > LOAD_STEP:
                self._update(now)

    def _with_load(self) -> NodeRecord:
        load = self._load()
        return replace(self._me, slots=load.slots, used=load.used, listeners=load.listeners, weight=load.weight)

    def _update(self, me: NodeRecord) -> None:
        self._me = me
        if me.node:
            self.registry.update(me)


def own_host(config: Config) -> str:
    """The address at which others reach this host, where the configuration does not say."""
    bound = config.listen[0].bind_address
    if bound not in ("0.0.0.0", "::"):
        return bound
    for peer in (*config.cluster.peers, "192.0.2.1:9"):
        host, port = split_address(peer)
        # Nothing is sent: the kernel only says which of its addresses it would use.
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((host, port))
                return str(probe.getsockname()[0])
            except OSError:
                continue
    return "127.0.0.1"
