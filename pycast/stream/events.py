"""What happens on the data path, as values for subscribers: see `pycast/signals.py`.

An event has the name of a mount, not the mount itself: it may be kept, or sent to a browser, without keeping the mount
alive.
"""

from typing import NamedTuple

from pycast.config.mount_settings import MountSettings
from pycast.signals import Signal
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount_state import MountState
from pycast.stream.timeline import Title


class SourceStarted(NamedTuple):
    """The start of a source that is connected to this node: it is on the air now."""

    mount: str
    settings: MountSettings
    ip: str = ""
    """Its address, and its agent."""
    agent: str = ""


class SourceEnded(NamedTuple):
    """The end of a source that is connected to this node: it is no longer on the air."""

    mount: str
    settings: MountSettings
    ip: str = ""
    """Its address, and its agent."""
    agent: str = ""


class MountStateChanged(NamedTuple):
    """A change of a mount's state: it has got or lost its source, on this node or another, or it is over."""

    mount: str
    state: MountState


class MountClosed(NamedTuple):
    """The end of a mount. Its listeners still get the rest of its audio."""

    mount: str


class MountEmptied(NamedTuple):
    """A mount that is over and has no more listeners. Its totals are final."""

    mount: str
    bytes_read: int
    bytes_dropped: int
    bytes_sent: int
    marks_dropped: int


class TitleChanged(NamedTuple):
    """A new title of a mount."""

    mount: str
    title: Title
    listeners: int


class NewAudio(NamedTuple):
    """New audio of a mount, or another change that its mirrors need."""

    mount: str


class ListenerJoined(NamedTuple):
    """The arrival of a listener. `listeners` are those of the mount on this node, with it."""

    mount: str
    listener: Listener
    listeners: int


class ListenerLeft(NamedTuple):
    """The departure of a listener, just before its connection is closed. `listener.sent` is final."""

    mount: str
    listener: Listener
    reason: Reason


class ListenersMoved(NamedTuple):
    """The move of listeners from one mount to another, when they are there."""

    mount: str
    target: str


class IntroHeard(NamedTuple):
    """The end of an intro for one listener, who has got all of it."""

    mount: str
    listener: Listener


class StreamEvents:
    """The signals of all mounts of a node."""

    def __init__(self) -> None:
        self.source_started = Signal[SourceStarted]()
        self.source_ended = Signal[SourceEnded]()
        self.mount_state_changed = Signal[MountStateChanged]()
        self.mount_closed = Signal[MountClosed]()
        self.mount_emptied = Signal[MountEmptied]()
        self.title_changed = Signal[TitleChanged]()
        self.new_audio = Signal[NewAudio]()
        self.listener_joined = Signal[ListenerJoined]()
        self.listener_left = Signal[ListenerLeft]()
        self.listeners_moved = Signal[ListenersMoved]()
        self.intro_heard = Signal[IntroHeard]()
