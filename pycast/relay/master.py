"""All the mounts of another server: its list, read again and again.

A list that is short, cut off, or not there at all takes nothing away: what is not in the list of a master that answers
is retired, which means that it goes on for as long as it has a stream. So no relay ever ends because of a list.
"""

import logging
import time
from collections.abc import Callable

import gevent

from pycast.config.live import Live
from pycast.config.relay_sections import MasterSection
from pycast.relay.dial import Dialler, Listing, UpstreamFailed
from pycast.relay.place import Place, RelaySpec, places_of_list
from pycast.relay.stream_list import is_whole, places_in

log = logging.getLogger(__name__)

# Bytes of a list: ten thousand names.
LONGEST_LIST = 1 << 20


class Master:
    """The reader of a master's list: `run` it in a greenlet of its own."""

    def __init__(
        self,
        settings: Live,
        dialler: Dialler,
        changed: Callable[[], object],
        own: Callable[[], tuple[str, int] | None] = lambda: None,
    ) -> None:
        """`changed` is called after a list was read, and must not switch. `own` returns where this server serves
        listeners without TLS, if it does.
        """
        self.specs: dict[str, RelaySpec] = {}
        """The relays that the last whole list asks for, and what the lists since then have added."""
        self._settings = settings
        self._dialler = dialler
        self._changed = changed
        self._own = own
        self._has_failed = False
        self._is_plain: MasterSection | None = None
        """The master, if it has only the list that every Icecast has."""

    def run(self) -> None:
        """Reads the list for ever. May switch."""
        while True:
            master = self._settings.now.master
            if master.server:
                self.read(master)
            begun = time.monotonic()
            # A reload may have changed the interval, or the master.
            while time.monotonic() - begun < self._settings.now.master.update_interval:
                gevent.sleep(min(1.0, self._settings.now.master.update_interval))
                if self._settings.now.master != master:
                    break

    def read(self, master: MasterSection) -> None:
        """Reads the list once. May switch."""
        try:
            place, listing = self._ask(master)
        except UpstreamFailed as error:
            self._tell(f"the list of mounts of {master.server} cannot be read: {error}")
            return
        complete = listing.is_whole and is_whole(listing.body)
        body = listing.body if complete else listing.body.rpartition(b"\n")[0]
        found = {
            mount: RelaySpec(mount, (one,), master.relays_on_demand, master.run_on)
            for mount, one in places_in(body, place).items()
        }
        if complete:
            self._tell("")
        else:
            self._tell(f"the list of mounts at {place.url} broke off: what is missing in it stays")
        self.specs = found if complete else self.specs | found
        self._changed()

    def _ask(self, master: MasterSection) -> tuple[Place, Listing]:
        """Returns the list and where it is. Raises UpstreamFailed. May switch."""
        for_servers, for_all = places_of_list(master, self._own())
        if self._is_plain != master:
            try:
                return for_servers, self._dialler.document(for_servers, LONGEST_LIST)
            except UpstreamFailed as error:
                if not 400 <= error.status < 500:
                    raise
        listing = self._dialler.document(for_all, LONGEST_LIST)
        self._is_plain = master  # not asked again for what it does not have
        return for_all, listing

    def _tell(self, why: str) -> None:
        """Logs a failure, and its end, once."""
        if bool(why) != self._has_failed:
            self._has_failed = bool(why)
            if why:
                log.warning("master: %s. It is tried again; its relays go on", why)
            else:
                log.info("master: the list of mounts is read again")
