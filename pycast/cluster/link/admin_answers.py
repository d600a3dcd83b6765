"""What a node answers to what an admin asks or orders at another one. Pure: values, checked and written by codec.py."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pycast.cluster.codec import Bounds
from pycast.cluster.registry.records import Count
from pycast.stats.snapshot import ListenerSnapshot, NodeEvents, NodeSnapshot, RelayLine

# What sources and players send may be as long as a request's head (16 KiB) or a comment in a stream.
SHOWN = Bounds(text=1 << 20)


@dataclass(frozen=True, slots=True)
class SnapshotAnswer:
    """The statistics of the node that answers."""

    snapshot: Annotated[NodeSnapshot, SHOWN]


@dataclass(frozen=True, slots=True)
class ListenersAnswer:
    """The mount's listeners at the node that answers."""

    listeners: Annotated[tuple[ListenerSnapshot, ...], SHOWN]


@dataclass(frozen=True, slots=True)
class EventsAnswer:
    """What has happened on the node that answers."""

    events: Annotated[NodeEvents, SHOWN]


@dataclass(frozen=True, slots=True)
class RelaysAnswer:
    """The relays of the node that answers."""

    relays: Annotated[tuple[RelayLine, ...], SHOWN]


@dataclass(frozen=True, slots=True)
class Done:
    """Whether there was something to do."""

    is_done: bool


@dataclass(frozen=True, slots=True)
class Moved:
    """How many listeners were moved."""

    listeners: Count


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of a log, and when it was written."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """The last lines of a log at the worker that answers."""

    lines: Annotated[tuple[LogLine, ...], Bounds(text=1 << 15, items=1000)]


class DrainOrder(StrEnum):
    """An order to a drain."""

    LOOK = "look"
    """Only report how far it is."""
    BEGIN = "begin"
    NOW = "now"
    """Begin, without the wait in which balancers notice it."""
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class DrainReport:
    """A worker's drain as it is now: `drain_plan.Progress`."""

    state: str
    """The value of a `DrainState`."""
    listeners: Count
    of: Count
    next_s: float
    deadline_s: float
