"""All mounts of the node, and who feeds them.

Owns the mounts' greenlets and timers: the fan-out loop of each, and the end of a grace. `claim` is the only way to get
a mount to feed, and where a second source is refused or takes over. The rule: a mount has at most one claim, and only
its holder feeds it.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import gevent

from pycast.config.schema import Config
from pycast.errors import Refused
from pycast.net.group import Group, Task
from pycast.stream.fanout import FINISH_S, Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Feed, Mount, State
from pycast.stream.pacer import Pacer

log = logging.getLogger(__name__)

# A source that has sent nothing for this long has lost its connection: encoders send several times a second.
SILENT_S = 2.0

# How long a source that calls again waits for its former self; reading the rest takes less than a tenth of a second.
ENDING_S = 2.0

# How exactly `max_listener_duration` is kept.
EXPIRY_S = 0.5


class Feeder(Protocol):
    """A connected source, as the mounts see it."""

    credentials: tuple[str, str]
    last_data: float
    """When it last sent a byte, on the mounts' clock."""

    @property
    def is_ending(self) -> bool:
        """Whether its peer has closed, so that it ends as soon as all is read."""

    def wait_for_end(self, seconds: float) -> None:
        """Waits until it has released its mount. May switch."""

    def replace(self) -> None:
        """Ends it because another source took its mount over."""

    def stop(self, why: str) -> None:
        """Ends it because an admin or the server said so."""


class Mounts:
    """Mounts by name."""

    def __init__(
        self,
        config: Config,
        pacer: Pacer,
        group: Group,
        on_gone: Callable[[Mount, Listener, Reason], None],
        clock: Callable[[], float],
    ) -> None:
        self.config = config
        self.on_change: list[Callable[[str, Mount], None]] = []
        """Called with "start" or "end" when a mount's source starts or ends."""
        self.on_new: Callable[[Mount], None] = lambda mount: None
        """Called with each new mount before its first source starts."""
        self.on_closed: Callable[[Mount], None] = lambda mount: None
        """Called with each mount that is over, when its listeners are gone."""
        self._pacer = pacer
        self._group = group
        self._on_gone = on_gone
        self._clock = clock
        self._mounts: dict[str, Mount] = {}
        self._ending: dict[Mount, None] = {}
        self._feeders: dict[str, Feeder] = {}
        self._loops: dict[str, Task] = {}
        self._graces: dict[str, Task] = {}

    def __iter__(self) -> Iterator[Mount]:
        return iter(list(self._mounts.values()))

    def __len__(self) -> int:
        return len(self._mounts)

    def get(self, name: str) -> Mount | None:
        """The mount, live or waiting for its source."""
        return self._mounts.get(name)

    @property
    def ending(self) -> tuple[Mount, ...]:
        """Mounts that are over, whose last listeners still get the end."""
        return tuple(self._ending)

    @property
    def sources(self) -> int:
        """Connected sources."""
        return len(self._feeders)

    def feeder(self, name: str) -> Feeder | None:
        """Who feeds the mount now."""
        return self._feeders.get(name)

    def wait_for_ending(self, name: str) -> None:
        """Lets a source finish whose peer has closed: what it sent last is still to be read, and an encoder that calls
        again at once must not be told that its mount is in use. May switch.
        """
        held = self._feeders.get(name)
        if held is not None and held.is_ending:
            held.wait_for_end(ENDING_S)

    def check_claim(self, name: str, credentials: tuple[str, str]) -> None:
        """Raises Refused if a source with these credentials could not have the mount. Checks come in Icecast's
        order.
        """
        held = self._feeders.get(name)
        if held and not self._may_take_over(name, held, credentials):
            raise Refused("Mountpoint in use", cause=f"{name} has a source that is alive")
        if not held and len(self._feeders) >= self.config.limits.sources:
            raise Refused("too many sources connected", cause=f"{len(self._feeders)} sources are connected")

    def claim(self, name: str, feeder: Feeder, feed: Feed) -> Mount:
        """Makes `feeder` the mount's source. Raises Refused."""
        self.check_claim(name, feeder.credentials)
        held = self._feeders.get(name)
        if held:
            log.info("mount %s: its source was silent and is replaced by the one from %s", name, feed.ip)
            held.replace()
        mount = self._mounts.get(name) or self._new(name)
        mount.apply(self.config.for_mount(name))
        mount.start(feed, feed.started)
        self._feeders[name] = feeder
        self._cancel_grace(name)
        self._tell("start", mount)
        return mount

    def release(self, name: str, feeder: Feeder) -> None:
        """`feeder` is gone. Does nothing if another source has taken the mount over."""
        if self._feeders.get(name) is not feeder:
            return
        del self._feeders[name]
        mount = self._mounts[name]
        mount.end()
        self._tell("end", mount)
        grace = mount.settings.source_grace
        if grace <= 0:
            self._close(name, Reason.SOURCE_GONE)
        else:
            self._graces[name] = self._group.spawn_later(
                grace, f"grace of {name}", self._close, name, Reason.SOURCE_GONE
            )

    def reload(self, config: Config) -> None:
        """New settings for new and running mounts."""
        self.config = config
        self._pacer.flush_interval = config.limits.flush_interval
        for mount in self:
            mount.apply(config.for_mount(mount.name))

    def run_expiry(self) -> None:
        """Lets listeners go whose time is over, for ever."""
        while True:
            gevent.sleep(EXPIRY_S)
            for mount in self:
                mount.expire(self._clock())

    def stop(self) -> None:
        """Ends all sources, and all listeners when they have heard the end. May switch."""
        loops = list(self._loops.values())
        feeders, self._feeders = self._feeders, {}
        for feeder in feeders.values():
            feeder.stop("the server stops")
        for name, mount in list(self._mounts.items()):
            if mount.state is State.LIVE:
                mount.end()
                self._tell("end", mount)
            self._close(name, Reason.SHUTDOWN)
        gevent.joinall(loops, timeout=2 * FINISH_S)

    def _may_take_over(self, name: str, held: Feeder, credentials: tuple[str, str]) -> bool:
        return (
            self.config.for_mount(name).source_takeover
            and held.credentials == credentials
            and self._clock() - held.last_data >= SILENT_S
        )

    def _new(self, name: str) -> Mount:
        mount = Mount(name, self.config.for_mount(name), self._pacer, self._on_gone, self._clock)
        self.on_new(mount)
        self._mounts[name] = mount
        self._loops[name] = self._group.keep(f"fan-out of {name}", partial(self._run_fanout, mount))
        return mount

    def _close(self, name: str, reason: Reason) -> None:
        self._cancel_grace(name)
        mount = self._mounts.pop(name, None)
        if mount is None:
            return
        mount.close(reason)
        self._ending[mount] = None
        del self._loops[name]  # it ends by itself, and the name is free for a new mount meanwhile

    def _run_fanout(self, mount: Mount) -> None:
        mount.fanout.run()
        self._pacer.forget(mount.fanout)
        del self._ending[mount]
        self.on_closed(mount)

    def _cancel_grace(self, name: str) -> None:
        grace = self._graces.pop(name, None)
        if grace is not None and grace is not gevent.getcurrent():
            grace.kill(block=False)

    def _tell(self, what: str, mount: Mount) -> None:
        for hear in self.on_change:
            hear(what, mount)
