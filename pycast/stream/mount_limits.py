"""What a mount's settings allow its listeners: how many there may be, how much they may get, and for how long.

All of it counts on this node only. Bandwidth is what the listeners need, not what they got in the last seconds: a new
one counts at once, so that a storm does not come in before it is measured. The one invariant: nothing here switches.
"""

import logging
from collections.abc import Callable

from pycast.config.mount_settings import MountSettings
from pycast.errors import Refused
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.placement import FALLBACK_BITRATE

log = logging.getLogger(__name__)

# A source of this age has sent its backlog, and its average is its bitrate.
MEASURED_S = 10.0

# What a refused listener is told: how long to wait.
RETRY_AFTER = ("Retry-After", "30")


class NoRoom(Refused):
    """A listener beyond a limit of listeners or bandwidth."""


def admit(mount: Mount, settings: MountSettings | None = None, listeners: int | None = None) -> None:
    """Raises Refused if the mount takes no more listeners: it is full (NoRoom), or over. `settings` and `listeners` are
    those of the mount that was asked for, if a file is played in its place.
    """
    if mount.state is MountState.ENDED:
        raise Refused("The file you requested could not be found", status=404, cause=f"{mount.name} is over")
    settings = mount.settings if settings is None else settings
    listeners = len(mount.fanout) if listeners is None else listeners
    if 0 <= settings.max_listeners <= listeners:
        raise NoRoom("max listeners reached", cause=f"{mount.name} has its {settings.max_listeners} listeners")
    if settings.max_bandwidth and (listeners + 1) * rate_of(mount) > settings.max_bandwidth:
        raise NoRoom(
            "max bandwidth reached",
            status=503,
            cause=f"{mount.name} has its {settings.max_bandwidth} bit/s",
            headers=(RETRY_AFTER,),
        )


def rate_of(mount: Mount) -> float:
    """Returns the bits per second that a listener of the mount gets: what the stream says of itself, else what its
    source has sent so far.
    """
    if mount.bitrate:
        return mount.bitrate
    age, sent = mount.source_age_s(), mount.ring.head - max(mount.started_at, 0)
    return 8 * sent / age if sent and age >= MEASURED_S else FALLBACK_BITRATE


def expire(
    mount: Mount,
    now: float,
    duration_of: Callable[[str], float] = lambda name: 0.0,
    *,
    may_have_limit: bool = True,
) -> None:
    """Drops listeners whose time is over, and all of them if there was no audio for longer than they bear; `now` is on
    the same clock as `Listener.joined`.

    The time of a listener is its own `time_limit`, else the `max_listener_duration` of the mount that it asked for, as
    in Icecast; `duration_of` returns that of another mount than this. Unless `may_have_limit`, no listener has one, and
    nobody has to be looked at.
    """
    patience = mount.settings.longest_silence
    if now - mount.last_audio >= patience and len(mount.fanout):
        log.info("mount %s: no audio for %g s, its listeners are disconnected", mount.name, patience)
        mount.fanout.drop_all(Reason.SILENT)
    limit = mount.settings.max_listener_duration
    if not limit and not may_have_limit:
        return
    for listener in mount.fanout:
        allowed = listener.time_limit or (duration_of(listener.requested_mount) if listener.requested_mount else limit)
        if allowed and now - listener.joined >= allowed:
            mount.fanout.drop(listener, Reason.EXPIRED)
