"""How far the nodes are with a mount, by which the survivors of an owner level: the question and its answer."""

from collections.abc import Container
from typing import NamedTuple

from pycast.cluster.link.questions import AskTail, Tail, TailAnswer
from pycast.cluster.link.rpc import RpcClient
from pycast.cluster.mirror.lineage import Lineages
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import Epoch
from pycast.stream.mounts import Mounts

# How long survivors have to answer how far they are.
TAIL_S = 0.4


class KnownTail(NamedTuple):
    """What another node has of a mount. Of two the greater one is that with the last valid byte: of the highest epoch,
    and in that the furthest.
    """

    epoch: Epoch
    """The epoch of its last byte."""
    head: int
    address: str
    oldest: int


def ask_tails(mount: str, without: Container[str], state: ClusterState, peers: RpcClient) -> list[KnownTail]:
    """Returns the tails of the nodes that are up and have the mount, `without` some: this node, and those that would
    only be waited for. May switch, for `TAIL_S` at most.
    """
    addresses = [peer.record.address for peer in state.peers if peer.record.node not in without and peer.is_up]
    answers = peers.call_all(addresses, AskTail(mount), TAIL_S)
    tails = ((address, answer.tail) for address, answer in answers.items())
    return [KnownTail(tail.epoch, tail.head, address, tail.oldest) for address, tail in tails if tail is not None]


def own_tail(question: AskTail, mounts: Mounts, lineages: Lineages) -> TailAnswer:
    """Answers another node how far this one is with a mount. Never switches."""
    mount, lineage = mounts.get(question.mount), lineages.get(question.mount)
    if mount is None or not lineage.entries:
        return TailAnswer()
    return TailAnswer(Tail(lineage.known_at(mount.ring.head), mount.ring.head, mount.ring.oldest))
