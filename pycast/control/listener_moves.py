"""Moves of listeners between mounts: for good, to a fallback, and back again.

A listener on a fallback keeps the name of the mount that it asked for, so that only those that came from there can be
moved back. (Icecast 2.4 moves all listeners of the fallback back, also those that had asked for the fallback itself.)

A move waits until a pass of the fan-out ends. Listeners move only if the target has a source then.
"""

import logging
from collections.abc import Callable, Collection

from pycast.net.hangups import Hangups
from pycast.stream.events import ListenersMoved, StreamEvents
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.relocation import relocate

log = logging.getLogger(__name__)


class ListenerMoves:
    """Moves between mounts of this node. A listener ends its frame first. All methods may switch."""

    def __init__(self, hangups: Hangups[tuple[Mount, Listener]], events: StreamEvents) -> None:
        self._hangups = hangups
        self._events = events

    def for_good(self, mount: Mount, target: Mount) -> int:
        """Moves all listeners of `mount` to `target`, which they stay on. Returns how many."""
        return self._move(mount, target, lambda listener: True, lambda listener: "", lambda: _is_live(target))

    def to_fallback(self, mount: Mount, fallback: Mount) -> int:
        """Moves all listeners of `mount`, unless it has a source again, to `fallback`, from where `back` can return
        them. Returns how many.
        """
        # A listener that is on a fallback already keeps the mount that it asked for first.
        return self._move(
            mount,
            fallback,
            lambda listener: True,
            lambda listener: listener.requested_mount or mount.name,
            lambda: _is_live(fallback) and not _is_live(mount),
        )

    def back(self, mount: Mount, target: Mount, asked: Collection[str] = ()) -> int:
        """Moves those listeners of `mount` that asked for `target`, or for one of `asked`, whose fallback `target` is.
        Returns how many.
        """
        return self._move(
            mount,
            target,
            lambda listener: listener.requested_mount in (target.name, *asked),
            lambda listener: "" if listener.requested_mount == target.name else listener.requested_mount,
            lambda: _is_live(target),
        )

    def all_back(self, mount: Mount, target: Mount) -> int:
        """Moves all listeners of `mount`, the fallback of `target`, whatever they asked for. Returns how many."""
        return self._move(mount, target, lambda listener: True, lambda listener: "", lambda: _is_live(target))

    def _move(
        self,
        mount: Mount,
        target: Mount,
        which: Callable[[Listener], bool],
        requested: Callable[[Listener], str],
        is_wanted: Callable[[], bool],
    ) -> int:
        def note(moving: list[Listener]) -> None:
            for listener in moving:
                listener.requested_mount = requested(listener)
                self._hangups.change(listener.transport.fileno(), (target, listener))

        moved = relocate(mount, target, which, note, is_wanted)
        if moved:
            log.info("mount %s: moved %d listeners to %s", mount.name, len(moved), target.name)
            self._events.listeners_moved.emit(ListenersMoved(mount.name, target.name))
        return len(moved)


def _is_live(mount: Mount) -> bool:
    return mount.state is MountState.LIVE
