"""What feeds a mount: what a source says of itself, what it is now, and what the mounts want of it.

A source is on the air, stands by, or is out. It does not decide that: `cluster/ownership.py` switches its `output`, and
the source feeds that whatever it is now. So a source of a new kind (an encoder's connection, a relay, a built-in loop)
only has to get audio from somewhere. The one invariant: a source that is out reaches no mount any more.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from pycast.http.source_headers import SourceInfo

# A source that has sent nothing for this long has lost its connection: encoders send several times a second.
SOURCE_SILENT_S = 2.0


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """What a source said of itself and where it came from."""

    info: SourceInfo
    content_type: str
    headers: tuple[tuple[str, str], ...]
    ip: str
    started: float
    """Seconds since the epoch."""

    def is_same_encoder(self, other: "SourceDescription") -> bool:
        """Whether the other one is, as far as can be told, this source connected at another time: it comes from the
        same address and says the same of itself.
        """
        return (self.ip, self.content_type, self.info) == (other.ip, other.content_type, other.info)


class SourceState(Enum):
    """What a source is now."""

    ON_AIR = "on air"
    STANDBY = "standby"
    OUT = "out"
    """It has no place yet, or not any more."""


class Sink(Protocol):
    """Where audio and titles can go: a mount, or a stream that nobody hears yet."""

    def feed(self, data: bytes) -> None:
        """Takes audio, in pieces of any size. Raises FormatError."""

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Says what plays from now on. Returns whether that was taken."""


class SourceOutput:
    """Where a source's audio and titles go now. Never switches."""

    def __init__(self) -> None:
        self.state = SourceState.OUT
        self._sink: Sink | None = None

    def put_on_air(self, mount: Sink) -> None:
        """From now on the source feeds the mount."""
        self.state, self._sink = SourceState.ON_AIR, mount

    def stand_by(self, stream: Sink) -> None:
        """From now on the source feeds a stream that is kept in step."""
        self.state, self._sink = SourceState.STANDBY, stream

    def take_out(self) -> None:
        """From now on what the source feeds is thrown away."""
        self.state, self._sink = SourceState.OUT, None

    def feed(self, data: bytes) -> None:
        """Takes audio from the source. Raises FormatError."""
        if self._sink is not None:
            self._sink.feed(data)

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        """Takes the source's title, which stays with it while it stands by. Returns whether that was possible."""
        return self._sink is not None and self._sink.set_title(artist, title, url)


class Source(Protocol):
    """A source that is connected here."""

    @property
    def description(self) -> SourceDescription:
        """What it says of itself."""

    @property
    def output(self) -> SourceOutput:
        """What it feeds."""

    @property
    def credentials(self) -> tuple[str, str] | None:
        """While it is silent, a source that calls with the same ones takes its place; None: no other source can."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing comes from it now, and so it has probably lost its connection."""

    def wait_until_out(self, seconds: float) -> None:
        """Waits until it has left, if it is about to leave by itself; else returns at once. May switch."""

    def end(self, why: str) -> None:
        """Ends it. What it had sent by now is still fed, and it is out when this returns. Never switches."""
