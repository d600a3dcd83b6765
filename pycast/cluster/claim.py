"""What this node has to do with a mount as the place of a source: one record, whose state is a table.

A mount is FREE as long as this node has no claim on it: nobody may have it, another node has it, or the node is alone
and needs no claim. While the registry is asked it is CLAIMING, and then OWNED: with or without a source that is on the
air, the next bytes are ours to give. One that made way for a newer source elsewhere is YIELDED: still ours, until that
source's claim is seen or it turns out that it did not come.

Only the states and who waits are here; what follows from them is decided in `ownership.py`. The one invariant: a claim
has an origin record exactly while the mount is ours.
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
    """Whose a mount is, as far as this node has to do with it."""

    FREE = "free"
    CLAIMING = "claiming"
    OWNED = "owned"
    YIELDED = "yielded"


class ClaimEvent(Enum):
    """What happens to a claim."""

    ASKED = "the registry is asked"
    WON = "won"
    LOST = "lost"
    ON_AIR = "a source is on the air here"
    MADE_WAY = "made way for a newer source"
    SUPERSEDED = "a higher epoch has been seen"
    MOUNT_CLOSED = "the mount is over"


# State and what happens: the next state. What is not in the table is a mistake of the caller.
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
    """A source that stands by, and the stream that it feeds meanwhile."""

    source: Source
    stream: StandbyStream


class MountClaim:
    """One mount's record."""

    def __init__(self) -> None:
        self.state = ClaimState.FREE
        self.origin: OriginRecord | None = None
        """What the registry has of this node for the mount, while it is ours."""
        self.hold_off_until = 0.0
        """No standby tries to go on the air before, on ownership's clock."""
        self.wake: Event | None = None
        """Wakes the greenlet that waits for the standbys' turn, while there is one."""
        self._standbys: list[Standby] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is in it that would be missed."""
        return self.state is ClaimState.FREE and not self._standbys and self.wake is None

    def move(self, event: ClaimEvent) -> None:
        """Something has happened to the claim. Raises KeyError if it cannot happen now."""
        self.state = STEPS[self.state][event]
        if self.state not in (ClaimState.OWNED, ClaimState.YIELDED):
            self.origin = None

    # -- who stands by

    @property
    def standbys(self) -> tuple[Standby, ...]:
        """In the order in which they came."""
        return tuple(self._standbys)

    def first(self) -> Standby | None:
        """Returns whose turn comes next."""
        return self._standbys[0] if self._standbys else None

    def add(self, standby: Standby) -> None:
        """Puts a source last in the line."""
        self._standbys.append(standby)

    def remove(self, source: Source) -> bool:
        """Takes a source out of the line. Returns whether it stood by."""
        for standby in self._standbys:
            if standby.source is source:
                self._standbys.remove(standby)
                return True
        return False


class MountClaims:
    """The records of a node, by mount: those in which something is."""

    def __init__(self) -> None:
        self._by_mount: dict[str, MountClaim] = {}

    def __len__(self) -> int:
        return len(self._by_mount)

    def __iter__(self) -> Iterator[tuple[str, MountClaim]]:
        return iter(list(self._by_mount.items()))

    def get(self, mount: str) -> MountClaim | None:
        """Returns the mount's record, if there is anything in it."""
        return self._by_mount.get(mount)

    def get_or_create(self, mount: str) -> MountClaim:
        """Returns the mount's record, to put something into it before anything switches."""
        return self._by_mount.setdefault(mount, MountClaim())

    def origin(self, mount: str) -> "OriginRecord | None":
        """Returns what the registry has of this node for the mount, if the mount is ours."""
        claim = self._by_mount.get(mount)
        return claim.origin if claim is not None else None

    def wake(self, mount: str) -> None:
        """Wakes who waits for the standbys' turn, if somebody does."""
        claim = self._by_mount.get(mount)
        if claim is not None and claim.wake is not None:
            claim.wake.set()

    def drop_if_empty(self, mount: str) -> None:
        """Forgets a record in which nothing is any more."""
        claim = self._by_mount.get(mount)
        if claim is not None and claim.is_empty:
            del self._by_mount[mount]

    def remove(self, mount: str, source: Source) -> bool:
        """Takes a source out of the mount's line. Returns whether it stood by."""
        claim = self._by_mount.get(mount)
        stood_by = claim is not None and claim.remove(source)
        self.drop_if_empty(mount)
        return stood_by

    def pop_next(self, mount: str) -> Standby | None:
        """Takes the first source out of the mount's line and returns it."""
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
