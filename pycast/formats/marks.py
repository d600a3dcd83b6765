"""What a format finds in the bytes: marks at absolute offsets.

A format's `feed(data)` returns `(out, marks)`. `out` holds only whole units (frames, pages, blocks). A player cannot
use half a frame, so holding one back adds no latency; and a stream that is stopped or spliced between two calls ends
with a unit. A mark's offset counts from the first byte of the mount, in `out`, not in what came in.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable


class Join(NamedTuple):
    """A place where a new listener may start. `time_s` is its media time, None if the format has none."""

    offset: int
    time_s: float | None


class Header(NamedTuple):
    """The codec headers that a listener that starts at `offset` or later needs first. Empty: the bytes at `offset` have
    their own."""

    offset: int
    data: bytes


class Tags(NamedTuple):
    """The song that starts at `offset`, from the stream itself (Ogg comments) or from its source. What is not known is
    empty."""

    offset: int
    artist: str
    title: str
    url: str = ""


class Info(NamedTuple):
    """Properties read from the stream. `stats` has Icecast's stat names; `bitrate` is bit/s, None if not known."""

    offset: int
    bitrate: int | None
    stats: Mapping[str, str]


Mark = Join | Header | Tags | Info

HEADER_ONCE = "wav"
"""The family whose players take a header at their beginning only; a later one would be noise."""


class Format(Protocol):
    """A parser: bytes in, whole units and marks out. After a FormatError it must not be fed again."""

    family: str
    """"generic", "ogg", "webm", "flac", "mp4" or "wav": a listener may only be moved between streams of one family."""

    @property
    def warning(self) -> str:
        """What the operator should know of a stream that is not as its content type promises; empty if nothing."""

    @property
    def dropped(self) -> int:
        """Bytes that came in and will not come out: junk, and what is broken or too large."""

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]:
        """Returns whole units and the marks in them. Raises FormatError."""


@runtime_checkable
class TitledFormat(Format, Protocol):
    """A format that has a place for titles from outside in the stream itself."""

    def retitle(self, artist: str, title: str) -> bool:
        """Puts a title into the stream soon. Returns False if this stream can have none."""


@runtime_checkable
class HoldingFormat(Format, Protocol):
    """A format that knows where a unit ends only when the next one begins."""

    def finish(self) -> tuple[bytes, list[Mark]]:
        """Returns the last unit, as the stream ends here, and the marks in it. Must not be fed again."""
