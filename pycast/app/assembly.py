"""The wiring plan of a node: every part is made here, top to bottom, and only here one part is told of another's news.

A part gets what it uses as arguments, and its constructor has no effect on any other. Read `assemble` as a list: what
the node is made of, then who hears what. `node.py` starts, reloads and stops what comes out of it.
"""

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from pycast.app.source_hooks import SourceHooks
from pycast.balance.admission import Admission
from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState
from pycast.balance.load_monitor import LoadMonitor
from pycast.balance.readiness import Readiness
from pycast.balance.worker_drain import WorkerDrain
from pycast.cluster.claim import MountClaims
from pycast.cluster.link import questions
from pycast.cluster.link.link import Connector
from pycast.cluster.link.rpc import RpcClient, RpcServer
from pycast.cluster.member import AnnouncedLoad, ClusterMember, answers
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.mirror.children import Children
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.mirror.mirrors import Mirrors
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.owner_client import OwnerClient
from pycast.cluster.ownership import Ownership
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.own_record import OwnRecord
from pycast.cluster.registry.registry import Registry
from pycast.cluster.registry.state_file import StateFile
from pycast.config.live import Live
from pycast.config.schema import Config
from pycast.control.cluster_control import ClusterControl
from pycast.control.fallbacks import Fallbacks
from pycast.control.listener_moves import ListenerMoves
from pycast.control.mount_finder import MountFinder
from pycast.control.node_control import NodeControl
from pycast.control.node_snapshot import NodeSnapshots, total_bytes_sent
from pycast.control.own_address import OwnAddress
from pycast.logs.log_set import LogSet
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.server.context import ServerContext
from pycast.server.listener_end import HangupHandler, ListenerEnd, Watched
from pycast.server.reserve import Reserve
from pycast.stats.counters import Counters
from pycast.stream.events import MountEmptied, StreamEvents, TitleChanged
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.web.site import Site


@dataclass(frozen=True, slots=True)
class NodeParts:
    """What `node.py` starts, reloads and stops; and what connections get."""

    context: ServerContext
    programs: Group
    """The programs of `on_connect` and `on_disconnect`, which outlive their sources."""
    logs: LogSet
    load_monitor: LoadMonitor


@dataclass(frozen=True, slots=True)
class _ClusterParts:
    """A node's parts that only a cluster needs."""

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


def assemble(config: Config, open_files: int) -> NodeParts:
    """Makes a node, whose process may open so many files. Raises ExternalError if a log cannot be opened."""
    settings, group, programs = Live(config), Group(), Group()
    counters, events, logs = Counters(), StreamEvents(), LogSet(config.logging)

    # The data path.
    pacer = Pacer(config.limits.flush_interval, time.thread_time)
    mounts = Mounts(settings, pacer, group, events, time.monotonic)
    hangups: Hangups[Watched] = Hangups(HangupHandler(settings, mounts, group).on_hangup)

    # The cluster, if there is one, and who owns which mount.
    lineages, claims = Lineages(), MountClaims()
    parts = _cluster_parts(settings, mounts, lineages, claims, pacer, group) if config.is_clustered else None
    owner_client = parts.owner_client if parts else None
    ownership = Ownership(settings, mounts, lineages, claims, group, time.monotonic, owner_client)

    # How much the node can take.
    admission = Admission(config.limits.clients, open_files)
    load_monitor = _load_monitor(settings, admission, counters, mounts, parts)
    cluster = _cluster_member(settings, parts, admission, mounts, load_monitor, group) if parts else None

    # How it is emptied.
    drain = Drain(settings, mounts, lambda: _move_sources(ownership, cluster), group)
    readiness, worker_drain = Readiness(drain), WorkerDrain(drain, cluster)

    # What is asked and ordered.
    address = OwnAddress(settings)
    finder, moves = MountFinder(settings, mounts, parts.mirrors if parts else None), ListenerMoves(hangups)
    fallbacks = Fallbacks(settings, mounts, finder, moves, group)
    snapshots = NodeSnapshots(
        settings, address, counters, mounts, admission, load_monitor, drain, readiness, ownership, cluster
    )
    local = NodeControl(mounts, finder, moves, snapshots)
    cluster_control = ClusterControl(local, cluster) if cluster else None
    site = Site(settings, counters, address, readiness, finder, worker_drain, local, cluster_control or local)

    listener_end = ListenerEnd(hangups, admission, counters, logs)
    _subscribe(events, SourceHooks(programs), fallbacks, ownership, counters, logs, listener_end)
    if parts and cluster and cluster_control:
        _subscribe_cluster(events, parts, cluster, ownership, fallbacks, drain)
        _answer(parts, cluster, ownership, worker_drain, cluster_control)
    context = ServerContext(
        settings=settings,
        group=group,
        counters=counters,
        pacer=pacer,
        mounts=mounts,
        finder=finder,
        fallbacks=fallbacks,
        ownership=ownership,
        cluster=cluster,
        hangups=hangups,
        admission=admission,
        reserve=Reserve(counters),
        drain=drain,
        log_access=logs.log_access,
        next_listener_id=_listener_ids(parts.own if parts else None),
        site=site,
    )
    return NodeParts(context, programs, logs, load_monitor)


