"""The messages between nodes: all questions, notifications and answers of a cluster. Pure.

Values only: `codec.py` checks and writes their fields, `rpc.py` carries them. A question goes from one node to another
and has one answer; a notification has none. A late or malformed answer counts as no answer. The messages between a
mirror and its parent are in `mirror/messages.py`.

                  sent by                          answered by               without an answer
    Hello         a node, on each line that begins the node at its other end the line is tried again, until it answers
    Beat          a node, each second              -                         it is suspect after 3 s, dead after 5 s
    NodeNews      a node that has changed          -                         its next hello has it
    OriginNews    a node that has a mount's source -                         its next hello has it
    OriginGone    a node that gives a mount up     -                         its next hello does not name the mount
    HelloAgain    a node that knows other mounts   -                         the next beat shows it once more
                  than the beat of one counts
    Goodbye       a node that stops                -                         it is dead when its port refuses a line
    Proposal      a node that claims a mount       each node that is up      it has the mount, provisionally if it sees
                                                                             less than half of the nodes
    IsAlive       a node that gets a source        the mount's owner         the owner is suspect, the mount is claimed
    Yield         a node whose source takes over   the mount's owner         the mount is claimed all the same
    Announce      a node whose registry is away    -                         the registry announces it later
    AskTail       a node that levels a mirror      each node that is up      it goes on with what it has
    Ping          a node whose registry has lost   that node                 it is gone
                  another one
    DrainCommand  a worker that an admin asks      the other workers         they are left out
    AskSnapshot   a node that an admin asks        each node that is up      it is left out of the statistics
    AskListeners  a node that an admin asks        each node that is up      its listeners are left out
    KillListener  a node that an admin asks        each node that is up      the listener stays
    KillSource    a node that an admin asks        each node that is up      the source stays
    SetTitle      a node that an admin asks        the one with the source   the title stays
    MoveListeners a node that an admin asks        each node that is up      its listeners stay
    HasUser       a node that lets a listener in   each node that is up      the user may listen twice
    SetFallback   a node that an admin asks        each node that is up      it has the configured fallback
    AddSlave      a node that a slave asks         each node that is up      it sends no listeners there
    ResetStats    a node that an admin asks        each node that is up      its counts stay
    AskEvents     a node whose events are read     each node that is up      its events come later
    AskLog        a worker that an admin asks      the other workers         their lines are left out
    AskRelays     a node that an admin asks        each node that is up      its relays are left out
    OrderRelay    a node that an admin asks        each node that is up      its relay goes on

To add one: a class for it, one for its answer, a row in `WIRE_NAMES`, a row in the table above, and the row in
`app/cluster_assembly.py` that says who answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pycast.cluster.codec import Bounds
from pycast.cluster.link.admin_answers import (
    SHOWN,
    Done,
    DrainOrder,
    DrainReport,
    EventsAnswer,
    ListenersAnswer,
    LogAnswer,
    Moved,
    RelaysAnswer,
    SnapshotAnswer,
)
from pycast.cluster.link.message_kinds import Notification, Question
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import Count, NodeAddress, NodeRecord, Offset, OriginRecord

# An admin may write anything; a source's path is as long as a request's head at most.
MountText = Annotated[str, Bounds(text=1 << 15)]

# -- the mesh


@dataclass(frozen=True, slots=True)
class EpochOver:
    """A mount whose owner has been followed by a higher epoch."""

    mount: MountText
    highest: Epoch


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """Everything about the node that answers, the addresses it knows, and the epochs of the hello that are over."""

    node: NodeRecord
    origins: tuple[OriginRecord, ...]
    is_duplicate: bool
    """Whether another living process has the name of the node that sent the hello."""
    known: Annotated[tuple[NodeAddress, ...], Bounds(items=1000)] = ()
    """Addresses of the nodes that it knows."""
    over: tuple[EpochOver, ...] = ()


@dataclass(frozen=True, slots=True)
class Hello(Question[HelloAnswer]):
    """Everything about a node: its record and the mounts that it has."""

    node: NodeRecord
    origins: tuple[OriginRecord, ...]


@dataclass(frozen=True, slots=True)
class Beat(Notification):
    """A sign of life of a node, with the number of its mounts."""

    node: str
    boot: str
    origins: Count


@dataclass(frozen=True, slots=True)
class NodeNews(Notification):
    """The changed record of the node that sends it."""

    node: NodeRecord


@dataclass(frozen=True, slots=True)
class OriginNews(Notification):
    """A new or changed origin of the node that sends it."""

    origin: OriginRecord


@dataclass(frozen=True, slots=True)
class OriginGone(Notification):
    """An origin that its node has given up, or that is over."""

    mount: MountText
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class HelloAgain(Notification):
    """A request for another hello, from `node`."""

    node: str


@dataclass(frozen=True, slots=True)
class Goodbye(Notification):
    """The message of a node that is being stopped."""

    node: str
    boot: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """A node's answer to a proposal. With an objection it has the reason: an owner, its epoch, or a higher proposal."""

    objects: bool = True
    highest: Epoch | None = None
    origin: OriginRecord | None = None
    promised: Epoch | None = None


@dataclass(frozen=True, slots=True)
class Proposal(Question[Verdict]):
    """A claim of `mount` with `epoch`, which follows the owner of `over`. A node that knows the owner has asked it."""

    mount: MountText
    epoch: Epoch
    over: Epoch
    knows_owner: bool = False


