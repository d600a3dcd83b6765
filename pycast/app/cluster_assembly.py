"""The wiring plan of the parts that a node has only in a cluster: makes them, and subscribes parts to their events.

Only this file and `assembly.py`, whose `assemble` calls it, make parts and subscribe them. A node alone does not load
this file or what it imports. A constructor has no effect on another part; only the code of these two files has.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from pycast.auth.guests import Guests
from pycast.balance.admission import Admission
from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState
from pycast.balance.load_monitor import LoadMonitor
from pycast.balance.worker_drain import WorkerDrain
from pycast.cluster.claim import MountClaims
from pycast.cluster.link import questions
from pycast.cluster.link.admin_answers import Done, LogAnswer, LogLine
from pycast.cluster.link.link import Connector
from pycast.cluster.link.peer_checks import PeerChecks
from pycast.cluster.link.rpc import RpcClient, RpcServer
from pycast.cluster.member import AnnouncedLoad, ClusterMember, answers
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.owner_server import OwnerServer
from pycast.cluster.ownership import Ownership
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.registry import Registry
from pycast.cluster.registry.state_file import StateFile
from pycast.config.live import Live
from pycast.control.cluster_control import ClusterControl
from pycast.control.fallbacks import Fallbacks
from pycast.control.node_control import NodeControl
from pycast.logs.files import RecentLine
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer


@dataclass(frozen=True, slots=True)
class ClusterParts:
    """The parts that only a node of a cluster has. The methods make and subscribe those that also need other parts."""

    own: OwnRecord
    state: ClusterState
    registry: Registry
    connector: Connector
    rpc_client: RpcClient
    rpc_server: RpcServer
    children: Children
    mirrors: Mirrors
    mirror_server: MirrorServer
    owner_client: OwnerClient

    def member(
        self, settings: Live, admission: Admission, mounts: Mounts, load_monitor: LoadMonitor, group: Group
    ) -> ClusterMember:
        """Makes this node's member of the cluster."""

        def load() -> AnnouncedLoad:
            listeners = sum(len(mount.fanout) for mount in mounts)
            return AnnouncedLoad(admission.limit, admission.open, listeners, load_monitor.percent)

        return ClusterMember(
            settings,
            self.own,
            self.registry,
            self.connector,
            self.rpc_client,
            self.rpc_server,
            self.mirrors,
            self.mirror_server,
            load,
            group,
        )

    def introduce(
        self,
        events: StreamEvents,
        cluster: ClusterMember,
        ownership: Ownership,
        fallbacks: Fallbacks,
        drain: Drain,
        local: NodeControl,
    ) -> tuple[WorkerDrain, ClusterControl]:
        """Makes the controls of all workers and all nodes, then registers subscribers and answers."""
        worker_drain, control = WorkerDrain(drain, cluster), ClusterControl(local, cluster)
        self._subscribe(events, cluster, ownership, fallbacks, drain)
        self._answer(cluster, ownership, worker_drain, control)
        return worker_drain, control

    def introduce_guests(self, guests: Guests) -> None:
        """Registers the answer to other nodes about the users that listen here."""

        def answer(question: questions.HasUser) -> Done:
            return Done(guests.has_user(question.mount, question.user))

        self.rpc_server.on(questions.HasUser, answer)

    def listens_elsewhere(self, cluster: ClusterMember) -> Callable[[str, str], bool]:
        """Returns the function that asks all other nodes whether a user listens to a mount there. It may switch."""

        def ask(mount: str, user: str) -> bool:
            others = [node.address for node in cluster.others()]
            found = self.rpc_client.call_all(others, questions.HasUser(mount, user))
            return any(answer.is_done for answer in found.values())

        return ask

    def recent_lines(
        self, cluster: ClusterMember, own: Callable[[str], list[RecentLine]]
    ) -> Callable[[str], list[RecentLine]]:
        """Returns the function that has the last lines of a log, of all workers of this server. It may switch."""

        def answer(question: questions.AskLog) -> LogAnswer:
            lines = (LogLine(at, line.decode("utf-8", "replace")) for at, line in own(question.log))
            return LogAnswer(tuple(lines))

        def ask(name: str) -> list[RecentLine]:
            siblings = [node.address for node in cluster.siblings()]
            answers = self.rpc_client.call_all(siblings, questions.AskLog(name)).values()
            found = ((line.at, line.text.encode("utf-8", "replace")) for answer in answers for line in answer.lines)
            return [*own(name), *found]

        self.rpc_server.on(questions.AskLog, answer, may=cluster.is_sibling)
        return ask

    def _subscribe(
        self, events: StreamEvents, cluster: ClusterMember, ownership: Ownership, fallbacks: Fallbacks, drain: Drain
    ) -> None:
        """Subscribes parts to the events of the cluster, after its registry (see `_registry`)."""
        events.new_audio.subscribe(self.children.on_new_audio)
        events.mount_closed.subscribe(self.children.on_mount_closed)
        events.source_started.subscribe(self.mirrors.on_source_started)
        drain.changed.subscribe(lambda event: cluster.set_draining(event.state is not DrainState.SERVING))
        self.state.node_changed.subscribe(self.mirrors.on_node_changed)
        self.state.origin_changed.subscribe(self.mirrors.on_origin_changed)
        self.state.origin_changed.subscribe(ownership.on_origin_changed)
        self.state.origin_changed.subscribe(fallbacks.on_origin_changed)
        self.mirrors.parent_lost.subscribe(ownership.on_parent_lost)

    def _answer(
        self, cluster: ClusterMember, ownership: Ownership, worker_drain: WorkerDrain, control: ClusterControl
    ) -> None:
        """Registers the part that answers each question of other nodes; `questions.py` says who asks, and when."""
        rpc_server, owner_server = self.rpc_server, OwnerServer(ownership)
        rpc_server.on(questions.IsAlive, owner_server.on_is_alive)
        rpc_server.on(questions.Yield, owner_server.on_yield)
        rpc_server.on(questions.Announce, self.owner_client.on_announcement)
        rpc_server.on(questions.AskTail, self.mirrors.tail)
        rpc_server.on(questions.Ping, cluster.on_ping)
        rpc_server.on(questions.DrainCommand, worker_drain.on_command, may=cluster.is_sibling)
        rpc_server.on(questions.AskSnapshot, control.answer_snapshot)
        rpc_server.on(questions.AskListeners, control.answer_listeners)
        rpc_server.on(questions.KillListener, control.answer_kill)
        rpc_server.on(questions.KillSource, control.answer_kill_source)
        rpc_server.on(questions.SetTitle, control.answer_title)
        rpc_server.on(questions.MoveListeners, control.answer_move)
        rpc_server.on(questions.SetFallback, control.answer_fallback)
        rpc_server.on(questions.AddSlave, control.answer_slave)
        rpc_server.on(questions.ResetStats, control.answer_reset)
        rpc_server.on(questions.AskEvents, control.answer_events)
        rpc_server.on(questions.AskRelays, control.answer_relays)
        rpc_server.on(questions.OrderRelay, control.answer_relay_order)
        if isinstance(self.registry, MeshRegistry):
            answer_mesh(rpc_server, self.registry)


