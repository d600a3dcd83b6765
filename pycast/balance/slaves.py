"""Other servers that take the listeners for whom there is no room here: those that the configuration names, and slaves.

A slave asks its master for the list of streams again and again, and says in the query where it listens (icecast-kh's
`rserver`, `rport` and `interval`). As long as it does, listeners are sent there, each to the next server in turn.

Invariant: no more slaves are remembered than `server.max_redirect_slaves`, and none longer than its own interval and
`GRACE_S`.
"""

import logging
from collections.abc import Callable

from pycast.config.live import Live
from pycast.patterns import pattern

log = logging.getLogger(__name__)

# icecast-kh's: so much later than announced a slave may ask again.
GRACE_S = 10.0

# Who asks more often than icecast-kh takes for serious is not told apart from a program that tries things out.
LEAST_INTERVAL_S, LONGEST_INTERVAL_S = 5, 86_400

_HOST = pattern(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})|\[?[0-9A-Fa-f:.]{2,45}\]?")


class Slaves:
    """The servers for listeners who find no room here. Nothing in it switches."""

    def __init__(self, settings: Live, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._until: dict[tuple[str, int], float] = {}
        self._sent = 0

    def add(self, host: str, port: int, interval_s: int) -> bool:
        """Remembers a slave for its interval. Returns whether it is one that listeners may be sent to."""
        most, now, place = self._settings.now.server.max_redirect_slaves, self._clock(), (host.strip("[]"), port)
        is_valid = _HOST.fullmatch(host) and 1 <= port <= 65535 and LEAST_INTERVAL_S <= interval_s <= LONGEST_INTERVAL_S
        self._forget_silent(now)
        is_new = place not in self._until
        if not is_valid or (is_new and len(self._until) >= most):
            return False
        self._until[place] = now + interval_s + GRACE_S
        if is_new:
            log.info("listeners who find no room here are sent to %s port %d as well, a slave", *place)
        return True

    def next(self) -> tuple[str, int] | None:
        """Returns where the next listener is sent; None if there is no such server."""
        self._forget_silent(self._clock())
        # After a reload there may be more than are allowed now.
        slaves = list(self._until)[: self._settings.now.server.max_redirect_slaves]
        places = [*((one.host, one.port) for one in self._settings.now.redirect), *slaves]
        if not places:
            return None
        self._sent += 1
        return places[self._sent % len(places)]

    def _forget_silent(self, now: float) -> None:
        for place in [place for place, until in self._until.items() if until < now]:
            del self._until[place]
            log.info("listeners are not sent to %s port %d any more: the slave asks for no list", *place)
