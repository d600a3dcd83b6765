"""What happens when a listener leaves or is dropped: its slot is freed, counters and logs are written."""

import logging
import time

from pycast.balance.admission import Admission
from pycast.config.live import Live
from pycast.logs.access import AccessEntry
from pycast.logs.log_set import LogSet
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.stats.counters import Counters
from pycast.stream.events import ListenerLeft
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts

log = logging.getLogger(__name__)

Watched = tuple[Mount, Listener]

# Reasons to drop a single listener. They are logged at INFO, all others at DEBUG; the access log has a line for each.
SINGLED_OUT = frozenset({Reason.SLOW, Reason.EXPIRED, Reason.KILLED, Reason.BUG})


class HangupHandler:
    """The handler of listeners' hang-ups."""

    def __init__(self, settings: Live, mounts: Mounts, group: Group) -> None:
        self._settings = settings
        self._mounts = mounts
        self._group = group

    def on_hangup(self, watched: Watched, failed: bool) -> None:
        """Drops a listener whose connection failed or closed; one that is half-closed after
        `limits.half_close_grace`. Never switches.
        """
        mount, listener = watched
        grace = 0.0 if failed else self._settings.now.limits.half_close_grace
        if grace:  # a peer that has closed completely resets the connection at the next write, which ends it earlier
            self._group.spawn_later(grace, "half-closed", self._drop, listener)
        else:
            mount.fanout.drop(listener, Reason.RESET if failed else Reason.CLOSED)

    def _drop(self, listener: Listener) -> None:
        # It may have moved to another mount meanwhile.
        for mount in self._mounts:
            if mount.fanout.get(listener.id) is listener:
                mount.fanout.drop(listener, Reason.CLOSED)


class ListenerEnd:
    """The bookkeeping for listeners that have left."""

    def __init__(self, hangups: Hangups[Watched], admission: Admission, counters: Counters, logs: LogSet) -> None:
        self._hangups = hangups
        self._admission = admission
        self._counters = counters
        self._logs = logs

    def on_listener_left(self, event: ListenerLeft) -> None:
        """Frees the listener's slot, counts and logs it. Its connection is still open; the fan-out closes it next."""
        listener, reason, identity = event.listener, event.reason, event.listener.identity
        self._hangups.forget(listener.transport.fileno())
        self._admission.leave()
        self._counters.slow_listeners += reason is Reason.SLOW
        self._counters.listeners_of_other_format += reason is Reason.OTHER_FORMAT
        level = logging.INFO if reason in SINGLED_OUT else logging.DEBUG
        log.log(level, "> mount %s: listener %d (%s) %s", event.mount, listener.id, identity.ip, reason.value)
        self._logs.log_access(
            AccessEntry(
                ip=identity.ip,
                user=identity.user,
                ended=time.time(),
                method=identity.method,
                path=identity.path,
                protocol=identity.protocol,
                status=200,
                bytes_sent=listener.sent,
                referer=identity.referer,
                agent=identity.user_agent,
                duration_s=time.monotonic() - listener.joined,
            ),
            listener.requested_mount or event.mount,
        )
