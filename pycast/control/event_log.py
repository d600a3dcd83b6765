"""What has happened on this node lately, for those who follow it: sources, titles, listeners that come and go.

It keeps the last `KEPT` events, numbered, so that each reader has a mark of its own and a slow one costs nothing; one
that comes back goes on at its mark. An event is kept as what it takes to tell it, which is a tuple: thousands of
listeners may come at once, and mostly nobody reads. Invariant: it keeps no mount and no listener alive, of each text
that others have chosen `LONGEST_TEXT` letters at most, and of all together `MOST_TEXT`.
"""

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from pycast.config.mount_settings import is_local
from pycast.stream.events import ListenerJoined, ListenerLeft, ListenersMoved, SourceEnded, SourceStarted, TitleChanged
from pycast.stream.listener import Listener
from pycast.stream.mounts import Mounts

if TYPE_CHECKING:  # for who reads it, not for the start
    from pycast.stats.snapshot import NodeEvents

# How many are kept, and the letters of their titles, agents and users together.
KEPT, MOST_TEXT = 4096, 1 << 20

LONGEST_TEXT = 300
"""Letters: a request's head may be an agent of 16 KiB, and all that is kept has to fit into one answer to another
node."""

# In place of a process's name among the marks: that of all which are not there by name.
NEWCOMERS = "*"


_Kept = tuple[float, str, str, str, int, str, str, str, int, str, str]
"""The fields of a FeedEvent behind its number: a bare tuple, since thousands of listeners may come at once."""


class EventLog:
    """The events of this node."""

    def __init__(self, mounts: Mounts, clock: Callable[[], float] = time.time) -> None:
        self._mounts = mounts
        self._clock = clock
        self._boot = os.urandom(4).hex()
        self._last = 0
        self._kept: deque[_Kept] = deque()
        self._text = 0
        """The letters of those that are kept."""

    def since(self, mark: int | None) -> "NodeEvents":
        """Returns what has happened since a mark, the number of an event; without one, nothing."""
        from pycast.stats.snapshot import FeedEvent, NodeEvents

        after = self._last if mark is None else min(mark, self._last)
        first = self._last - len(self._kept)
        begin = max(after, first)
        found = [
            FeedEvent(begin + 1 + index, *one) for index, one in enumerate(islice(self._kept, begin - first, None))
        ]
        events = tuple(one if one.media_type else replace(one, media_type=self._media_type(one.mount)) for one in found)
        listeners = {mount.name: str(len(mount.fanout)) for mount in self._mounts if len(mount.fanout)}
        return NodeEvents(self._boot, self._last, begin - after, events, listeners)

    @property
    def boot(self) -> str:
        """The name of this process among those of a cluster."""
        return self._boot

    def on_source_started(self, event: SourceStarted) -> None:
        """Keeps the start of a source."""
        self._add_source("source-connect", event.mount)

    def on_source_ended(self, event: SourceEnded) -> None:
        """Keeps the end of a source."""
        self._add_source("source-disconnect", event.mount)

    def on_title_changed(self, event: TitleChanged) -> None:
        """Keeps a title, on the node that has the source."""
        if not is_local(event.mount) and not self._mounts.is_mirror(event.mount):
            title = event.title
            self._add("format-metadata-changed", event.mount, event.listeners, artist=title.artist, title=title.title)

    def on_listener_joined(self, event: ListenerJoined) -> None:
        """Keeps who has joined a mount."""
        self._add_listener("source-listener-attach", event.mount, event.listener, event.listeners)

    def on_listener_left(self, event: ListenerLeft) -> None:
        """Keeps who has left a mount."""
        mount = self._mounts.get(event.mount)
        self._add_listener("source-listeners-changed", event.mount, event.listener, len(mount.fanout) if mount else 0)

    def on_listeners_moved(self, event: ListenersMoved) -> None:
        """Keeps that both mounts have other listeners."""
        for name in filter(lambda name: not is_local(name), event):
            mount = self._mounts.get(name)
            self._add("source-listeners-changed", name, len(mount.fanout) if mount else 0)

    def _add_source(self, trigger: str, name: str) -> None:
        mount = self._mounts.get(name)
        if mount is None:
            self._add(trigger, name, 0)
            return
        source = mount.description
        self._add(trigger, name, len(mount.fanout), source.ip, source.info.user_agent, mount.listener_content_type)

    def _add_listener(self, trigger: str, name: str, listener: Listener, listeners: int) -> None:
        if not is_local(name):
            who, most = listener.identity, LONGEST_TEXT
            user, agent = who.user[:most], who.user_agent[:most]
            self._keep((self._clock(), trigger, name, "", listeners, who.ip, user, agent, listener.id, "", ""))

    def _add(
        self,
        trigger: str,
        mount: str,
        listeners: int,
        ip: str = "",
        agent: str = "",
        kind: str = "",
        artist: str = "",
        title: str = "",
    ) -> None:
        agent, artist, title = (text[:LONGEST_TEXT] for text in (agent, artist, title))
        self._keep((self._clock(), trigger, mount, kind, listeners, ip, "", agent, 0, artist, title))

    def _keep(self, event: _Kept) -> None:
        self._last += 1
        self._kept.append(event)
        self._text += _text_of(event)
        while len(self._kept) > KEPT or self._text > MOST_TEXT:
            self._text -= _text_of(self._kept.popleft())

    def _media_type(self, name: str) -> str:
        mount = self._mounts.get(name)
        return mount.listener_content_type if mount is not None else ""


def _text_of(event: _Kept) -> int:
    """Returns the letters of user, agent, artist and title."""
    return len(event[6]) + len(event[7]) + len(event[9]) + len(event[10])
