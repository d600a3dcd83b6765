"""What feeds a mount: a source's description, its state, and what the mounts ask of it.

A source is on the air, stands by, or is out. It does not decide that: `cluster/ownership.py` switches its `output`, and
the source feeds that in every state. So a source of a new kind (an encoder's connection, a relay, a built-in loop) only
has to get audio from somewhere. The one invariant: what a source feeds while it is out reaches no mount.
"""

from enum import Enum
from typing import NamedTuple, Protocol

from pycast.formats.content_types import UNKNOWN, format_name, new_format
from pycast.formats.marks import Format
from pycast.http.source_headers import SourceInfo

# A source that has sent nothing for this long has lost its connection: encoders send several times a second.
SOURCE_SILENT_S = 2.0

_MOST_TYPE = 255


class SourceDescription(NamedTuple):
    """A source's description of its stream, and where the source connected from and when."""

    info: SourceInfo
    content_type: str
    """What listeners are told, if it is on the list of `content_types.py`. Until the format is known, what the source
    announced."""
    headers: tuple[tuple[str, str], ...]
    ip: str
    started: float
    """Seconds since the epoch."""
    format: str = ""
    """The name of the stream's format; `UNKNOWN` until its first bytes have been seen. Empty: what the content type
    promises."""
    begun: float = 0.0
    """The same as `started` by this node's monotonic clock, which nobody sets; 0 for a source on another node."""

    @property
    def is_known(self) -> bool:
        """Whether the format is known. Only then does the source go on the air."""
        return self.format != UNKNOWN

    @property
    def format_name(self) -> str:
        """The name of a row of `FORMATS`."""
        return format_name(self.content_type, self.format)

    def new_format(self, base: int = 0) -> Format:
        """Returns a parser for the stream, whose first byte out has the absolute offset `base`."""
        return new_format(self.content_type, base, self.format)

    @property
    def short_type(self) -> str:
        """The content type as it is announced to other nodes. A source may make it as long as it likes, and they would
        refuse a record that is too long.
        """
        return self.content_type[:_MOST_TYPE]

    def is_same_encoder(self, other: "SourceDescription") -> bool:
        """Whether the other one seems to be the same source, connected at another time: address, announced content type
        and information about the stream are the same.
        """
        return (self.ip, self._announced, self.info) == (other.ip, other._announced, other.info)

    @property
    def _announced(self) -> str:
        return self.info.content_type or self.content_type


class SourceState(Enum):
    """Where the audio of a source goes."""

    ON_AIR = "on air"
    STANDBY = "standby"
    OUT = "out"
    """Not admitted yet, or removed."""


class Sink(Protocol):
    """A target for audio and titles: a mount, or the stream of a standby."""

    def feed(self, data: bytes) -> None:
        """Takes audio, in pieces of any size. Raises FormatError."""

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Sets what plays from now on. Returns whether that was possible."""


class SourceOutput:
    """The present target of a source's audio and titles. Never switches."""

    def __init__(self) -> None:
        self.state = SourceState.OUT
        self._sink: Sink | None = None

    def put_on_air(self, mount: Sink) -> None:
        """Makes the source feed `mount`."""
        self.state, self._sink = SourceState.ON_AIR, mount

    def stand_by(self, stream: Sink) -> None:
        """Makes the source feed `stream`, which keeps in step until it goes on the air."""
        self.state, self._sink = SourceState.STANDBY, stream

    def take_out(self) -> None:
        """Discards what the source feeds from now on."""
        self.state, self._sink = SourceState.OUT, None

    def feed(self, data: bytes) -> None:
        """Takes audio from the source. Raises FormatError."""
        if self._sink is not None:
            self._sink.feed(data)

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Sets the source's title, which stays with it while it stands by. Returns whether that was possible."""
        return self._sink is not None and self._sink.set_title(artist, title, url)


class Source(Protocol):
    """A source that is connected to this node."""

    @property
    def description(self) -> SourceDescription:
        """Its description, from its request."""

    @property
    def output(self) -> SourceOutput:
        """The output that it feeds."""

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password. A source that connects with the same ones may take its place while it is silent; None: no
        other source may.
        """

    @property
    def takes_over(self) -> bool:
        """Whether it replaces the source that the mount has, whatever `on_conflict` says."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing comes from it, so that it has probably lost its connection."""

    def wait_until_out(self, seconds: float) -> None:
        """Waits up to `seconds` for it to leave, if its peer has closed; else returns at once. May switch."""

    def end(self, why: str) -> None:
        """Ends it. What it has sent so far is still fed, and it is out when this returns. Never switches."""
