"""The node's statistics as frozen values, for pages, Icecast's XML, JSON and metrics.

The classes of the values are imported when the first of them is made: the start of a node does without.
"""

import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from pycast.balance.admission import Admission
from pycast.balance.drain import Drain
from pycast.balance.load_monitor import LoadMonitor
from pycast.balance.readiness import Readiness
from pycast.cluster.ownership import Ownership
from pycast.config.live import Live
from pycast.config.mount_settings import MountSettings
from pycast.control.mount_finder import MountFinder
from pycast.control.on_demand import OnDemand
from pycast.control.own_address import OwnAddress
from pycast.control.title_history import TitleHistory
from pycast.logs.files import LOG_WRITERS
from pycast.net.group import greenlets
from pycast.net.turns import in_turns
from pycast.stats.counters import Counters
from pycast.stream.dump import DUMP_WRITERS
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts, marks_dropped

if TYPE_CHECKING:
    from pycast.cluster.member import ClusterMember
    from pycast.cluster.registry.cluster_state import Peer
    from pycast.stats.snapshot import (
        ClusterSnapshot,
        ListenerSnapshot,
        MemberSnapshot,
        MountSnapshot,
        NodeSnapshot,
        PlayedTitle,
    )


class NodeSnapshots:
    """The source of the node's snapshots."""

    def __init__(
        self,
        settings: Live,
        address: OwnAddress,
        counters: Counters,
        mounts: Mounts,
        admission: Admission,
        load_monitor: LoadMonitor,
        drain: Drain,
        readiness: Readiness,
        ownership: Ownership,
        cluster: "ClusterMember | None",
        on_demand: OnDemand,
        history: TitleHistory,
        finder: MountFinder,
    ) -> None:
        self._settings = settings
        self._address = address
        self._counters = counters
        self._mounts = mounts
        self._admission = admission
        self._load_monitor = load_monitor
        self._drain = drain
        self._readiness = readiness
        self._ownership = ownership
        self._cluster = cluster
        self._on_demand = on_demand
        self._history = history
        self._finder = finder
        self._started = time.time()

    def take(self) -> "NodeSnapshot":
        """Returns the node's current state. May switch: a node may have thousands of mounts."""
        from pycast.stats.snapshot import NodeSnapshot

        server, counters = self._settings.now.server, self._counters
        mounts = sorted(self._mounts, key=lambda mount: mount.name.encode())
        counted = (*mounts, *self._mounts.ending)
        return NodeSnapshot(
            admin=server.admin,
            host=server.hostname,
            location=server.location,
            server_id=server.server_id,
            listen_url=self._address.url,
            server_start=self._started,
            taken=time.time(),
            clients=self._admission.open,
            listeners=sum(len(mount.fanout) for mount in counted),
            sources=self._mounts.sources,
            counters=replace(
                counters,
                bytes_read=counters.bytes_read + sum(mount.bytes_read for mount in counted),
                bytes_dropped=counters.bytes_dropped + sum(mount.bytes_dropped for mount in counted),
                marks_dropped=counters.marks_dropped + sum(marks_dropped(mount) for mount in counted),
                bytes_sent=total_bytes_sent(counters, self._mounts),
                log_lines_lost=LOG_WRITERS.lost,
                dump_bytes_lost=DUMP_WRITERS.lost,
            ),
            is_ready=self._readiness.is_ready,
            is_draining=self._drain.is_draining,
            clients_limit=self._admission.limit,
            headroom_percent=self._load_monitor.percent,
            loop_lag_s=self._load_monitor.lag.seconds,
            open_files=self._load_monitor.open_files,
            open_files_limit=self._admission.open_files,
            greenlets=greenlets(),
            egress_bps=self._load_monitor.egress_bps,
            fanout_lag_s=max((mount.fanout.round_s for mount in mounts), default=0.0),
            cluster=snapshot_cluster(self._cluster, self._ownership) if self._cluster else None,
            pid=os.getpid(),
            worker=self._cluster.worker if self._cluster else "",
            mounts=self._mount_snapshots(mounts),
        )

    def _mount_snapshots(self, mounts: "list[Mount]") -> "tuple[MountSnapshot, ...]":
        found = [
            snapshot_mount(
                mount,
                is_mirror=self._mounts.is_mirror(mount.name),
                is_opening=self._mounts.is_opening(mount.name),
                on_demand=mount.name in self._on_demand,
                history=self._history.of(mount.name),
                has_directories=bool(self._settings.now.directory),
                fallback=self._finder.first_fallback(mount.name),
            )
            for mount in in_turns(mounts)
        ]
        idle = [name for name in self._on_demand if self._mounts.get(name) is None]
        if idle:
            found += [snapshot_idle(self._settings.now.for_mount(name)) for name in idle]
            found.sort(key=lambda mount: mount.name.encode())
        return tuple(found)


def snapshot_cluster(cluster: "ClusterMember", ownership: Ownership) -> "ClusterSnapshot":
    """Returns the cluster as this node sees it."""
    from pycast.stats.snapshot import ClusterSnapshot

    state, mirrors = cluster.registry.state, cluster.mirrors
    origins = state.origins
    return ClusterSnapshot(
        name=cluster.settings.name,
        node=cluster.me.node,
        registry=cluster.settings.registry,
        is_registry_up=cluster.registry.is_reachable,
        members=tuple(_member(peer, [one.mount for one in state.origins_of(peer.record.node)]) for peer in state.peers),
        origins=len(origins),
        waiting=sum(1 for one in origins if not one.is_live or not state.is_up(one.node)),
        mirrors=len(mirrors),
        mirror_counters=replace(mirrors.counters),
        ownership_counters=replace(ownership.counters),
        link_counters=replace(cluster.link_counters),
        standbys=ownership.standbys,
    )


