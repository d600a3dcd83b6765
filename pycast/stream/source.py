"""Who feeds a mount: what a source says of itself, and what the mounts want of it."""

from dataclasses import dataclass
from typing import Protocol

from pycast.http.source_headers import SourceInfo


@dataclass(frozen=True, slots=True)
class SourceDescription:
    """Who feeds a mount: what the source said of itself and where it came from."""

    info: SourceInfo
    content_type: str
    headers: tuple[tuple[str, str], ...]
    ip: str
    started: float
    """Seconds since the epoch."""


class Sink(Protocol):
    """Where a source's bytes go. Raises FormatError."""

    def feed(self, data: bytes) -> None: ...


class Source(Protocol):
    """A source that is connected here. `sink` is its mount while it is on the air, a stream that is kept warm while it
    stands by, and None when it has no business here any more.
    """

    credentials: tuple[str, str]
    description: SourceDescription
    sink: Sink | None
    last_data: float
    """When it last sent a byte, on the mounts' clock."""

    @property
    def is_ending(self) -> bool:
        """Whether its peer has closed, so that it ends as soon as all is read."""

    def wait_for_end(self, seconds: float) -> None:
        """Waits until it has released its mount. May switch."""

    def stop(self, why: str) -> None:
        """Ends it because an admin or the server said so."""

    def replace(self) -> None:
        """Ends it because another source took its mount over."""
