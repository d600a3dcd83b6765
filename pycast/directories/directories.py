"""All directories that the configuration names, each with a greenlet of its own; a reload adds and removes some.

Nothing is loaded for it before there is one. Invariant: there is one `Directory` for each section in force.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pycast.config.live import Live
from pycast.control.own_address import OwnAddress
from pycast.net.group import Group, Task
from pycast.net.ticks import sleep_until_tick
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.directories.directory import Directory

log = logging.getLogger(__name__)

LOOK_S = 1.0

# At a stop, the time for all directories together to be told.
LAST_WORDS_S = 0.5


class Directories:
    """The directories of a node."""

    def __init__(
        self,
        settings: Live,
        mounts: Mounts,
        address: OwnAddress,
        listeners: Callable[[Mount], int],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._mounts = mounts
        self._address = address
        self._listeners = listeners
        self._clock = clock
        self._group = Group()
        self._running: list[tuple[Directory, Task]] = []

    def run(self) -> None:
        """Follows the configuration, for ever. May switch."""
        while True:
            self.refresh()
            sleep_until_tick(LOOK_S)

    def refresh(self) -> None:
        """Begins with the sections that are new, and ends with those that are gone: their entries are removed."""
        wanted = list(self._settings.now.directory)
        for one in list(self._running):
            directory, task = one
            if directory.section in wanted:
                wanted.remove(directory.section)
            else:
                self._running.remove(one)
                task.kill(block=False)
                self._group.spawn(f"leave {directory.section.yp_url}", directory.remove_all)
        for section in wanted:
            from pycast.directories.catalogue import Catalogue  # not before there is one: it loads urllib3
            from pycast.directories.directory import Directory

            streams = Catalogue(self._settings, self._mounts, self._address, self._listeners)
            directory = Directory(section, streams, lambda: self._settings.now.server.server_id, self._clock)
            self._running.append((directory, self._group.spawn_forever(f"tell {section.yp_url}", directory.run)))

    def stop(self) -> None:
        """Removes all entries, as far as that is possible in `LAST_WORDS_S`, and ends. May switch."""
        for directory, task in self._running:
            task.kill(block=False)
            self._group.spawn(f"leave {directory.section.yp_url}", directory.remove_all)
        self._running.clear()
        self._group.join(LAST_WORDS_S)
        self._group.kill()