def _member(peer: "Peer", origins: list[str]) -> "MemberSnapshot":
    from pycast.stats.snapshot import MemberSnapshot

    node = peer.record
    return MemberSnapshot(
        node=node.node,
        address=node.address,
        zone=node.zone,
        status=peer.status.value,
        state=node.state.value,
        listeners=node.listeners,
        used=node.used,
        slots=node.slots,
        weight=node.weight,
        version=node.version,
        origins=tuple(origins),
    )


def total_bytes_sent(counters: Counters, mounts: Mounts) -> int:
    """Returns the bytes sent to all clients since the start."""
    counted: tuple[Mount, ...] = (*mounts, *mounts.ending)
    return counters.bytes_sent + sum(mount.fanout.bytes_sent for mount in counted)


def snapshot_mount(
    mount: Mount,
    *,
    is_mirror: bool = False,
    is_opening: bool = False,
    on_demand: bool = False,
    history: "tuple[PlayedTitle, ...]" = (),
    has_directories: bool = False,
    fallback: str | None = None,
) -> "MountSnapshot":
    """Returns the current state of a mount. `fallback` is that in force, if it is not the configured one."""
    from pycast.stats.snapshot import MountSnapshot

    source, settings, title = mount.description, mount.settings, mount.timeline.title
    info = source.info
    # A player ends the title of a block there, and so do Icecast's statistics.
    shown = title.title if title else ""
    if mount.family == "generic":
        shown = shown.partition("';")[0]
    # Vorbis says itself what it is meant to have. What was measured is less in quiet minutes, in which it may be that a
    # directory is told.
    measured = str(round(mount.bitrate / 1000)) if mount.bitrate else ""
    stats, is_public = dict(mount.all_stats()), info.is_public if settings.public is None else settings.public
    subtype = stats.pop("subtype", "")
    return MountSnapshot(
        name=mount.name,
        is_live=is_opening or mount.state is MountState.LIVE,
        hidden=settings.hidden,
        public=is_public,
        content_type=settings.type or mount.listener_content_type,
        subtype=settings.subtype or subtype,
        listeners=len(mount.fanout),
        listener_peak=mount.listener_peak,
        listener_connections=mount.listener_connections,
        slow_listeners=mount.slow_listeners,
        max_listeners=settings.max_listeners,
        artist=title.artist if title else "",
        title=shown,
        server_name=settings.stream_name or info.name,
        server_description=settings.stream_description or info.description,
        server_url=settings.stream_url or info.url,
        genre=settings.genre or info.genre,
        bitrate=settings.bitrate or info.declared_bitrate or stats.get("ice-bitrate") or measured,
        audio_info=info.audio_info,
        stats=stats,
        stream_start=source.started,
        source_ip=source.ip,
        user_agent=info.user_agent,
        connected_s=int(mount.source_age_s()),
        total_bytes_read=mount.bytes_read - mount.read_before,
        total_bytes_sent=mount.fanout.bytes_sent - mount.sent_before,
        sources=mount.sources,
        is_mirror=is_mirror,
        on_demand=on_demand,
        fallback=settings.fallback_mount if fallback is None else fallback,
        listen_url=settings.listenurl,
        authenticator=_authenticator(settings),
        history=history,
        is_listed=is_public and has_directories,
    )


def snapshot_idle(settings: MountSettings) -> "MountSnapshot":
    """Returns the state of a relay on demand to which nobody listens: there is no mount yet."""
    from pycast.stats.snapshot import MountSnapshot

    return MountSnapshot(
        name=settings.mount_name,
        is_live=False,
        hidden=settings.hidden,
        public=bool(settings.public),
        content_type="",
        subtype="",
        listeners=0,
        listener_peak=0,
        listener_connections=0,
        slow_listeners=0,
        max_listeners=settings.max_listeners,
        artist="",
        title="",
        server_name=settings.stream_name,
        server_description=settings.stream_description,
        server_url=settings.stream_url,
        genre=settings.genre,
        bitrate=settings.bitrate,
        audio_info="",
        sources=0,
        on_demand=True,
        fallback=settings.fallback_mount,
        listen_url=settings.listenurl,
        authenticator=_authenticator(settings),
    )


def _authenticator(settings: MountSettings) -> str:
    return settings.authentication.type if settings.authentication.asks_listeners else ""


def snapshot_listeners(mount: Mount) -> "list[ListenerSnapshot]":
    """Returns the current state of a mount's listeners."""
    from pycast.stats.snapshot import ListenerSnapshot

    now = time.monotonic()
    return [
        ListenerSnapshot(
            id=listener.id,
            ip=listener.identity.ip,
            user_agent=listener.identity.user_agent,
            connected_s=int(now - listener.joined),
            bytes_sent=mount.fanout.sent_to(listener),
            lag=mount.ring.head - mount.fanout.position_of(listener),
            user=listener.identity.user,
        )
        for listener in mount.fanout
    ]
