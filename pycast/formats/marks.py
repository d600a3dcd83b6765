"""What a format finds in the bytes: marks at absolute offsets.

A format's `feed(data)` returns `(out, marks)`. `out` holds only whole units (frames, pages, blocks): a player cannot
use half a frame, so holding one back costs no latency it could hear, and whoever stops or splices the stream between
two calls does it at a unit's end. A mark's offset counts from the first byte of the mount, over `out`, not over what
came in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Join:
    """A new listener may start here. `time_s` is the media time of this point, None if the format does not tell."""

    offset: int
    time_s: float | None


@dataclass(frozen=True, slots=True)
class Header:
    """From `offset` on, a listener that starts needs `data` first (codec headers; empty: the bytes at `offset` bring
    their own)."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Tags:
    """The song that starts here, as the stream itself (Ogg comments) or its source says. Empty strings for what it does
    not tell."""

    offset: int
    artist: str
    title: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """Properties read from the stream. `stats` has Icecast's stat names; `bitrate` is bit/s, None if not known."""

    offset: int
    bitrate: int | None
    stats: Mapping[str, str]


Mark = Join | Header | Tags | Info


class Format(Protocol):
    """Bytes in; whole units and marks out. Raises FormatError, after which it must not be fed again."""

    family: str
    """"generic", "ogg" or "webm": a listener may only be moved between streams of one family."""

    @property
    def warning(self) -> str:
        """Empty, or the one thing the operator should know: the stream runs, but not as its content type promises."""

    def feed(self, data: bytes) -> tuple[bytes, list[Mark]]: ...