# -- sources


@dataclass(frozen=True, slots=True)
class Alive:
    """Whether a mount's source is on the air at the node that answers, and sends."""

    is_alive: bool


@dataclass(frozen=True, slots=True)
class IsAlive(Question[Alive]):
    """The question whether the mount's source still sends."""

    mount: MountText


@dataclass(frozen=True, slots=True)
class Yielded:
    """The answer that the mount's source is off the air."""


@dataclass(frozen=True, slots=True)
class Yield(Question[Yielded]):
    """The request to take the mount's source off the air for a newer one."""

    mount: MountText


@dataclass(frozen=True, slots=True)
class Announce(Notification):
    """An origin that could not be written to the registry."""

    origin: OriginRecord


# -- mirrors and nodes


@dataclass(frozen=True, slots=True)
class Tail:
    """How far a node is with a mount: its newest epoch, and the offsets of the end and the beginning of its bytes."""

    epoch: Epoch
    head: Offset
    oldest: Offset


@dataclass(frozen=True, slots=True)
class TailAnswer:
    """How far the node that answers is; None if it does not have the mount."""

    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class AskTail(Question[TailAnswer]):
    """The question how far a node is with the mount."""

    mount: MountText


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a ping, with the process that answers."""

    boot: str


@dataclass(frozen=True, slots=True)
class Ping(Question[Pong]):
    """The question whether a node answers."""


# -- the drain of the workers of one parent


@dataclass(frozen=True, slots=True)
class DrainCommand(Question[DrainReport]):
    """An admin's order to all workers."""

    order: DrainOrder


# -- control


@dataclass(frozen=True, slots=True)
class AskSnapshot(Question[SnapshotAnswer]):
    """The question for a node's statistics."""


@dataclass(frozen=True, slots=True)
class AskListeners(Question[ListenersAnswer]):
    """The question for the mount's listeners."""

    mount: MountText


@dataclass(frozen=True, slots=True)
class KillListener(Question[Done]):
    """The order to end a listener's connection."""

    mount: MountText
    id: int


@dataclass(frozen=True, slots=True)
class SetFallback(Question[Done]):
    """The order to put a fallback in place of the configured one."""

    mount: MountText
    fallback: MountText


@dataclass(frozen=True, slots=True)
class ResetStats(Question[Done]):
    """The order to count anew what a mount has: "peak", "read", "sent"."""

    mount: MountText
    counts: Annotated[tuple[str, ...], Bounds(items=3)]


@dataclass(frozen=True, slots=True)
class AddSlave(Question[Done]):
    """The order to send listeners without room to a server, until it is silent for longer than its interval."""

    host: str
    port: int
    interval_s: int


@dataclass(frozen=True, slots=True)
class AskRelays(Question[RelaysAnswer]):
    """The question what a node's relays do."""


@dataclass(frozen=True, slots=True)
class AskEvents(Question[EventsAnswer]):
    """The question what has happened on a node since a mark, which is found by the name of its process."""

    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class AskLog(Question[LogAnswer]):
    """The question for the last lines of a log that is no file: "error", "access" or "playlist"."""

    log: str


@dataclass(frozen=True, slots=True)
class OrderRelay(Question[Done]):
    """The order to enable, disable or restart the relay of a mount."""

    mount: MountText
    order: str


@dataclass(frozen=True, slots=True)
class KillSource(Question[Done]):
    """The order to end the mount's source."""

    mount: MountText


@dataclass(frozen=True, slots=True)
class SetTitle(Question[Done]):
    """The order to set the title, for the node that has the mount's source."""

    mount: MountText
    artist: Annotated[str, SHOWN]
    title: Annotated[str, SHOWN]
    url: Annotated[str, SHOWN]


@dataclass(frozen=True, slots=True)
class MoveListeners(Question[Moved]):
    """The order to move a node's listeners of a mount to another mount, for good."""

    mount: MountText
    to: MountText


@dataclass(frozen=True, slots=True)
class HasUser(Question[Done]):
    """The question whether a user listens to a mount at the node that answers."""

    mount: MountText
    user: Annotated[str, SHOWN]


# -- the wire

WIRE_NAMES: dict[type, str] = {
    Hello: "mesh.hello",
    Beat: "mesh.beat",
    NodeNews: "mesh.node",
    OriginNews: "mesh.origin",
    OriginGone: "mesh.gone",
    HelloAgain: "mesh.again",
    Goodbye: "mesh.bye",
    Proposal: "mesh.propose",
    IsAlive: "source.is_alive",
    Yield: "source.yield",
    Announce: "source.announce",
    AskTail: "mirror.tail",
    Ping: "node.ping",
    DrainCommand: "server.drain",
    AskSnapshot: "control.snapshot",
    AskListeners: "control.listeners",
    KillListener: "control.kill",
    KillSource: "control.kill_source",
    SetTitle: "control.title",
    MoveListeners: "control.move",
    HasUser: "control.user",
    SetFallback: "control.fallback",
    AddSlave: "control.slave",
    ResetStats: "control.reset",
    AskEvents: "control.events",
    AskLog: "server.log",
    AskRelays: "control.relays",
    OrderRelay: "control.relay",
}

# Questions whose answers are for people to see.
SHOWN_ONLY: frozenset[type] = frozenset({AskSnapshot, AskListeners, AskRelays, AskEvents, AskLog})
