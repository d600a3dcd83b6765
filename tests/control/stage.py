"""Mounts, listeners and moves of one node, without a server: helpers for the tests of control.

Invariant: after `close` nothing of it is left.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pycast.cluster.claim import MountClaims
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.control.event_log import EventLog
from pycast.control.fallbacks import Fallbacks
from pycast.control.listener_moves import ListenerMoves
from pycast.control.local_streams import LocalStreams
from pycast.control.mount_finder import MountFinder
from pycast.control.node_control import NodeControl
from pycast.control.on_demand import OnDemand
from pycast.control.relay_desk import RelayDesk
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.net.group import Group
from pycast.net.hangups import Hangups
from pycast.stream.events import ListenerLeft, StreamEvents
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from pycast.stream.source import SourceDescription, SourceOutput
from tests.stream.memory import WHO, MemoryTransport


class StageSource:
    """A source that does nothing on its own."""

    credentials = ("source", "hackme")
    takes_over = is_silent = False

    def __init__(self, content_type: str, ip: str = "127.0.0.1") -> None:
        self.description = SourceDescription(source_info(Headers()), content_type, (), ip, 0.0)
        self.output = SourceOutput()
        self.ended = ""

    def wait_until_out(self, seconds: float) -> None:
        pass

    def end(self, why: str) -> None:
        self.output.take_out()
        self.ended = why


class FakeMirrors:
    """Mirrors of other nodes' mounts, by name."""

    def __init__(self) -> None:
        self.live: dict[str, Mount | None] = {}
        self.opened: list[str] = []
        self.patient: list[str] = []
        """Those that were waited for whatever happens."""
        self.beginning: set[str] = set()

    def has_origin(self, name: str) -> bool:
        return name in self.live

    def has_source(self, name: str) -> bool:
        return name in self.live

    def is_beginning(self, name: str) -> bool:
        return name in self.beginning

    def open(self, name: str, *, has_other: bool) -> Mount | None:
        self.patient += [] if has_other else [name]
        self.opened.append(name)
        return self.live.get(name)


class Stage:
    """One node's mounts."""

    def __init__(self, toml: str, mirrors: Any) -> None:
        self.settings = Live(loads(toml, {}, "test"))
        self.group, self.events = Group(), StreamEvents()
        self.gone: list[ListenerLeft] = []
        self.events.listener_left.subscribe(self.gone.append)
        pacer = Pacer(0.02, lambda: 0.0)
        self.mounts = Mounts(self.settings, pacer, self.group, self.events, time.monotonic)
        self.hangups: Hangups[tuple[Mount, Listener]] = Hangups(lambda watched, failed: None)
        self.claims, self.on_demand = MountClaims(), OnDemand()
        self.local = LocalStreams(self.settings, self.mounts, self.group)
        self.finder = MountFinder(self.settings, self.mounts, mirrors, self.on_demand, self.local)
        self.moves = ListenerMoves(self.hangups, self.events)
        self.fallbacks = Fallbacks(self.settings, self.mounts, self.finder, self.moves, self.group)
        self.sources: dict[str, StageSource] = {}
        self._count = 0

    def begin(self, name: str, content_type: str = "text/plain") -> Mount:
        """Connects a source to the mount."""
        self.sources[name] = StageSource(content_type)
        return self.mounts.attach_source(name, self.sources[name])

    def end(self, name: str) -> None:
        """Ends the mount's source; its listeners wait."""
        self.mounts.release(name, self.sources.pop(name))

    def listen(self, mount: Mount) -> Listener:
        """Adds a listener to the mount, whose socket takes everything."""
        self._count += 1
        return mount.join(self._count, MemoryTransport(), WHO, b"", 0, time.monotonic())

    def control(self, snapshots: Any = None, slaves: Any = None) -> NodeControl:
        """Returns the control of the node."""
        desk, event_log = RelayDesk(), EventLog(self.mounts)
        return NodeControl(self.mounts, self.claims, self.finder, self.moves, snapshots, slaves, desk, event_log)

    def close(self) -> None:
        self.group.kill()
        self.hangups.close()


@contextmanager
def stage(toml: str = "", mirrors: Any = None) -> Iterator[Stage]:
    made = Stage(toml, mirrors)
    try:
        yield made
    finally:
        made.close()
