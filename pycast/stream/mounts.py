"""All mounts of the node, and what feeds them.

Owns the mounts' greenlets and timers: the fan-out loop of each, and the end of a grace. A mount is made for its first
source, and has a description from then on. The one invariant: at most one thing feeds a mount, either a source that is
connected to this node or the mirror of a source on another one. Which one is decided in `cluster/ownership.py`.
"""

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial

import gevent
from gevent.event import Event

from pycast.config.live import Live
from pycast.config.mount_settings import is_local
from pycast.formats.standby import StandbyStream
from pycast.net.group import Group, Task
from pycast.net.ticks import sleep_until_tick
from pycast.stream.events import MountClosed, MountEmptied, SourceEnded, SourceStarted, StreamEvents
from pycast.stream.fanout import FINISH_S, Reason
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mount_limits import expire
from pycast.stream.mount_state import MountState
from pycast.stream.pacer import Pacer
from pycast.stream.relocation import skip
from pycast.stream.source import Source, SourceDescription

log = logging.getLogger(__name__)

# How long a source that connects again waits for its former connection to end. Reading the rest of that takes less than
# a tenth of a second.
SOURCE_ENDING_S = 2.0

# How long after a source has connected listeners wait for its first bytes. Encoders send them with the next packet.
OPENING_S = 0.5

# How long a mount with a fallback stays at least when its source has ended: its listeners are moved first, on each
# node. The fallback may have to be opened for that, and a node may be busy.
MOVING_S = 3.0

# How exactly `max_listener_duration` is kept.
EXPIRY_S = 0.5

# A look that comes so much too late is put off once, for the time in which a mirror finds its parent again.
LATE_S, PUT_OFF_S = 1.0, 5.0


