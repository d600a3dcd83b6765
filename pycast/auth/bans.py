"""Who may not connect at all: the addresses in `paths.deny_ip`, those that are not in `paths.allow_ip`, and the players
in `paths.deny_agents`. It holds for everybody, listeners, sources and admins, as in Icecast.

The files are looked at every `LOOK_S`; listeners who are connected and may not be any longer are disconnected then.
Without a list, because its file could not be read yet, nobody is denied, and nobody is allowed.

Proxies in `listen.trusted_proxies` are never refused themselves: their clients are, who have addresses of their own,
and a proxy's health check has to be answered.

Refusals are many and have one cause, so they are counted, and the log has a line now and then. While no list is named,
all this costs is a look at `is_on`.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from gevent.lock import Semaphore

from pycast.config.live import Live
from pycast.errors import Refused
from pycast.logs.seldom import Seldom
from pycast.net.ticks import sleep_until_tick
from pycast.net.turns import in_turns
from pycast.stats.counters import Counters
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.auth.ban_files import BanFiles

log = logging.getLogger(__name__)

# How often the files are looked at. A changed one is read at the second look.
LOOK_S = 2.0


class Banned(Refused):
    """A request of somebody who may not connect. Without a proxy in between, there is no answer to it."""


class Bans:
    """The lists of those who may not connect."""

    def __init__(self, settings: Live, mounts: Mounts, counters: Counters, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._mounts = mounts
        self._counters = counters
        self._seldom = Seldom(clock)
        self._files: BanFiles | None = None
        self._reading = Semaphore()

    @property
    def is_on(self) -> bool:
        """Whether there is a list. Without one nothing needs to be asked."""
        return self._files is not None

    def refuses(self, ip: str, agent: str = "") -> bool:
        """Whether a client may not connect; counts and logs it then. Never switches."""
        why = self._files.why(ip, agent) if self._files is not None else ""
        if not why:
            return False
        self._counters.banned += 1
        if count := self._seldom.due():
            log.info("! %s: refused, %s; refused since the last such line: %d", ip, why, count)
        return True

    def check(self, ip: str, agent: str) -> None:
        """Raises Banned for a client who may not connect. Never switches."""
        if self.refuses(ip, agent):
            raise Banned("Forbidden", cause="it is in a list of those who may not connect")

    def is_refused(self, ip: str, agent: str) -> bool:
        """Whether a client may not connect; does not count it. Never switches."""
        return self._files is not None and bool(self._files.why(ip, agent))

    def refresh(self, *, now: bool = True) -> None:
        """Reads the files again, or only those that have changed, and disconnects listeners who may not be connected
        any longer. May switch.
        """
        with self._reading:
            config = self._settings.now
            if not (config.paths.deny_ip or config.paths.allow_ip or config.paths.deny_agents):
                self._files = None
                return
            from pycast.auth.ban_files import BanFiles  # not at the start of a server that bans nobody

            files = self._files or BanFiles()
            has_changed = files.refresh(config, now=now)
            self._files = files
            if has_changed:
                self._disconnect()

    def run(self) -> None:
        """Reads what has changed, for ever. May switch."""
        while True:
            sleep_until_tick(LOOK_S)
            if self._files is not None:
                self.refresh(now=False)

    def _disconnect(self) -> None:
        listeners = in_turns(listener for mount in self._mounts for listener in mount.fanout)
        refused = [one for one in listeners if self.is_refused(one.identity.ip, one.identity.user_agent)]
        for listener in refused:
            mount = self._mount_of(listener)  # others had their turn meanwhile: it may have moved, or left
            if mount is not None:
                mount.fanout.drop(listener, Reason.BANNED)
                self._counters.banned += 1
        if refused:
            log.info("%d listeners were disconnected: they are in a list of those who may not connect", len(refused))

    def _mount_of(self, listener: Listener) -> Mount | None:
        return next((mount for mount in self._mounts if mount.fanout.get(listener.id) is listener), None)
