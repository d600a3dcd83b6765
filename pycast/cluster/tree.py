"""Who pulls a mount from whom: pure choices, the same on every node that knows the same nodes.

A mount crosses to another zone once. In each zone other than the origin's one node is the mount's leader: the first by
rendezvous hash over the zone's nodes, so that another node takes over the mounts of one that is gone, and nothing else
moves. The leader pulls from the origin, the others in its zone pull from the leader; the second by the same hash is the
parent in reserve.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from pycast.cluster.records import NodeRecord, NodeState


def parents(mount: str, me: NodeRecord, origin: str, nodes: Iterable[NodeRecord]) -> list[str]:
    """Names of the nodes to pull `mount` from, best first. `nodes` are those that are up, this one may be among them.

    Empty only if this node is the origin.
    """
    if me.node == origin:
        return []
    known = {node.node: node for node in nodes if node.node != me.node}
    home = known[origin].zone if origin in known else None
    if home == me.zone:
        return [origin]
    own_zone = ranked(mount, [me, *(node for node in known.values() if node.zone == me.zone)])
    leader = own_zone[0]
    if leader.node == me.node:
        return [origin]
    # The origin last: a line across zones for some seconds is better than silence. The reserve is asked only if it is
    # not this node itself.
    reserve = [node.node for node in own_zone[1:2] if node.node != me.node]
    return [leader.node, *reserve, origin]


def is_leader(mount: str, me: NodeRecord, origin_zone: str | None, nodes: Iterable[NodeRecord]) -> bool:
    """Whether this node pulls `mount` from the origin itself."""
    if origin_zone == me.zone:
        return True
    return (
        ranked(mount, [me, *(one for one in nodes if one.node != me.node and one.zone == me.zone)])[0].node == me.node
    )


def ranked(mount: str, nodes: Sequence[NodeRecord]) -> list[NodeRecord]:
    """Nodes by rendezvous hash: highest weight first. Nodes that are draining come last."""
    return sorted(nodes, key=lambda node: (node.state is NodeState.DRAINING, -_weight(mount, node.node), node.node))


def _weight(mount: str, node: str) -> int:
    return int.from_bytes(blake2b(f"{mount}\0{node}".encode("utf-8", "replace"), digest_size=8).digest())
