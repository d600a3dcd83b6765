"""What a node may say on its link: facts about itself only. Pure.

The handshake has proved which node and which process is at the other end (`Link.peer`). A message that has a sender in
it must be from that one, so no node, and nobody who has found an old message, can speak for another. Each class of
messages has a row here: the sender that its messages name, or `None` for those that name none, which every node of the
cluster may send.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pycast.cluster.link import questions as q
from pycast.cluster.link.frames import Malformed
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord


@dataclass(frozen=True, slots=True)
class Sender:
    """What a message says of its sender. None: nothing."""

    node: str
    boot: str | None = None
    address: str | None = None

    def is_of(self, peer: NodeIdentity) -> bool:
        """Whether it is the node at the other end of the link."""
        return self.node == peer.node and self.boot in (None, peer.boot) and self.address in (None, peer.address)


Senders = Callable[[Any], Iterable[Sender]]


def _node(record: NodeRecord) -> Sender:
    return Sender(record.node, record.boot, record.address)


def _origin(record: OriginRecord) -> Sender:
    return Sender(record.node, record.boot)


def _all(message: q.Hello | q.HelloAnswer) -> list[Sender]:
    return [_node(message.node), *map(_origin, message.origins)]


def _epoch(epoch: Epoch) -> Sender:
    """Returns the process that has proposed an epoch in a mesh."""
    node, _, boot = epoch.node.rpartition("/")
    return Sender(node, boot)


SENDERS: dict[type, Senders | None] = {
    q.Hello: _all,
    q.Beat: lambda one: [Sender(one.node, one.boot)],
    q.NodeNews: lambda one: [_node(one.node)],
    q.OriginNews: lambda one: [_origin(one.origin)],
    q.OriginGone: lambda one: [_epoch(one.epoch)],
    q.HelloAgain: lambda one: [Sender(one.node)],
    q.Goodbye: lambda one: [Sender(one.node, one.boot)],
    q.Proposal: lambda one: [_epoch(one.epoch)],
    q.IsAlive: None,
    q.Yield: None,
    q.Announce: lambda one: [_origin(one.origin)],
    q.AskTail: None,
    q.Ping: None,
    # Only from a worker of the same parent: `app/cluster_assembly.py` says so.
    q.DrainCommand: None,
    q.AskSnapshot: None,
    q.AskListeners: None,
    q.KillListener: None,
    q.HasUser: None,
    q.KillSource: None,
    q.SetTitle: None,
    q.MoveListeners: None,
    q.SetFallback: None,
    q.AddSlave: None,
    q.ResetStats: None,
    q.AskEvents: None,
    # Only from a worker of the same parent, too.
    q.AskLog: None,
    q.AskRelays: None,
    q.OrderRelay: None,
    # An answer, by the node that gives it:
    q.HelloAnswer: _all,
}


# The epochs in a message that its receiver would take over.
EPOCHS: dict[type, Callable[[Any], Iterable[Epoch | None]]] = {
    q.Hello: lambda one: [origin.epoch for origin in one.origins],
    q.HelloAnswer: lambda one: [*(origin.epoch for origin in one.origins), *(over.highest for over in one.over)],
    q.OriginNews: lambda one: [one.origin.epoch],
    q.Proposal: lambda one: [one.epoch, one.over],
    q.Verdict: lambda one: [one.highest, one.promised, one.origin and one.origin.epoch],
    q.Announce: lambda one: [one.origin.epoch],
    q.TailAnswer: lambda one: [one.tail and one.tail.epoch],
}


def check_epochs(check: Callable[[Epoch], None], message: object) -> None:
    """Calls `check` for each epoch in a message. Raises what it raises."""
    epochs = EPOCHS.get(type(message))
    for epoch in epochs(message) if epochs is not None else ():
        if epoch is not None:
            check(epoch)


def check_sender(peer: NodeIdentity, message: object) -> None:
    """Raises Malformed if `message`, which came from `peer`, speaks for another node."""
    senders = SENDERS.get(type(message))
    for sender in senders(message) if senders is not None else ():
        if not sender.is_of(peer):
            name = type(message).__name__
            raise Malformed(f"node {peer.node} sends a {name} of node {sender.node}, or of another process")