def _subscribe(
    events: StreamEvents,
    hooks: SourceHooks,
    fallbacks: Fallbacks,
    ownership: Ownership,
    counters: Counters,
    logs: LogSet,
    listener_end: ListenerEnd,
) -> None:
    """Who hears what of the data path."""
    events.source_started.subscribe(hooks.on_source_started)
    events.source_ended.subscribe(hooks.on_source_ended)
    events.mount_state_changed.subscribe(fallbacks.on_mount_state_changed)
    events.mount_closed.subscribe(ownership.on_mount_closed)
    events.mount_emptied.subscribe(lambda event: _keep_totals(counters, event))
    events.title_changed.subscribe(lambda event: _log_title(logs, event))
    events.listener_left.subscribe(listener_end.on_listener_left)


def _subscribe_cluster(
    events: StreamEvents,
    parts: _ClusterParts,
    cluster: ClusterMember,
    ownership: Ownership,
    fallbacks: Fallbacks,
    drain: Drain,
) -> None:
    """Who hears what of the cluster, after its registry (see `_registry`)."""
    events.new_audio.subscribe(parts.children.on_new_audio)
    drain.changed.subscribe(lambda event: cluster.set_draining(event.state is not DrainState.SERVING))
    parts.state.node_changed.subscribe(parts.mirrors.on_node_changed)
    parts.state.origin_changed.subscribe(parts.mirrors.on_origin_changed)
    parts.state.origin_changed.subscribe(ownership.on_origin_changed)
    parts.state.origin_changed.subscribe(fallbacks.on_origin_changed)
    parts.mirrors.parent_lost.subscribe(ownership.on_parent_lost)


def _answer(
    parts: _ClusterParts,
    cluster: ClusterMember,
    ownership: Ownership,
    worker_drain: WorkerDrain,
    control: ClusterControl,
) -> None:
    """Who answers which question of another node; `questions.py` says who asks, and when."""
    rpc_server = parts.rpc_server
    rpc_server.on(questions.IsAlive, ownership.is_alive)
    rpc_server.on(questions.Yield, ownership.yield_mount)
    rpc_server.on(questions.Announce, parts.owner_client.on_announcement)
    rpc_server.on(questions.AskTail, parts.mirrors.tail)
    rpc_server.on(questions.Ping, cluster.on_ping)
    rpc_server.on(questions.DrainCommand, worker_drain.on_command)
    rpc_server.on(questions.AskSnapshot, control.answer_snapshot)
    rpc_server.on(questions.AskListeners, control.answer_listeners)
    rpc_server.on(questions.KillListener, control.answer_kill)
    rpc_server.on(questions.KillSource, control.answer_kill_source)
    rpc_server.on(questions.SetTitle, control.answer_title)
    rpc_server.on(questions.MoveListeners, control.answer_move)
    if isinstance(parts.registry, MeshRegistry):
        answer_mesh(rpc_server, parts.registry)


