"""What happens when a listener leaves, by itself or because we end it: its slot, the counters, the logs."""

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

# Why we end one listener: each has a line in the error log. Those who leave by themselves, or with their source, are in
# the access log.
SINGLED_OUT = frozenset({Reason.SLOW, Reason.EXPIRED, Reason.KILLED, Reason.BUG})


class HangupHandler:
    """Drops listeners whose connection has ended."""

    def __init__(self, settings: Live, mounts: Mounts, group: Group) -> None:
        self._settings = settings
        self._mounts = mounts
        self._group = group

    def on_hangup(self, watched: Watched, failed: bool) -> None:
        """Drops a listener that hung up; one that is only half-closed after its grace. Never switches."""
        mount, listener = watched
        grace = 0.0 if failed else self._settings.now.limits.half_close_grace
        if grace:  # one that has really gone resets the connection at the next write
            self._group.spawn_later(grace, "half-closed", self._drop, listener)
        else:
            mount.fanout.drop(listener, Reason.RESET if failed else Reason.CLOSED)

    def _drop(self, listener: Listener) -> None:
        """It may have moved to another mount meanwhile."""
        for mount in self._mounts:
            if mount.fanout.get(listener.id) is listener:
                mount.fanout.drop(listener, Reason.CLOSED)


class ListenerEnd:
    """Closes the books on listeners that leave."""

    def __init__(self, hangups: Hangups[Watched], admission: Admission, counters: Counters, logs: LogSet) -> None:
        self._hangups = hangups
        self._admission = admission
        self._counters = counters
        self._logs = logs

    def on_listener_left(self, event: ListenerLeft) -> None:
        """Frees the listener's slot, counts and logs it. Its connection is still open, and closed next."""
        listener, reason, who = event.listener, event.reason, event.listener.identity
        self._hangups.forget(listener.transport.fileno())
        self._admission.leave()
        self._counters.slow_listeners += reason is Reason.SLOW
        level = logging.INFO if reason in SINGLED_OUT else logging.DEBUG
        log.log(level, "> mount %s: listener %d (%s) %s", event.mount, listener.id, who.ip, reason.value)
        self._logs.log_access(
            AccessEntry(
                ip=who.ip,
                user=who.user,
                ended=time.time(),
                method=who.method,
                path=who.path,
                protocol=who.protocol,
                status=200,
                bytes_sent=listener.sent,
                referer=who.referer,
                agent=who.user_agent,
                duration_s=time.monotonic() - listener.joined,
            )
        )
