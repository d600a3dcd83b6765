"""Several nodes' snapshots as one: what a cluster looks like to somebody who sees one server.

Counts are added up. What a mount is and who its source is comes from the node that has the source; the others add their
listeners. A peak is the sum of the nodes' peaks, which may have been at different times: it is never too low.
"""

from collections.abc import Sequence
from dataclasses import replace

from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot, MountSnapshot, NodeSnapshot

_NODE_SUMS = (
    "clients",
    "connections",
    "client_connections",
    "listeners",
    "listener_connections",
    "file_connections",
    "sources",
    "source_client_connections",
    "slow_listeners",
    "refused_connections",
    "bytes_read",
    "bytes_sent",
    "bad_requests",
)
_MOUNT_SUMS = ("listeners", "listener_peak", "listener_connections", "slow_listeners", "total_bytes_sent")


def merge(own: NodeSnapshot, others: Sequence[NodeSnapshot]) -> NodeSnapshot:
    """The cluster; everything that is about one node alone is `own`'s."""
    nodes = (own, *others)
    sums = {name: sum(getattr(node, name) for node in nodes) for name in _NODE_SUMS}
    by_name: dict[str, list[MountSnapshot]] = {}
    for node in nodes:
        for mount in node.mounts:
            by_name.setdefault(mount.name, []).append(mount)
    mounts = tuple(_merge_mount(by_name[name]) for name in sorted(by_name, key=str.encode))
    return replace(
        own,
        **sums,
        server_start=min(node.server_start for node in nodes),
        fanout_lag_s=max(node.fanout_lag_s for node in nodes),
        mounts=mounts,
        cluster=_with_loads(own.cluster, nodes) if own.cluster else None,
    )


def _with_loads(cluster: ClusterSnapshot, nodes: Sequence[NodeSnapshot]) -> ClusterSnapshot:
    """The cluster with its members' loads as they say now: what is told unasked is coarse."""
    by_name = {node.cluster.node: node for node in nodes if node.cluster}
    members = (_with_load(one, by_name[one.node]) if one.node in by_name else one for one in cluster.members)
    return replace(cluster, members=tuple(members))


def _with_load(member: MemberSnapshot, node: NodeSnapshot) -> MemberSnapshot:
    return replace(
        member,
        listeners=node.listeners,
        used=node.clients,
        slots=node.clients_limit,
        weight=node.headroom_percent,
    )


def _merge_mount(mounts: list[MountSnapshot]) -> MountSnapshot:
    """One mount as several nodes have it."""
    at_source = next((mount for mount in mounts if not mount.is_mirror), mounts[0])
    sums = {name: sum(getattr(mount, name) for mount in mounts) for name in _MOUNT_SUMS}
    return replace(at_source, **sums)
