"""Several nodes' snapshots as one: what a cluster looks like as one server.

Counts are added up. A mount's description and source come from the node that has the source; the others add their
listeners. A peak is the sum of the nodes' peaks, which may have been at different times: it is never too low.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pycast.stats.counters import Counters
from pycast.stats.metric import summed_fields
from pycast.stats.snapshot import ClusterSnapshot, MemberSnapshot, MountSnapshot, NodeSnapshot, PlayedTitle, RelayLine

HISTORY = 20
"""Titles of a mount that are kept: about an hour of songs."""

SAME_S = 30.0
"""How far apart two nodes hear the same title at most: the audio of a mirror's backlog, and clocks that differ a
little."""


def merge(own: NodeSnapshot, others: Sequence[NodeSnapshot]) -> NodeSnapshot:
    """Returns the snapshot of the cluster. What concerns one node alone is `own`'s."""
    nodes = (own, *others)
    by_name: dict[str, list[MountSnapshot]] = {}
    for node in nodes:
        for mount in node.mounts:
            by_name.setdefault(mount.name, []).append(mount)
    mounts = tuple(_merge_mount(by_name[name]) for name in sorted(by_name, key=str.encode))
    return replace(
        own,
        **_sums(nodes),
        counters=Counters(**_sums([node.counters for node in nodes])),
        server_start=min(node.server_start for node in nodes),
        fanout_lag_s=max(node.fanout_lag_s for node in nodes),
        mounts=mounts,
        cluster=_with_loads(own.cluster, nodes) if own.cluster else None,
    )


def _with_loads(cluster: ClusterSnapshot, nodes: Sequence[NodeSnapshot]) -> ClusterSnapshot:
    """Returns the cluster with its members' loads from their snapshots. What they announce by themselves is coarser."""
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
    """Returns one mount as a single snapshot of those that several nodes have."""
    # Of a relay that is fed on demand each node says that it is not live, but the one that feeds it.
    own = [mount for mount in mounts if not mount.is_mirror]
    at_source = next((mount for mount in own if mount.is_live), next(iter(own), mounts[0]))
    return replace(at_source, **_sums(mounts), history=merge_history([mount.history for mount in mounts]))


def merge_relays(nodes: Sequence[Sequence[RelayLine]]) -> list[RelayLine]:
    """Returns the relays of several nodes, each as the node has it that gets its stream, else as the first has it."""
    found: dict[str, RelayLine] = {}
    for relay in (relay for lines in nodes for relay in lines):
        known = found.get(relay.mount)
        if known is None or (relay.for_s and not known.for_s):
            found[relay.mount] = relay
    return [found[mount] for mount in sorted(found)]


def merge_history(histories: Sequence[tuple[PlayedTitle, ...]]) -> tuple[PlayedTitle, ...]:
    """Returns one mount's titles from what several nodes have heard, the newest first. A node hears a title a moment
    after another one; one that was away has not heard all, and hears the present one when it is back, or with the end
    of the one before.
    """
    heard = sorted(
        ((one, node) for node, history in enumerate(histories) for one in history), key=lambda pair: pair[0].at
    )
    titles: list[PlayedTitle] = []
    first_at = -1  # the node that has heard the last one first
    for one, node in heard:
        song = (one.artist, one.title)
        recent = sum(one.at - other.at < SAME_S for other in titles)
        known = titles[-(recent + (node != first_at) or 1) :]
        if all((other.artist, other.title) != song for other in known):
            titles.append(one)
            first_at = node
    return tuple(reversed(titles[-HISTORY:]))


def _sums(parts: Sequence[Any]) -> dict[str, Any]:
    """Returns the sums of the fields that are added up, over snapshots of one kind."""
    return {name: sum(getattr(part, name) for part in parts) for name in summed_fields(parts[0].__class__)}