class Mounts:
    """The mounts of a node, by name."""

    def __init__(
        self,
        settings: Live,
        pacer: Pacer,
        group: Group,
        events: StreamEvents,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._pacer = pacer
        self._group = group
        self._events = events
        self._clock = clock
        self._mounts: dict[str, Mount] = {}
        self._ending: dict[Mount, None] = {}
        self._sources: dict[str, Source] = {}
        self._mirrors: dict[str, object] = {}
        self._opening: dict[str, tuple[Event, float]] = {}
        """Mounts with a source whose format is not known yet: the event is set when it is, and until when one waits."""
        self._loops: dict[str, Task] = {}
        self._graces: dict[str, Task] = {}
        self._has_time_limits = False
        """Whether there ever was a listener with a limit of its own."""
        self._crowded: set[Mount] = set()
        """Mounts whose marks were too many: said once for each."""

    def __iter__(self) -> Iterator[Mount]:
        return iter(list(self._mounts.values()))

    def __len__(self) -> int:
        return len(self._mounts)

    def get(self, name: str) -> Mount | None:
        """Returns the mount of that name unless it is over."""
        return self._mounts.get(name)

    def listeners_of(self, name: str) -> int:
        """Returns how many listeners the mount has on this node."""
        mount = self._mounts.get(name)
        return len(mount.fanout) if mount is not None else 0

    @property
    def ending(self) -> tuple[Mount, ...]:
        """Mounts that are over, and whose last listeners still get the rest."""
        return tuple(self._ending)

    @property
    def sources(self) -> int:
        """How many sources are connected to this node and on the air."""
        return len(self._sources)

    def attached(self, name: str) -> object | None:
        """Returns what feeds the mount now: a source, or a mirror."""
        return self._sources.get(name) or self._mirrors.get(name)

    def source(self, name: str) -> Source | None:
        """Returns the source that is connected to this node and feeds the mount now; not a mirror."""
        return self._sources.get(name)

    def is_mirror(self, name: str) -> bool:
        """Whether the mount's source is on another node."""
        return name in self._mirrors

    def wait_for_ending(self, name: str) -> None:
        """Waits until the mount's source has left, if its peer has closed the connection. May switch.

        What it sent last is still to be read, and an encoder that connects again at once must not get the answer that
        its mount is in use.
        """
        present = self.source(name)
        if present is not None:
            present.wait_until_out(SOURCE_ENDING_S)

    def may_take_over(self, name: str, credentials: tuple[str, str] | None) -> bool:
        """Whether a source with these credentials may replace the present one: that has the same ones and is silent."""
        present = self.source(name)
        return (
            present is not None
            and self._settings.now.for_mount(name).source_takeover
            and credentials is not None
            and present.credentials == credentials
            and present.is_silent
        )

    def is_silent(self, name: str) -> bool:
        """Whether the mount has no source on this node, or a silent one."""
        present = self.source(name)
        return present is None or present.is_silent

    def attach_source(self, name: str, source: Source, stream: StandbyStream | None = None) -> Mount:
        """Makes `source` feed the mount, in place of what fed it before. `stream` is what it has fed as a standby.

        If the source's format is not known the mount stays as it is until `start_known`, with its listeners.
        """
        mount = self.get_or_create(name, source.description)
        self._sources[name] = source
        self._mirrors.pop(name, None)
        if source.description.is_known:
            mount.start(source.description, stream)
            self._end_opening(name)
        else:
            mount.start_title(source.description, stream)
            self._opening.setdefault(name, (Event(), time.monotonic() + OPENING_S))
        self._events.source_started.emit(SourceStarted(name, mount.settings, *_sender(source)))
        return mount

    def is_opening(self, name: str) -> bool:
        """Whether the mount has a source whose format is not known yet."""
        return name in self._opening

    def start_known(self, name: str, source: Source, first: bytes) -> None:
        """Starts a mount whose source's format is known now, with its first bytes. Raises FormatError."""
        mount, (opening, _) = self._mounts[name], self._opening.pop(name)
        try:
            mount.start_known(source.description)
            mount.feed_first(first)
        finally:
            opening.set()

    def wait_until_known(self, name: str) -> None:
        """Waits for a mount whose source has connected less than `OPENING_S` ago: what listeners are told depends on
        its first bytes. May switch.
        """
        opening, mount = self._opening.get(name), self._mounts.get(name)
        if opening is not None and mount is not None and mount.state is not MountState.LIVE:
            event, until = opening
            event.wait(max(0.0, until - time.monotonic()))

    def attach_mirror(self, name: str, mirror: object, description: SourceDescription, started_at: int) -> Mount:
        """Makes `mirror` feed the mount, from a source on another node that began at `started_at`."""
        mount = self.get_or_create(name, description)
        mount.start_mirror(description, started_at)
        self.rebind_mirror(name, mirror)
        return mount

    def rebind_mirror(self, name: str, mirror: object) -> None:
        """Makes `mirror` feed the mount from the source that the mount has now."""
        self._mirrors[name] = mirror
        self._sources.pop(name, None)

    def detach(self, name: str) -> None:
        """Removes what feeds the mount. Its listeners stay, as another source or mirror follows at once."""
        source, mirror = self._sources.pop(name, None), self._mirrors.pop(name, None)
        self._end_opening(name)
        mount = self._mounts.get(name)
        if mount is None or (source is None and mirror is None):
            return
        if mount.state is MountState.LIVE:
            mount.end()
        if source is not None:
            self._events.source_ended.emit(SourceEnded(name, mount.settings, *_sender(source)))

    def get_or_create(self, name: str, description: SourceDescription) -> Mount:
        """Returns the mount with its present settings, and keeps it until `close`.

        If there is no mount it is made for the source with that description, which has to be attached before anything
        switches.
        """
        mount = self._mounts.get(name) or self._new(name, description)
        mount.apply(self._settings.now.for_mount(name))
        self.keep(name)
        return mount

    def keep(self, name: str) -> None:
        """Cancels the mount's grace: it stays until `close`."""
        grace = self._graces.pop(name, None)
        if grace is not None and grace is not gevent.getcurrent():
            grace.kill(block=False)

    def release(self, name: str, source: Source) -> None:
        """Ends `source`, and closes the mount when its grace is over. Does nothing if another one feeds it by now."""
        if self._sources.get(name) is not source:
            return
        del self._sources[name]
        mount = self._mounts[name]
        self._end_opening(name)
        # While its format is not known the mount is in the state in which the source found it.
        if mount.state is MountState.LIVE:
            mount.end()
        self._events.source_ended.emit(SourceEnded(name, mount.settings, *_sender(source)))
        grace = mount.settings.source_grace
        if mount.settings.fallback_mount:
            grace = max(grace, MOVING_S)
        if grace <= 0:
            self.close(name)
        else:
            self._graces[name] = self._group.spawn_later(grace, f"grace of {name}", self.close, name)

    def apply_settings(self) -> None:
        """Applies the settings in force to all mounts."""
        config = self._settings.now
        self._pacer.flush_interval = config.limits.flush_interval
        for mount in self:
            mount.apply(config.for_mount(mount.name))

    def asking_for(self, name: str) -> int:
        """Returns how many listeners of this node asked for that mount, and are on it or on what is played in its
        place.
        """
        own = self._mounts.get(name)
        places = (mount for mount in self if is_local(mount.name))
        moved = sum(listener.requested_mount == name for mount in places for listener in mount.fanout)
        return moved + (len(own.fanout) if own is not None else 0)

    def limit_time(self, listener: Listener, seconds: float) -> None:
        """Lets a listener stay that long after it has joined, whatever its mount says and wherever it moves. Its
        connection is closed then.
        """
        listener.time_limit = seconds
        self._has_time_limits = True

    def run_expiry(self) -> None:
        """Drops the listeners whose time is over, in an endless loop. May switch."""
        while True:
            if sleep_until_tick(EXPIRY_S) >= LATE_S:
                # This process stood still: what sources and other nodes have for it comes before anybody misses it.
                sleep_until_tick(PUT_OFF_S)
            self._expire()  # a call, so that this frame does not keep the last mount while it sleeps

    def _expire(self) -> None:
        config = self._settings.now
        may_have_limit = self._has_time_limits or any(one.max_listener_duration for one in config.mount)

        def duration_of(name: str) -> float:
            return config.for_mount(name).max_listener_duration

        for mount in self:
            expire(mount, self._clock(), duration_of, may_have_limit=may_have_limit)
            if marks_dropped(mount) and mount not in self._crowded:
                self._crowded.add(mount)
                log.warning(
                    "mount %s: its source sends more titles, codec headers or join points than are kept: the oldest "
                    "are forgotten early, and pycast_dropped_marks_total counts them",
                    mount.name,
                )

    def end_sources(self) -> None:
        """Ends all sources, because the server stops; what they have sent is in their mounts then. Never switches."""
        sources, self._sources = self._sources, {}
        for name, source in sources.items():
            source.end("the server stops")
            mount = self._mounts[name]
            self._end_opening(name)
            if mount.state is MountState.LIVE:
                mount.end()
            # Also if its format is not known yet.
            self._events.source_ended.emit(SourceEnded(name, mount.settings, *_sender(source)))

    def stop(self) -> None:
        """Ends all sources and closes all mounts; waits until the listeners have the rest. May switch."""
        loops = list(self._loops.values())
        self.end_sources()
        for name in list(self._mounts):
            self.close(name, Reason.SHUTDOWN)
        gevent.joinall(loops, timeout=2 * FINISH_S)

    def _end_opening(self, name: str) -> None:
        """Ends the wait for the format of a source that leaves, or is replaced by one whose format is known."""
        opening = self._opening.pop(name, None)
        if opening is not None:
            opening[0].set()

    def _new(self, name: str, description: SourceDescription) -> Mount:
        settings = self._settings.now.for_mount(name)
        mount = Mount(name, settings, description, self._pacer, self._events, self._clock)
        mount.fanout.on_intro_over = lambda listener: self._begin_stream(mount, listener)
        mount.fanout.on_late = partial(skip, mount)
        self._mounts[name] = mount
        self._loops[name] = self._group.spawn_forever(f"fan-out of {name}", partial(self._run_fanout, mount))
        return mount

    def _begin_stream(self, mount: Mount, listener: Listener) -> None:
        from pycast.stream.intro import begin_stream  # with the first intro, not at the start of the server

        begin_stream(mount, self._events, listener)

    def close(self, name: str, reason: Reason = Reason.SOURCE_GONE) -> None:
        """Ends the mount. Its listeners are dropped for `reason` once they have the rest of the audio."""
        self.keep(name)
        self.detach(name)
        mount = self._mounts.pop(name, None)
        if mount is None:
            return
        mount.close(reason)
        self._events.mount_closed.emit(MountClosed(name))
        self._ending[mount] = None
        del self._loops[name]  # the loop ends by itself; the name is free for a new mount

    def _run_fanout(self, mount: Mount) -> None:
        mount.fanout.run()
        self._pacer.forget(mount.fanout)
        del self._ending[mount]
        self._crowded.discard(mount)
        totals = mount.bytes_read, mount.bytes_dropped, mount.fanout.bytes_sent, marks_dropped(mount)
        self._events.mount_emptied.emit(MountEmptied(mount.name, *totals))
        mount.free()


def marks_dropped(mount: Mount) -> int:
    """Returns how many of the mount's marks, and of the events for its mirrors, were forgotten early."""
    return mount.timeline.dropped + mount.journal.dropped


def _sender(source: Source) -> tuple[str, str]:
    """Returns a source's address and its agent."""
    return source.description.ip, source.description.info.user_agent
