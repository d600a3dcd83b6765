"""The choice of the node from which a node mirrors a mount. Pure, and the same on all nodes that know the same nodes.

A mount crosses into each other zone once. In a zone without the origin one node is the mount's leader: the first by
rendezvous hash over the zone's nodes. So when a node is gone others take over its mounts, and no other mount moves. The
leader pulls from the origin, the other nodes of its zone pull from the leader. The second by the same hash is the
reserve.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from pycast.cluster.registry.records import NodeRecord, NodeState

# A node with less headroom than this is no good parent: see `headroom.py`.
WEAK_PERCENT = 5


def choose_parents(mount: str, me: NodeRecord, origin: NodeRecord, nodes: Iterable[NodeRecord]) -> list[str]:
    """Returns the names of the nodes to pull `mount` from, best first; empty only if this node is the origin. `nodes`
    are those that are up, with or without this one.
    """
    if me.node == origin.node:
        return []
    if origin.zone == me.zone:
        return [origin.node]
    own_zone = ranked(mount, [me, *(node for node in nodes if node.zone == me.zone and node.node != me.node)])
    leader = own_zone[0]
    if leader.node == me.node:
        return [origin.node]
    # The origin is the last choice: to cross zones for some seconds is better than silence. The reserve does not pull
    # from itself.
    reserve = [node.node for node in own_zone[1:2] if node.node != me.node]
    return [leader.node, *reserve, origin.node]


def ranked(mount: str, nodes: Sequence[NodeRecord]) -> list[NodeRecord]:
    """Returns the nodes by rendezvous hash, highest weight first. Those that drain or have no headroom come last."""
    return sorted(nodes, key=lambda node: (_is_weak(node), -_weight(mount, node.node), node.node))


def _is_weak(node: NodeRecord) -> bool:
    return node.state is NodeState.DRAINING or node.weight <= WEAK_PERCENT


def _weight(mount: str, node: str) -> int:
    return int.from_bytes(blake2b(f"{mount}\0{node}".encode("utf-8", "replace"), digest_size=8).digest())
