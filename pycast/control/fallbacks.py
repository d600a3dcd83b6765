"""Where listeners go while their mount has no source, and how they come back.

When a mount begins to wait for its source, its listeners go on with the first mount of its chain of fallbacks that has
one; when it has a source again they come back. It makes no difference on which node of a cluster a source is: each node
looks after its own listeners.
"""

from typing import TYPE_CHECKING

from pycast.config.live import Live
from pycast.control.listener_moves import ListenerMoves
from pycast.control.mount_finder import MountFinder
from pycast.net.group import Group
from pycast.stream.events import MountStateChanged
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.cluster.registry.cluster_state import OriginChanged


class Fallbacks:
    """Moves listeners when mounts lose or get a source."""

    def __init__(self, settings: Live, mounts: Mounts, finder: MountFinder, moves: ListenerMoves, group: Group) -> None:
        self._settings = settings
        self._mounts = mounts
        self._finder = finder
        self._moves = moves
        self._group = group

    def next_of(self, mount: Mount) -> Mount | None:
        """Returns where the mount's listeners can go on. May switch."""
        other = self._finder.live(mount.settings.fallback_mount)
        return other if other is not None and other is not mount and other.family == mount.family else None

    def on_mount_state_changed(self, event: MountStateChanged) -> None:
        """Sends listeners away, or brings them back. Never switches."""
        settings = self._settings.now.for_mount(event.mount)
        if event.state is MountState.WAITING and settings.fallback_mount:
            self._group.spawn(f"fallback of {event.mount}", self._send_away, event.mount)
        elif event.state is MountState.LIVE:
            self._group.spawn(f"back to {event.mount}", self._bring_back, event.mount)

    def on_origin_changed(self, event: "OriginChanged") -> None:
        """A source on another node is news for listeners who wait for it here on a fallback. Never switches."""
        if event.after is None or not event.after.is_live:
            return
        if self._settings.now.for_mount(event.mount).fallback_override:
            self._group.spawn(f"back to {event.mount}", self._bring_back, event.mount)

    def _send_away(self, name: str) -> None:
        mount = self._mounts.get(name)
        other = self.next_of(mount) if mount is not None else None
        if mount is not None and other is not None and mount.state is not MountState.LIVE:
            self._moves.to_fallback(mount, other)

    def _bring_back(self, name: str) -> None:
        """Moves those who asked for the mount, from wherever they are."""
        if not self._settings.now.for_mount(name).fallback_override:
            return
        for mount in self._mounts:
            if any(listener.requested_mount == name for listener in mount.fanout):
                target = self._finder.live(name)
                if target is not None and target.name == name and target.family == mount.family:
                    self._moves.back(mount, target)
