"""The node's books as frozen values, for pages, statistics and metrics."""

import time
from typing import TYPE_CHECKING

from pycast.cluster.cluster import Cluster
from pycast.cluster.ownership import Ownership
from pycast.cluster.registry.cluster_state import Peer
from pycast.stats.counters import Counters
from pycast.stats.snapshot import ClusterSnapshot, ListenerSnapshot, MemberSnapshot, MountSnapshot, NodeSnapshot
from pycast.stream.mount import Mount, MountState

if TYPE_CHECKING:
    from pycast.server.service import Service


def snapshot_node(service: "Service") -> NodeSnapshot:
    """The node as it is now."""
    config, counters = service.config, service.counters
    mounts = sorted(service.mounts, key=lambda mount: mount.name.encode())
    counted = (*mounts, *service.mounts.ending)
    return NodeSnapshot(
        admin=config.server.admin,
        host=config.server.hostname,
        location=config.server.location,
        server_id=config.server.server_id,
        listen_url=service.listen_url,
        server_start=service.started,
        taken=time.time(),
        clients=service.admission.open,
        connections=counters.connections,
        client_connections=counters.client_connections,
        listeners=sum(len(mount.fanout) for mount in counted),
        listener_connections=counters.listener_connections,
        file_connections=counters.file_connections,
        sources=service.mounts.sources,
        source_client_connections=counters.source_client_connections,
        slow_listeners=counters.slow_listeners,
        refused_connections=counters.refused_connections,
        bytes_read=counters.bytes_read + sum(mount.bytes_read for mount in counted),
        bytes_sent=total_bytes_sent(service),
        is_ready=service.is_ready,
        is_draining=service.drain.is_draining,
        clients_limit=service.admission.limit,
        headroom_percent=service.vitals.percent,
        loop_lag_s=service.vitals.lag.seconds,
        open_files=service.vitals.open_files,
        open_files_limit=service.admission.open_files,
        egress_bps=service.vitals.egress_bps,
        fanout_lag_s=max((mount.fanout.round_s for mount in mounts), default=0.0),
        bad_requests=counters.bad_requests,
        cluster=snapshot_cluster(service.cluster, service.ownership) if service.cluster else None,
        mounts=tuple(
            snapshot_mount(mount, is_mirror=service.mounts.is_mirror(mount.name))
            for mount in mounts
            if mount.description
        ),
    )


def snapshot_cluster(cluster: Cluster, ownership: Ownership) -> ClusterSnapshot:
    """The cluster as this node sees it."""
    state, mirrors, sources = cluster.registry.state, cluster.mirrors, ownership.counters
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
        mirror_bytes=mirrors.counters.bytes,
        mirror_connections=mirrors.counters.connections,
        mirror_gap_bytes=mirrors.counters.gap_bytes,
        refused_epochs=mirrors.counters.refused_epochs,
        claims_won=sources.won,
        claims_held=sources.held,
        claims_provisional=sources.provisional,
        stepdowns=sources.stepped_down,
        standbys=ownership.standbys,
    )


def _member(peer: Peer, origins: list[str]) -> MemberSnapshot:
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


def total_bytes_sent(service: "Service") -> int:
    """All that was ever sent to anybody."""
    counters: Counters = service.counters
    counted: tuple[Mount, ...] = (*service.mounts, *service.mounts.ending)
    return counters.bytes_sent + sum(mount.fanout.bytes_sent for mount in counted)


def snapshot_mount(mount: Mount, *, is_mirror: bool = False) -> MountSnapshot:
    """One mount as it is now."""
    feed, settings, title = mount.description, mount.settings, mount.timeline.title
    assert feed is not None
    info = feed.info
    is_ogg = mount.family == "ogg"
    stats = dict(mount.all_stats())
    subtype = stats.pop("subtype", "")
    return MountSnapshot(
        name=mount.name,
        is_live=mount.state is MountState.LIVE,
        hidden=settings.hidden,
        public=info.is_public if settings.public is None else settings.public,
        content_type=mount.listener_content_type,
        subtype=subtype,
        listeners=len(mount.fanout),
        listener_peak=mount.listener_peak,
        listener_connections=mount.listener_connections,
        slow_listeners=mount.slow_listeners,
        max_listeners=settings.max_listeners,
        artist=title.artist if title and is_ogg else "",
        title=(title.title if is_ogg else title.text) if title else "",
        server_name=settings.stream_name or info.name,
        server_description=settings.stream_description or info.description,
        server_url=settings.stream_url or info.url,
        genre=settings.genre or info.genre,
        bitrate=settings.bitrate or info.bitrate or (str(round(mount.bitrate / 1000)) if mount.bitrate else ""),
        audio_info=info.audio_info,
        stats=stats,
        stream_start=feed.started,
        source_ip=feed.ip,
        user_agent=info.user_agent,
        connected_s=int(time.time() - feed.started),
        total_bytes_read=mount.bytes_read,
        total_bytes_sent=mount.fanout.bytes_sent,
        sources=mount.sources,
        is_mirror=is_mirror,
        fallback=settings.fallback_mount,
    )


def snapshot_listeners(mount: Mount) -> list[ListenerSnapshot]:
    """The mount's listeners as they are now."""
    now = time.monotonic()
    return [
        ListenerSnapshot(
            id=listener.id,
            ip=listener.identity.ip,
            user_agent=listener.identity.user_agent,
            connected_s=int(now - listener.joined),
            bytes_sent=mount.fanout.sent_to(listener),
            lag=mount.ring.head - mount.fanout.position_of(listener),
        )
        for listener in mount.fanout
    ]