def cluster_parts(settings: Live, mounts: Mounts, claims: MountClaims, pacer: Pacer, group: Group) -> ClusterParts:
    """Makes the parts that need only the data path and the claims of the node."""
    own, state, lineages = OwnRecord(), ClusterState(), Lineages()
    checks = PeerChecks(state.check_epoch)
    state.origin_refused.subscribe(checks.on_origin_refused)
    connector = Connector(settings, own, checks)
    rpc_client, rpc_server = RpcClient(connector, group), RpcServer(group, checks)
    registry = _registry(settings, state, rpc_client, group)
    children = Children()
    mirrors = Mirrors(
        settings,
        own,
        connector,
        rpc_client,
        mounts,
        lineages,
        state,
        children,
        claims.has_standby,
        group,
        time.monotonic,
    )
    owner_client = OwnerClient(own, registry, rpc_client, mirrors, lineages, group)
    mirror_server = MirrorServer(lineages, pacer, mirrors, children)
    return ClusterParts(
        own, state, registry, connector, rpc_client, rpc_server, children, mirrors, mirror_server, owner_client
    )


def _registry(settings: Live, state: ClusterState, rpc_client: RpcClient, group: Group) -> Registry:
    """Makes the registry that the configuration names, and subscribes it before any other part."""
    section = settings.now.cluster
    state_file = StateFile(section.state_file, state, group)
    if section.registry == "etcd":
        # Imported only if needed: it brings an HTTP client.
        from pycast.cluster.etcd.etcd_registry import EtcdRegistry

        etcd = EtcdRegistry(
            section,
            state,
            state_file,
            group,
            lambda node: answers(rpc_client, node),
            time.monotonic,
            random.Random(),
        )
        state.origin_changed.subscribe(etcd.on_origin_changed)
        state.node_changed.subscribe(state_file.on_changed)
        state.origin_changed.subscribe(state_file.on_changed)
        return etcd
    mesh = MeshRegistry(section, state, rpc_client, state_file, group, time.monotonic)
    rpc_client.link_lost.subscribe(mesh.on_link_lost)
    state.node_changed.subscribe(mesh.on_node_changed)
    state.origin_changed.subscribe(mesh.on_origin_changed)
    state.node_changed.subscribe(state_file.on_changed)
    state.origin_changed.subscribe(state_file.on_changed)
    return mesh


def answer_mesh(rpc_server: RpcServer, mesh: MeshRegistry) -> None:
    """Registers the answers to the questions of a mesh."""
    # In its order: the goodbye of a node that stops may come right after its hello.
    rpc_server.on(questions.Hello, mesh.on_hello, is_in_order=True)
    rpc_server.on(questions.HelloAgain, mesh.on_again)
    rpc_server.on(questions.Beat, mesh.on_beat)
    rpc_server.on(questions.NodeNews, mesh.on_node)
    rpc_server.on(questions.OriginNews, mesh.on_origin)
    rpc_server.on(questions.OriginGone, mesh.on_gone)
    rpc_server.on(questions.Goodbye, mesh.on_bye)
    rpc_server.on(questions.Proposal, mesh.on_proposal)
