"""Where listeners go while their mount has no source, and how they come back.

When a mount begins to wait for its source, its listeners go on with the first mount of its chain of fallbacks that has
one, and remember where they wanted to be: only they come back when that has a source again (Icecast brings everybody
who is on the fallback, also those who had asked for it). It makes no difference on which node of a cluster a source is:
each node looks after its own listeners.
"""

import logging
from typing import TYPE_CHECKING

from pycast.cluster.registry.cluster_state import Change, OriginChange
from pycast.stream.mount import Mount, MountState

if TYPE_CHECKING:
    from pycast.server.service import Service

log = logging.getLogger(__name__)

# Icecast's limit: a chain that leads into a circle ends somewhere.
LONGEST_CHAIN = 10


class Fallbacks:
    """Hears of mounts that lose or get a source."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        if service.cluster:
            service.cluster.registry.state.on_change.append(self._on_change)

    def find(self, name: str) -> Mount | None:
        """The first mount that has a source, of `name` and its fallbacks. May switch."""
        for _ in range(LONGEST_CHAIN):
            mount = self._running(name)
            if mount is not None or not name:
                return mount
            name = self._service.config.for_mount(name).fallback_mount
        return None

    def next_of(self, mount: Mount) -> Mount | None:
        """Where its listeners can go on. May switch."""
        name = mount.settings.fallback_mount
        other = self.find(name) if name else None
        return other if other is not None and other is not mount and other.family == mount.family else None

    def state_changed(self, mount: Mount) -> None:
        """A mount has a source now, or has lost it. Never switches."""
        if mount.state is MountState.WAITING and mount.settings.fallback_mount:
            self._service.group.spawn(f"fallback of {mount.name}", self._send_away, mount)
        elif mount.state is MountState.LIVE:
            self._service.group.spawn(f"back to {mount.name}", self._bring_back, mount.name)

    def _running(self, name: str) -> Mount | None:
        mount = self._service.mounts.get(name)
        if mount is not None and mount.state is MountState.LIVE:
            return mount
        cluster = self._service.cluster
        found = cluster.find(name) if cluster is not None and cluster.has_source(name) else None
        return found if found is not None and found.state is MountState.LIVE else None

    def _send_away(self, mount: Mount) -> None:
        other = self.next_of(mount)
        if other is not None and mount.state is not MountState.LIVE:
            self._service.local.send_to_fallback(mount, other)

    def _bring_back(self, name: str) -> None:
        """Those who wanted to be there, from wherever they are."""
        if not self._service.config.for_mount(name).fallback_override:
            return
        for mount in self._service.mounts:
            if any(listener.requested_mount == name for listener in mount.fanout):
                self._service.local.bring_back(mount.name, name)

    def _on_change(self, change: Change) -> None:
        """A source on another node is news for listeners who wait for it here on a fallback."""
        if not isinstance(change, OriginChange) or change.after is None or not change.after.is_live:
            return
        if self._service.config.for_mount(change.mount).fallback_override:
            self._service.group.spawn(f"back to {change.mount}", self._bring_back, change.mount)