def answer_mesh(rpc_server: RpcServer, mesh: MeshRegistry) -> None:
    """The questions of a mesh."""
    rpc_server.on(questions.Hello, mesh.on_hello)
    rpc_server.on(questions.HelloAgain, mesh.on_again)
    rpc_server.on(questions.Beat, mesh.on_beat)
    rpc_server.on(questions.NodeNews, mesh.on_node)
    rpc_server.on(questions.OriginNews, mesh.on_origin)
    rpc_server.on(questions.OriginGone, mesh.on_gone)
    rpc_server.on(questions.Goodbye, mesh.on_bye)
    rpc_server.on(questions.Proposal, mesh.on_proposal)


def _cluster_parts(
    settings: Live, mounts: Mounts, lineages: Lineages, claims: MountClaims, pacer: Pacer, group: Group
) -> _ClusterParts:
    own, state, connector = OwnRecord(), ClusterState(), Connector(settings)
    rpc_client, rpc_server = RpcClient(connector, group), RpcServer(group)
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
    owner_client = OwnerClient(own, registry, rpc_client, mirrors, group)
    mirror_server = MirrorServer(lineages, pacer, mirrors, children)
    return _ClusterParts(
        own, state, registry, connector, rpc_client, rpc_server, children, mirrors, mirror_server, owner_client
    )


def _registry(settings: Live, state: ClusterState, rpc_client: RpcClient, group: Group) -> Registry:
    """Makes the registry that the configuration names; it is the first to hear of changes."""
    section = settings.now.cluster
    state_file = StateFile(section.state_file, state, group)
    if section.registry == "etcd":
        # An HTTP client comes with it: only for who needs it.
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


def _cluster_member(
    settings: Live,
    parts: _ClusterParts,
    admission: Admission,
    mounts: Mounts,
    load_monitor: LoadMonitor,
    group: Group,
) -> ClusterMember:
    def load() -> AnnouncedLoad:
        listeners = sum(len(mount.fanout) for mount in mounts)
        return AnnouncedLoad(admission.limit, admission.open, listeners, load_monitor.percent)

    return ClusterMember(
        settings,
        parts.own,
        parts.registry,
        parts.connector,
        parts.rpc_client,
        parts.rpc_server,
        parts.mirrors,
        parts.mirror_server,
        load,
        group,
    )


def _move_sources(ownership: Ownership, cluster: ClusterMember | None) -> None:
    """Sends sources to other nodes, if there are any. A node alone keeps them: its listeners would hear nothing."""
    if cluster and cluster.others():
        ownership.disconnect_all()


def _load_monitor(
    settings: Live, admission: Admission, counters: Counters, mounts: Mounts, parts: _ClusterParts | None
) -> LoadMonitor:
    if parts is None:
        return LoadMonitor(settings, admission, lambda: total_bytes_sent(counters, mounts))

    def bytes_sent() -> int:
        admission.set_mirrors(len(parts.mirrors))  # asked once a second
        return total_bytes_sent(counters, mounts) + parts.children.bytes_sent

    return LoadMonitor(settings, admission, bytes_sent, lambda: parts.mirrors.health)


def _listener_ids(own: OwnRecord | None) -> Callable[[], int]:
    """Numbers for listeners, unique in the cluster while the node runs."""
    numbers = itertools.count(1)
    return lambda: (own.number << 32 if own else 0) + next(numbers)


def _keep_totals(counters: Counters, event: MountEmptied) -> None:
    # Totals never go back, also when the mount they were counted by is gone.
    counters.bytes_read += event.bytes_read
    counters.bytes_sent += event.bytes_sent


def _log_title(logs: LogSet, event: TitleChanged) -> None:
    if event.title.text:  # a new source that has not said yet what it plays is no entry
        logs.log_title(event.mount, event.listeners, event.title.text)
