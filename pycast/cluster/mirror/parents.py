"""Who pulls a mount from whom: pure choices, the same on every node that knows the same nodes.

A mount crosses to another zone once. In each zone other than the origin's one node is the mount's leader: the first by
rendezvous hash over the zone's nodes, so that another node takes over the mounts of one that is gone, and nothing else
moves. The leader pulls from the origin, the others in its zone pull from the leader; the second by the same hash is the
parent in reserve.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from pycast.cluster.registry.records import NodeRecord, NodeState

# A node whose loop is late, whose line is full, or that is full itself is no good parent: see `headroom.py`.
WEAK_PERCENT = 5


def choose_parents(mount: str, me: NodeRecord, origin: NodeRecord, nodes: Iterable[NodeRecord]) -> list[str]:
    """Names of the nodes to pull `mount` from, best first. `nodes` are those that are up, this one may be among them.

    Empty only if this node is the origin.
    """
    if me.node == origin.node:
        return []
    if origin.zone == me.zone:
        return [origin.node]
    own_zone = ranked(mount, [me, *(node for node in nodes if node.zone == me.zone and node.node != me.node)])
    leader = own_zone[0]
    if leader.node == me.node:
        return [origin.node]
    # The origin last: a line across zones for some seconds is better than silence. The reserve is asked only if it is
    # not this node itself.
    reserve = [node.node for node in own_zone[1:2] if node.node != me.node]
    return [leader.node, *reserve, origin.node]


def ranked(mount: str, nodes: Sequence[NodeRecord]) -> list[NodeRecord]:
    """Nodes by rendezvous hash: highest weight first. Those that drain, or have no headroom left, come last."""
    return sorted(nodes, key=lambda node: (_is_weak(node), -_weight(mount, node.node), node.node))


def _is_weak(node: NodeRecord) -> bool:
    return node.state is NodeState.DRAINING or node.weight <= WEAK_PERCENT


def _weight(mount: str, node: str) -> int:
    return int.from_bytes(blake2b(f"{mount}\0{node}".encode("utf-8", "replace"), digest_size=8).digest())
