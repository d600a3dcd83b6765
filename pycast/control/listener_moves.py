"""Listeners that go on with another mount: for good, to a fallback, and back again.

A listener remembers the mount that it asked for while it is on a fallback, so only those come back who came from there
(Icecast brings everybody back who is on the fallback, also those who had asked for it).
"""

import logging
from collections.abc import Callable

from pycast.net.hangups import Hangups
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.relocation import relocate

log = logging.getLogger(__name__)


class ListenerMoves:
    """Moves listeners between mounts of this node; each ends its frame first. All methods may switch."""

    def __init__(self, hangups: Hangups[tuple[Mount, Listener]]) -> None:
        self._hangups = hangups

    def for_good(self, mount: Mount, target: Mount) -> int:
        """Moves all listeners of `mount`. Returns how many."""
        return self._move(mount, target, lambda listener: True, lambda listener: "")

    def to_fallback(self, mount: Mount, fallback: Mount) -> int:
        """Moves all listeners of `mount`, who remember it. Returns how many."""
        # Who comes from a fallback already still wants to be where it asked to be.
        return self._move(
            mount, fallback, lambda listener: True, lambda listener: listener.requested_mount or mount.name
        )

    def back(self, mount: Mount, target: Mount) -> int:
        """Moves those listeners of `mount` who asked for `target`. Returns how many."""
        return self._move(mount, target, lambda listener: listener.requested_mount == target.name, lambda listener: "")

    def _move(
        self, mount: Mount, target: Mount, which: Callable[[Listener], bool], requested: Callable[[Listener], str]
    ) -> int:
        def note(moving: list[Listener]) -> None:
            for listener in moving:
                listener.requested_mount = requested(listener)
                self._hangups.change(listener.transport.fileno(), (target, listener))

        moved = relocate(mount, target, which, note)
        if moved:
            log.info("mount %s: %d listeners go on with %s", mount.name, len(moved), target.name)
        return len(moved)
