"""This node's claim on a mount: one record for each mount, with its state and the sources that stand by.

A mount is FREE while this node has no claim on it: no node has it, another one has it, or this node is alone and needs
no claim. It is CLAIMING while the registry is asked, and OWNED after that, with or without a source on the air: the
next bytes come from this node. It is YIELDED when it has made way for a newer source on another node: still owned,
until the claim for that source is seen, or until a source here goes on the air again.

The states and the waiting line are here; `ownership.py` decides what follows from them. The one invariant: only a claim
that is OWNED or YIELDED has an origin record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from gevent.event import Event

from pycast.formats.standby import StandbyStream
from pycast.stream.source import Source

if TYPE_CHECKING:  # a claim without a cluster never has one
    from pycast.cluster.registry.records import OriginRecord


class ClaimState(Enum):
    """The state of this node's claim on a mount."""

    FREE = "free"
    CLAIMING = "claiming"
    OWNED = "owned"
    YIELDED = "yielded"


class ClaimEvent(Enum):
    """An event that changes a claim."""

    ASKED = "the registry is asked"
    WON = "won"
    LOST = "lost"
    ON_AIR = "a source is on the air here"
    MADE_WAY = "made way for a newer source"
    SUPERSEDED = "a higher epoch has been seen"
    MOUNT_CLOSED = "the mount is over"


# State and event: the next state. An event that is missing here is a bug of the caller.
STEPS: dict[ClaimState, dict[ClaimEvent, ClaimState]] = {
    ClaimState.FREE: {ClaimEvent.ASKED: ClaimState.CLAIMING},
    ClaimState.CLAIMING: {ClaimEvent.WON: ClaimState.OWNED, ClaimEvent.LOST: ClaimState.FREE},
    ClaimState.OWNED: {
        ClaimEvent.ON_AIR: ClaimState.OWNED,
        ClaimEvent.MADE_WAY: ClaimState.YIELDED,
        ClaimEvent.SUPERSEDED: ClaimState.FREE,
        ClaimEvent.MOUNT_CLOSED: ClaimState.FREE,
    },
    ClaimState.YIELDED: {
        ClaimEvent.ON_AIR: ClaimState.OWNED,
        ClaimEvent.MADE_WAY: ClaimState.YIELDED,
        ClaimEvent.SUPERSEDED: ClaimState.FREE,
        ClaimEvent.MOUNT_CLOSED: ClaimState.FREE,
    },
}


@dataclass(frozen=True, slots=True, eq=False)
class Standby:
    """A source that stands by, and the stream that takes its audio meanwhile."""

    source: Source
    stream: StandbyStream
    is_new: bool = False
    """Whether it takes over, if `on_conflict` says so, as soon as its format is known: not one that was on the air."""


class MountClaim:
    """The claim on one mount."""

    def __init__(self) -> None:
        self.state = ClaimState.FREE
        self.origin: OriginRecord | None = None
        """This node's record in the registry, while the mount is ours."""
        self.hold_off_until = 0.0
        """No standby tries to go on the air before this time, on the clock of `Ownership`."""
        self.wake: Event | None = None
        """Wakes the greenlet that waits for the standbys' turn; None while there is none."""
        self._standbys: list[Standby] = []

    @property
    def is_empty(self) -> bool:
        """Whether the record holds nothing and may be dropped."""
        return self.state is ClaimState.FREE and not self._standbys and self.wake is None

    def move(self, event: ClaimEvent) -> None:
        """Changes the state by an event. Raises KeyError if the event is not possible in this state."""
        self.state = STEPS[self.state][event]
        if self.state not in (ClaimState.OWNED, ClaimState.YIELDED):
            self.origin = None

    # -- the sources that stand by

    @property
    def standbys(self) -> tuple[Standby, ...]:
        """The sources that stand by, in the order in which they came."""
        return tuple(self._standbys)

    def first(self) -> Standby | None:
        """Returns the standby whose turn comes next."""
        return self._standbys[0] if self._standbys else None

    def add(self, standby: Standby) -> None:
        """Adds a source at the end of the line."""
        self._standbys.append(standby)

    def standby_of(self, source: Source) -> Standby | None:
        """Returns the standby that `source` is, if it stands by."""
        return next((standby for standby in self._standbys if standby.source is source), None)

    def remove(self, source: Source) -> bool:
        """Removes a source from the line. Returns whether it stood by."""
        for standby in self._standbys:
            if standby.source is source:
                self._standbys.remove(standby)
                return True
        return False


class MountClaims:
    """The claims of a node, by mount; empty ones are dropped."""

    def __init__(self) -> None:
        self._by_mount: dict[str, MountClaim] = {}

    def __len__(self) -> int:
        return len(self._by_mount)

    def __iter__(self) -> Iterator[tuple[str, MountClaim]]:
        return iter(list(self._by_mount.items()))

    def get(self, mount: str) -> MountClaim | None:
        """Returns the mount's record, if there is one."""
        return self._by_mount.get(mount)

    def get_or_create(self, mount: str) -> MountClaim:
        """Returns the mount's record. The caller has to put something into it before it switches."""
        return self._by_mount.setdefault(mount, MountClaim())

    def origin(self, mount: str) -> "OriginRecord | None":
        """Returns this node's origin record for the mount, if the mount is ours."""
        claim = self._by_mount.get(mount)
        return claim.origin if claim is not None else None

    def wake(self, mount: str) -> None:
        """Wakes the greenlet that waits for the standbys' turn, if there is one."""
        claim = self._by_mount.get(mount)
        if claim is not None and claim.wake is not None:
            claim.wake.set()

    def drop_if_empty(self, mount: str) -> None:
        """Drops the mount's record if it is empty."""
        claim = self._by_mount.get(mount)
        if claim is not None and claim.is_empty:
            del self._by_mount[mount]

    def standby_of(self, mount: str, source: Source) -> Standby | None:
        """Returns the standby that `source` is, if it stands by for the mount."""
        claim = self._by_mount.get(mount)
        return claim.standby_of(source) if claim is not None else None

    def remove(self, mount: str, source: Source) -> bool:
        """Removes a source from the mount's line. Returns whether it stood by."""
        claim = self._by_mount.get(mount)
        stood_by = claim is not None and claim.remove(source)
        self.drop_if_empty(mount)
        return stood_by

    def pop_next(self, mount: str) -> Standby | None:
        """Removes the first source from the mount's line and returns it."""
        claim = self._by_mount.get(mount)
        standby = claim.first() if claim is not None else None
        if standby is not None:
            self.remove(mount, standby.source)
        return standby

    def has_standby(self, mount: str) -> bool:
        """Whether a source stands by for the mount."""
        claim = self._by_mount.get(mount)
        return claim is not None and claim.first() is not None

    @property
    def standbys(self) -> tuple[Standby, ...]:
        """Every source that stands by on this node."""
        return tuple(standby for claim in self._by_mount.values() for standby in claim.standbys)
