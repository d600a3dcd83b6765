"""What nodes ask and tell each other: all questions, notifications and answers of a cluster. Pure.

Values only: `codec.py` checks and writes their fields, `rpc.py` carries them. A question has one answer and goes from
the node that asks to one other; a notification has none. Whoever does not answer in time has not answered, and so has a
node whose answer is not what it must be. What a mirror and its parent say to each other is in `mirror/messages.py`.

    who asks or tells                              who answers               if nobody does
    Hello         a node, on each line that begins the node at its other end the line is tried again, until it answers
    Beat          a node, each second              -                         it is suspect after 3 s, dead after 5 s
    NodeNews      a node that has changed          -                         its next hello tells it
    OriginNews    a node that has a mount's source -                         its next hello tells it
    OriginGone    a node that gives a mount up     -                         its next hello does not name the mount
    HelloAgain    a node that knows other mounts   -                         the next beat shows it once more
                  than the beat of one counts
    Goodbye       a node that stops                -                         it is dead when its line is refused
    Proposal      a node that claims a mount       each node that is up      it has the mount, provisionally if it sees
                                                                             less than half of the nodes
    IsAlive       a node that gets a source        the mount's owner         the owner is suspect, the mount is claimed
    Yield         a node whose source takes over   the mount's owner         the mount is claimed all the same
    Announce      a node whose registry is away    -                         the others learn of it from the registry
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

To add one: a class for it, one for its answer, a row in `WIRE_NAMES`, a row in the table above, and the row in
`app/cluster_assembly.py` that says who answers.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar, cast, get_args

from pycast.cluster.codec import Bounds
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.stats.snapshot import ListenerSnapshot, NodeSnapshot

AnswerT = TypeVar("AnswerT")


class Question(Generic[AnswerT]):
    """A message that is answered with an `AnswerT`."""

    __slots__ = ()


class Notification:
    """A message that is not answered."""

    __slots__ = ()


# What sources and players send may be as long as a request's head (16 KiB) or a comment in a stream.
_SHOWN = Bounds(text=1 << 20)

# -- the mesh


@dataclass(frozen=True, slots=True)
class EpochOver:
    """A mount whose owner has been followed by a higher epoch."""

    mount: str
    highest: Epoch


@dataclass(frozen=True, slots=True)
class HelloAnswer:
    """Everything about the node that answers, whom it knows, and what is over of what the hello said."""

    node: NodeRecord
    origins: tuple[OriginRecord, ...]
    is_duplicate: bool
    """Whether another living process has the name of the node that said hello."""
    known: tuple[str, ...] = ()
    """Addresses."""
    over: tuple[EpochOver, ...] = ()


@dataclass(frozen=True, slots=True)
class Hello(Question[HelloAnswer]):
    """Everything about a node: its record and the mounts that it has."""

    node: NodeRecord
    origins: tuple[OriginRecord, ...]


@dataclass(frozen=True, slots=True)
class Beat(Notification):
    """A node is still there, and has so many mounts."""

    node: str
    boot: str
    origins: int


@dataclass(frozen=True, slots=True)
class NodeNews(Notification):
    """A node's record as it is now."""

    node: NodeRecord


@dataclass(frozen=True, slots=True)
class OriginNews(Notification):
    """Who has a mount's source now."""

    origin: OriginRecord


@dataclass(frozen=True, slots=True)
class OriginGone(Notification):
    """An ownership that is given up."""

    mount: str
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class HelloAgain(Notification):
    """The node that tells this wants another hello."""

    node: str


@dataclass(frozen=True, slots=True)
class Goodbye(Notification):
    """A node stops because its operator wants it to."""

    node: str
    boot: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a node says to a proposal. If it objects it tells why: an owner, an epoch, or a promise of its own."""

    objects: bool = True
    highest: Epoch | None = None
    origin: OriginRecord | None = None
    promised: Epoch | None = None


@dataclass(frozen=True, slots=True)
class Proposal(Question[Verdict]):
    """A claim on its way: `epoch` for `mount`, following the owner of `over`. Who knows that owner has asked it."""

    mount: str
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
    """Does the mount's source still send?"""

    mount: str


@dataclass(frozen=True, slots=True)
class Yielded:
    """The mount's source is off the air."""


@dataclass(frozen=True, slots=True)
class Yield(Question[Yielded]):
    """Take the mount's source off the air, for a newer one."""

    mount: str


@dataclass(frozen=True, slots=True)
class Announce(Notification):
    """A mount of which the registry could not be told."""

    origin: OriginRecord


# -- mirrors and nodes


@dataclass(frozen=True, slots=True)
class Tail:
    """How far a node is with a mount: its newest epoch, the end and the beginning of what it has."""

    epoch: Epoch
    head: int
    oldest: int


@dataclass(frozen=True, slots=True)
class TailAnswer:
    """None: the node that answers does not have the mount."""

    tail: Tail | None = None


@dataclass(frozen=True, slots=True)
class AskTail(Question[TailAnswer]):
    """How far are you with the mount?"""

    mount: str


@dataclass(frozen=True, slots=True)
class Pong:
    """Which process answers."""

    boot: str


@dataclass(frozen=True, slots=True)
class Ping(Question[Pong]):
    """Are you there?"""


# -- the drain of the workers of one parent


class DrainOrder(StrEnum):
    """What is to happen to a drain."""

    LOOK = "look"
    """Nothing: only tell how far it is."""
    BEGIN = "begin"
    NOW = "now"
    """Begin, without the time that balancers have to learn of it."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class DrainReport:
    """A worker's drain as it is now: `drain_plan.Progress`."""

    state: str
    """The value of a `DrainState`."""
    listeners: int
    of: int
    next_s: float
    deadline_s: float


@dataclass(frozen=True, slots=True)
class DrainCommand(Question[DrainReport]):
    """An admin's order to all workers."""

    order: DrainOrder


# -- control


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """The statistics of the node that answers."""

    snapshot: Annotated[NodeSnapshot, _SHOWN]


@dataclass(frozen=True, slots=True)
class AskSnapshot(Question[SnapshotAnswer]):
    """What do you look like now?"""


@dataclass(frozen=True, slots=True)
class ListenersAnswer:
    """The listeners that the node which answers has."""

    listeners: Annotated[tuple[ListenerSnapshot, ...], _SHOWN]


@dataclass(frozen=True, slots=True)
class AskListeners(Question[ListenersAnswer]):
    """Who listens to the mount?"""

    mount: str


@dataclass(frozen=True, slots=True)
class Done:
    """Whether there was something to do."""

    is_done: bool


@dataclass(frozen=True, slots=True)
class KillListener(Question[Done]):
    """End a listener's connection."""

    mount: str
    id: int


@dataclass(frozen=True, slots=True)
class KillSource(Question[Done]):
    """End the mount's source."""

    mount: str


@dataclass(frozen=True, slots=True)
class SetTitle(Question[Done]):
    """Set what plays, if the mount's source is yours."""

    mount: str
    artist: Annotated[str, _SHOWN]
    title: Annotated[str, _SHOWN]
    url: Annotated[str, _SHOWN]


@dataclass(frozen=True, slots=True)
class Moved:
    """How many listeners were moved."""

    listeners: int


@dataclass(frozen=True, slots=True)
class MoveListeners(Question[Moved]):
    """Move your listeners of a mount to another mount, for good."""

    mount: str
    to: str


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
}


def answer_type(question: type[Question[AnswerT]]) -> type[AnswerT]:
    """Returns the class of the question's answer."""
    (base,) = cast(Any, question).__orig_bases__
    return cast(type[AnswerT], get_args(base)[0])
