"""The life of a mount as a table: which state follows from which event."""

from enum import Enum


class MountState(Enum):
    """A stage in the life of a mount."""

    IDLE = "idle"
    LIVE = "live"
    WAITING = "waiting"
    ENDED = "ended"


class MountEvent(Enum):
    """A cause of a change of state."""

    SOURCE_STARTED = "source started"
    SOURCE_ENDED = "source ended"
    GRACE_OVER = "grace over"


LIFE: dict[MountState, dict[MountEvent, MountState]] = {
    MountState.IDLE: {MountEvent.SOURCE_STARTED: MountState.LIVE, MountEvent.GRACE_OVER: MountState.ENDED},
    # A takeover starts the new source while the old one is still there.
    MountState.LIVE: {MountEvent.SOURCE_STARTED: MountState.LIVE, MountEvent.SOURCE_ENDED: MountState.WAITING},
    MountState.WAITING: {MountEvent.SOURCE_STARTED: MountState.LIVE, MountEvent.GRACE_OVER: MountState.ENDED},
    MountState.ENDED: {},
}
