"""What happens on the data path, as values for whoever wants to be told: see `pycast/signals.py`.

Mounts are named, not handed out: an event may be kept, or sent to a browser, without keeping a mount alive.
"""

from dataclasses import dataclass, field

from pycast.config.mount_settings import MountSettings
from pycast.signals import Signal
from pycast.stream.fanout import Reason
from pycast.stream.listener import Listener
from pycast.stream.mount_state import MountState
from pycast.stream.timeline import Title


@dataclass(frozen=True, slots=True)
class SourceStarted:
    """A source that is connected to this node is on the air."""

    mount: str
    settings: MountSettings


@dataclass(frozen=True, slots=True)
class SourceEnded:
    """A source that is connected to this node is no longer on the air."""

    mount: str
    settings: MountSettings


@dataclass(frozen=True, slots=True)
class MountStateChanged:
    """A mount has got or lost its source, here or as a mirror, or is over."""

    mount: str
    state: MountState


@dataclass(frozen=True, slots=True)
class MountClosed:
    """A mount is over. Its listeners still get the end of it."""

    mount: str


@dataclass(frozen=True, slots=True)
class MountEmptied:
    """The listeners of a mount that is over are gone, and its totals are final."""

    mount: str
    bytes_read: int
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class TitleChanged:
    """Something else plays."""

    mount: str
    title: Title
    listeners: int


@dataclass(frozen=True, slots=True)
class NewAudio:
    """A mount has new audio, or something else that its mirrors need."""

    mount: str


@dataclass(frozen=True, slots=True)
class ListenerLeft:
    """A listener is gone; its connection is about to be closed. `listener.sent` is final."""

    mount: str
    listener: Listener
    reason: Reason


@dataclass(frozen=True, slots=True)
class StreamEvents:
    """The signals of all mounts of a node."""

    source_started: Signal[SourceStarted] = field(default_factory=Signal)
    source_ended: Signal[SourceEnded] = field(default_factory=Signal)
    mount_state_changed: Signal[MountStateChanged] = field(default_factory=Signal)
    mount_closed: Signal[MountClosed] = field(default_factory=Signal)
    mount_emptied: Signal[MountEmptied] = field(default_factory=Signal)
    title_changed: Signal[TitleChanged] = field(default_factory=Signal)
    new_audio: Signal[NewAudio] = field(default_factory=Signal)
    listener_left: Signal[ListenerLeft] = field(default_factory=Signal)
