"""Finds the mount for a path: for listeners, fallbacks and an admin's orders.

A mount is looked for on this node first, then on the other nodes of the cluster (this node mirrors it from then on),
then in its chain of fallbacks, of which a member may be a file or silence. The caller need not know which node has a
source.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pycast.config.live import Live
from pycast.config.mount_settings import is_local
from pycast.config.serving import first_shoutcast_mount
from pycast.control.local_streams import LocalStreams
from pycast.control.on_demand import OnDemand
from pycast.http.mount_names import names_for_players
from pycast.stream.events import MountStateChanged
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:
    from pycast.cluster.mirror.mirrors import Mirrors

# Icecast's limit, which also ends a chain of fallbacks that is a circle.
LONGEST_CHAIN = 10

# Mounts for which an admin's order is remembered.
MOST_ORDERS = 1000


class MountFinder:
    """The search for mounts by path. `mirrors` is None for a node that is in no cluster."""

    def __init__(
        self,
        settings: Live,
        mounts: Mounts,
        mirrors: "Mirrors | None",
        on_demand: OnDemand,
        local: LocalStreams | None = None,
    ) -> None:
        self._settings = settings
        self._mounts = mounts
        self._mirrors = mirrors
        self._on_demand = on_demand
        self._local = local
        self._ordered: dict[str, str] = {}
        """The fallbacks that admins have ordered."""
        self._used: set[str] = set()
        """Those of mounts whose source has ended since."""

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
        fallback = self.fallback_of(path)
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

    def is_on_demand(self, name: str) -> bool:
        """Whether this node fetches the mount when somebody asks for it. Never switches."""
        return name in self._on_demand

    def played_by_others(self) -> list[str]:
        """Returns the mounts of the configuration, by exact names, that have no source, and a fallback that has one.
        Never switches.
        """
        names = (section.mount_name or "" for section in self._settings.now.mount if section.fallback_mount)
        return [
            name
            for name in dict.fromkeys(names)
            if self._settings.now.names_mount(name)
            and not self.has_source(name)
            and any(map(self.has_source, self.chain(name)))
        ]

    def is_open(self, name: str) -> bool:
        """Whether listeners may ask for the mount of that name, if it is one. Never switches."""
        settings = self._settings.now.for_mount(name)
        if settings.allow_direct_access and not settings.no_mount:
            return True
        return not (self.is_known(name) or self._settings.now.describes_mount(name))

    def may_be_heard(self, name: str) -> bool:
        """Whether who asks for that mount gets a stream, if only a fallback, or may get one later. Never switches."""
        if not self.is_open(name):
            return False
        return any(map(self.is_known, self.chain(name)))

    def is_resting(self, path: str) -> bool:
        """Whether who asks for this path wakes a source that is fed on demand. Never switches."""
        for name in self.chain(path):
            if self.has_source(name):
                return False
            if name in self._on_demand and (name == path or self._settings.now.lets_on(path, name)):
                return True
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
        for one in self.chain(name):
            if (mount := self._with_source(one, asked)) is not None:
                return mount
        return None

    def fallback_of(self, path: str, suits: Callable[[Mount], bool] = lambda mount: True) -> Mount | None:
        """Returns what listeners of that mount hear while it has no source: of its chain of fallbacks the first mount
        that has one and suits, or file. May switch.
        """
        before = self._mounts.get(path)
        # A section of type "default" may give a fallback to all mounts. To any other address than that of a mount it
        # gives none that is always there, or each wrong address and each page would be a stream.
        is_mount = before is not None or self._settings.now.describes_mount(path)
        for one in self.chain(self.first_fallback(path)):
            if (mount := self._with_source(one, path)) is not None and suits(mount):
                return mount
            if is_mount and self._local is not None and (mount := self._local.open(one, path, before)) is not None:
                return mount
        return None

    def chain(self, name: str) -> Iterator[str]:
        """Yields a mount and its fallbacks, as they are configured at the time."""
        for _ in range(LONGEST_CHAIN):
            if not name:
                return
            yield name
            name = self.first_fallback(name)

    def asked_by_way_of(self, name: str, mount: Mount) -> set[str]:
        """Returns the mounts that listeners on `mount` asked for who would rather be on the mount `name`."""
        asked = {listener.requested_mount for listener in mount.fanout} - {""}
        if is_local(mount.name):
            # The last in a chain of fallbacks: any of the others is better.
            return {one for one in asked if name in self.chain(one)}
        return asked & {name}

    def would_come_back(self, name: str) -> bool:
        """Whether somebody hears a fallback who is moved to the mount as soon as it has a source."""
        _, *others = self.chain(name)
        if not others or self._settings.now.for_mount(name).fallback_override == "none":
            return False
        places = [mount for mount in self._mounts if mount.name in others or is_local(mount.name)]
        return any(self.asked_by_way_of(name, mount) for mount in places)

    def first_fallback(self, name: str) -> str:
        """Returns the fallback of a mount: that of an admin's order, else the configured one; empty for none."""
        ordered = self._ordered.get(name)
        return self._settings.now.for_mount(name).fallback_mount if ordered is None else ordered

    def order_fallback(self, name: str, fallback: str) -> None:
        """Puts `fallback` in place of the configured one, until the mount has another source than now."""
        self._ordered.pop(name, None)
        self._ordered[name] = fallback
        self._used.discard(name)
        if len(self._ordered) > MOST_ORDERS:
            del self._ordered[next(iter(self._ordered))]

    def on_mount_state_changed(self, event: MountStateChanged) -> None:
        """Forgets an admin's order when the source for which it was given has been followed by another one."""
        if event.mount not in self._ordered:
            return
        if event.state is not MountState.LIVE:
            self._used.add(event.mount)
        elif event.mount in self._used:
            self._used.discard(event.mount)
            del self._ordered[event.mount]

    def _with_source(self, name: str, asked: str) -> Mount | None:
        """Returns the mount if it has a source, and listeners of the mount `asked`, if that is not empty, may hear it.
        May switch: its format may be about to be known, or its relay may have to connect.
        """
        if asked and not self._settings.now.lets_on(asked, name):
            return None
        self._start(name)
        if self._mounts.is_opening(name):
            self._mounts.wait_until_known(name)
        mount = self.on_any_node(name) if self.has_source(name) else None
        return mount if mount is not None and mount.state is MountState.LIVE else None

    def on_this_node(self, name: str) -> Mount | None:
        """Returns the mount if this node has it, as a mirror too."""
        return self._mounts.get(name)

    def on_any_node(self, name: str) -> Mount | None:
        """Returns the mount of that name; if this node lacks it, mirrors it from another one. May switch."""
        found, mirrors = self._mounts.get(name), self._mirrors
        if mirrors is None or (found is not None and not mirrors.is_beginning(name)):
            return found
        return mirrors.open(name, has_other=bool(self.first_fallback(name)))

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
