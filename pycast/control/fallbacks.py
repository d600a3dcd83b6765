"""Moves listeners to a fallback while their mount has no source, and back when it has one again.

When a mount starts to wait for its source, its listeners are moved to the first member of its chain of fallbacks that
has audio: a mount with a source, a file, silence. When the mount has a source again, those who came from it are moved
back, or all who are on that fallback, as `fallback_override` says. Who could not go on with it is disconnected from a
file, and stays on another mount. Each node of a cluster moves its own listeners,
whichever node has the source.
"""

import logging
from typing import TYPE_CHECKING

from pycast.config.live import Live
from pycast.config.mount_settings import is_local
from pycast.control.listener_moves import ListenerMoves
from pycast.control.local_streams import MOST_SAID
from pycast.control.mount_finder import MountFinder
from pycast.control.sound_match import difference, is_noise_after
from pycast.net.group import Group
from pycast.stream.events import MountStateChanged
from pycast.stream.fanout import Reason
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.cluster.registry.cluster_state import OriginChanged


log = logging.getLogger(__name__)


class Fallbacks:
    """The moves of listeners when mounts lose or get a source."""

    def __init__(self, settings: Live, mounts: Mounts, finder: MountFinder, moves: ListenerMoves, group: Group) -> None:
        self._settings = settings
        self._mounts = mounts
        self._finder = finder
        self._moves = moves
        self._group = group
        self._said: set[tuple[str, ...]] = set()

    def next_of(self, mount: Mount) -> Mount | None:
        """Returns the first fallback that has audio and that the players of the mount's listeners can go on with. May
        switch.
        """
        return self._finder.fallback_of(mount.name, lambda other: other is not mount and self._suits(mount, other))

    def _suits(self, mount: Mount, other: Mount) -> bool:
        """Whether players can go on with a fallback; logs once if not."""
        found = difference(mount, other)
        if found is None:
            return True
        about = mount.name, other.name, *reversed(found)
        if about not in self._said and len(self._said) < MOST_SAID:
            self._said.add(about)
            log.warning("mount %s: its fallback %s is %s and no %s: not used", *about)
        return False

    def on_mount_state_changed(self, event: MountStateChanged) -> None:
        """Starts to move listeners to the fallback, or back. Never switches."""
        self._finder.on_mount_state_changed(event)
        if event.state is MountState.WAITING and self._finder.first_fallback(event.mount):
            self._group.spawn(f"fallback of {event.mount}", self._move_to_fallback, event.mount)
        elif event.state is MountState.LIVE:
            self._group.spawn(f"back to {event.mount}", self._move_back, event.mount)

    def on_origin_changed(self, event: "OriginChanged") -> None:
        """Starts to move listeners back from a fallback when another node gets the mount's source. Never switches."""
        if event.after is None or not event.after.is_live:
            return
        if self._settings.now.for_mount(event.mount).fallback_override != "none":
            self._group.spawn(f"back to {event.mount}", self._move_back, event.mount)

    def _move_to_fallback(self, name: str) -> None:
        mount = self._mounts.get(name)
        other = self.next_of(mount) if mount is not None else None
        if mount is not None and other is not None and mount.state is not MountState.LIVE:
            self._moves.to_fallback(mount, other)

    def _move_back(self, name: str) -> None:
        """Moves listeners back, from whatever mount they are on. May switch."""
        settings = self._settings.now.for_mount(name)
        if settings.fallback_override == "none":
            return
        other = self._finder.live(settings.fallback_mount) if settings.fallback_override == "all" else None
        for mount in self._mounts:
            asked = self._finder.asked_by_way_of(name, mount)
            if not asked and mount is not other:
                continue
            target = self._finder.live(name)
            if target is None or target is mount or target.name != name:
                continue
            if target.family != mount.family or is_noise_after(mount, target):
                _disconnect(mount, target)
            elif mount is other:
                self._moves.all_back(mount, target)
            else:
                self._moves.back(mount, target, asked)


def _disconnect(mount: Mount, target: Mount) -> None:
    """Disconnects those who asked for `target` and hear what this node plays in its place, after which their players
    cannot play it: they would hear that until somebody stops them, and if they connect again they hear the target.
    """
    if not is_local(mount.name):
        return
    leaving = [listener for listener in mount.fanout if listener.requested_mount == target.name]
    for listener in leaving:
        mount.fanout.drop(listener, Reason.OTHER_FORMAT)
    if leaving:
        log.info(
            "mount %s: %d listeners of %s are disconnected: their players cannot go on, but hear it if they come again",
            *(target.name, len(leaving), mount.name),
        )
