"""Finds the mount for a path: for listeners, fallbacks and an admin's orders.

A mount is looked for on this node first, then on the other nodes of the cluster (this node mirrors it from then on),
then in its chain of fallbacks. The caller need not know which node has a source.
"""

from typing import TYPE_CHECKING

from pycast.config.live import Live
from pycast.config.serving import first_shoutcast_mount
from pycast.control.on_demand import OnDemand
from pycast.http.mount_names import names_for_players
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.cluster.mirror.mirrors import Mirrors

# Icecast's limit, which also ends a chain of fallbacks that is a circle.
LONGEST_CHAIN = 10


class MountFinder:
    """The search for mounts by path. `mirrors` is None for a node that is in no cluster."""

    def __init__(self, settings: Live, mounts: Mounts, mirrors: "Mirrors | None", on_demand: OnDemand) -> None:
        self._settings = settings
        self._mounts = mounts
        self._mirrors = mirrors
        self._on_demand = on_demand

    def find(self, path: str) -> Mount | None:
        """Returns the mount of that name, or its fallback while it has no source. If no fallback has a source either,
        returns the mount that waits for its source, None if there is none. May switch; what it returns is right after
        the last switch.
        """
        self._start(path)
        mount = self.on_any_node(path)
        if mount is not None and mount.state is not MountState.LIVE:
            self._mounts.wait_until_known(path)
            mount = self._mounts.get(path)
        if mount is not None and mount.state is MountState.LIVE:
            return mount
        fallback = self.live(self._settings.now.for_mount(path).fallback_mount, path)
        # The search for a fallback may have taken seconds: the mount may have ended, or have its source again.
        mount = self._mounts.get(path)
        if fallback is None or (mount is not None and mount.state is MountState.LIVE):
            return mount
        return fallback

    def is_known(self, name: str) -> bool:
        """Whether there is such a mount: on this node, on another one, or in the configuration, by its exact name.
        Never switches.
        """
        return (
            self._mounts.get(name) is not None
            or (self._mirrors is not None and self._mirrors.has_origin(name))
            or self._settings.now.names_mount(name)
            or name in self._on_demand
        )

    def may_be_heard(self, name: str) -> bool:
        """Whether who asks for that mount gets a stream, if only a fallback, or may get one later. Never switches."""
        for _ in range(LONGEST_CHAIN):
            if not name or self.is_known(name):
                return bool(name)
            name = self._settings.now.for_mount(name).fallback_mount
        return False

    def meant_by(self, path: str) -> str:
        """Returns the mount that a player means by this path: that of this name, if there is one. Never switches."""
        names = names_for_players(path, first_shoutcast_mount(self._settings.now))
        if not names or self.is_known(path):
            return path
        return next(filter(self.is_known, names), path)

    def live(self, name: str, asked: str = "") -> Mount | None:
        """Returns the first mount that has a source, of `name` and its chain of fallbacks. With `asked` it is for the
        listeners of that mount, who may not hear one that asks for another login. May switch.
        """
        for _ in range(LONGEST_CHAIN):
            if not name:
                return None
            mount = None
            if not asked or self._settings.now.lets_on(asked, name):
                self._start(name)
                mount = self.on_any_node(name) if self.has_source(name) else None
            if mount is not None and mount.state is MountState.LIVE:
                return mount
            name = self._settings.now.for_mount(name).fallback_mount
        return None

    def on_this_node(self, name: str) -> Mount | None:
        """Returns the mount if this node has it, as a mirror too."""
        return self._mounts.get(name)

    def on_any_node(self, name: str) -> Mount | None:
        """Returns the mount of that name; if this node lacks it, mirrors it from another one. May switch."""
        found = self._mounts.get(name)
        return self._mirrors.open(name) if found is None and self._mirrors is not None else found

    def has_source(self, name: str) -> bool:
        """Whether the mount has a source, on this node or another one."""
        mount = self._mounts.get(name)
        return (
            self._mounts.is_opening(name)
            or (mount is not None and mount.state is MountState.LIVE)
            or (self._mirrors is not None and self._mirrors.has_source(name))
        )

    def _start(self, name: str) -> None:
        """Has a mount that is fed on demand get its source, if it has none. May switch."""
        if name in self._on_demand and not self.has_source(name):
            self._on_demand.start(name)
