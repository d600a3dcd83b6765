"""The messages on the connection of a mirror, on which a child mirrors one mount from its parent. Pure: values to
frames and back.

child  → PULL     mount, and the epoch and offset up to which the child has it (offset -1: nothing yet) parent ← REFUSED
the reason; or parent ← HEAD     the offset of the first byte to come, the mount's lineage, its source, the marks valid
there ← AUDIO    offset, join points, bytes ← EVENT    a source started, a title, a codec header, properties of the
stream; each at its offset ← LINEAGE  a new epoch ← STATE    the mount has its source, or waits for it ← IDLE
nothing new (every second) ← GONE     the mount is over

Audio and marks are those of the parent's ring and timeline. So every mirror has the same bytes at the same offsets, and
the same join points.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isnan
from struct import Struct, error
from typing import Any

from pycast.cluster.link.frames import Kind, LinkError, pack, pack_json, read_json
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.registry.epoch import Epoch
from pycast.formats.marks import Header, Info, Join, Tags
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.journal import Event, Started
from pycast.stream.source import SourceDescription

_AUDIO = Struct(">QI")
_JOIN = Struct(">Qd")

# The most audio in one frame, in bytes: it is copied in microseconds and has thousands of join points at most.
MOST_AUDIO = 64 << 10

# Headers of a source that hold its secrets.
_PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class Pull:
    """A child's request for a mount."""

    mount: str
    epoch: Epoch
    offset: int
    depth: int
    """The number of mirrors below the one that asks. It is bounded, so that mirrors never form a circle."""

    def frame(self) -> bytes:
        """Returns the frame to send."""
        value = {"mount": self.mount, "epoch": str(self.epoch), "offset": self.offset, "depth": self.depth}
        return pack_json(Kind.PULL, value)

    @classmethod
    def read(cls, payload: bytes) -> "Pull":
        """Reads what `frame` wrote. Raises LinkError."""
        with _checking():
            data = read_json(payload)
            return cls(str(data["mount"]), Epoch.parse(data["epoch"]), int(data["offset"]), int(data["depth"]))


@dataclass(frozen=True, slots=True)
class PullReply:
    """The parent's answer: what a child needs before the first byte."""

    offset: int
    lineage: Lineage
    description: SourceDescription
    started_at: int
    """The offset at which the source began, at or before `offset`."""
    is_live: bool
    marks: tuple[Event, ...]
    """The codec header, title and properties that are valid at `offset`."""
    head: int = 0
    """The end of what the parent has now: a child that has reached it can give its listeners their burst."""

    def frame(self) -> bytes:
        """Returns the frame to send."""
        value = {
            "offset": self.offset,
            "lineage": self.lineage.to_json(),
            "feed": _description_to_json(self.description),
            "started_at": self.started_at,
            "is_live": self.is_live,
            "marks": [event_to_json(mark) for mark in self.marks],
            "head": self.head,
        }
        return pack_json(Kind.HEAD, value)

    @classmethod
    def read(cls, payload: bytes) -> "PullReply":
        """Reads what `frame` wrote. Raises LinkError."""
        with _checking():
            data = read_json(payload)
            return cls(
                int(data["offset"]),
                Lineage.from_json(data["lineage"]),
                _description_from_json(data["feed"]),
                int(data["started_at"]),
                bool(data["is_live"]),
                tuple(event_from_json(mark) for mark in data["marks"]),
                int(data["head"]),
            )


def audio_frame(offset: int, joins: Sequence[tuple[int, float]], data: bytes) -> bytes:
    """Returns a frame with the bytes from `offset` on and their join points."""
    packed = b"".join(_JOIN.pack(at, time_s) for at, time_s in joins)
    return pack(Kind.AUDIO, _AUDIO.pack(offset, len(joins)) + packed + data)


def read_audio(payload: bytes) -> tuple[int, list[Join], bytes]:
    """Returns offset, join points and bytes. Raises LinkError."""
    with _checking():
        offset, count = _AUDIO.unpack_from(payload)
        end = _AUDIO.size + count * _JOIN.size
        if end > len(payload):
            raise ValueError("fewer join points than announced")
        found = _JOIN.iter_unpack(payload[_AUDIO.size : end])
        return offset, [Join(at, None if isnan(time_s) else time_s) for at, time_s in found], payload[end:]


def event_frame(event: Event) -> bytes:
    return pack_json(Kind.EVENT, event_to_json(event))


def read_event(payload: bytes) -> Event:
    """Reads what `event_frame` wrote. Raises LinkError."""
    with _checking():
        return event_from_json(read_json(payload))


def lineage_frame(lineage: Lineage) -> bytes:
    return pack_json(Kind.LINEAGE, {"lineage": lineage.to_json()})


def read_lineage(payload: bytes) -> Lineage:
    """Reads what `lineage_frame` wrote. Raises LinkError."""
    with _checking():
        return Lineage.from_json(read_json(payload)["lineage"])


def event_to_json(event: Event) -> dict[str, Any]:
    match event:
        case Started(offset, description):
            return {"kind": "started", "offset": offset, "feed": _description_to_json(description)}
        case Header(offset, data):
            return {"kind": "header", "offset": offset, "data": b64encode(data).decode()}
        case Tags(offset, artist, title, url):
            return {"kind": "tags", "offset": offset, "artist": artist, "title": title, "url": url}
        case Info(offset, bitrate, stats):
            return {"kind": "info", "offset": offset, "bitrate": bitrate, "stats": dict(stats)}


def event_from_json(data: dict[str, Any]) -> Event:
    """Reads what `event_to_json` wrote. Raises ValueError, KeyError, TypeError."""
    offset = int(data["offset"])
    match data["kind"]:
        case "started":
            return Started(offset, _description_from_json(data["feed"]))
        case "header":
            return Header(offset, b64decode(data["data"]))
        case "tags":
            return Tags(offset, str(data["artist"]), str(data["title"]), str(data["url"]))
        case "info":
            bitrate = data["bitrate"]
            stats = {str(name): str(value) for name, value in data["stats"].items()}
            return Info(offset, None if bitrate is None else int(bitrate), stats)
        case kind:
            raise ValueError(f"an event of the unknown kind {kind!r}")


def _description_to_json(one: SourceDescription) -> dict[str, Any]:
    headers = [[name, value] for name, value in one.headers if name.lower() not in _PRIVATE]
    return {"content_type": one.content_type, "headers": headers, "ip": one.ip, "started": one.started}


def _description_from_json(data: dict[str, Any]) -> SourceDescription:
    headers = Headers(tuple((str(name), str(value)) for name, value in data["headers"]))
    content_type, started = str(data["content_type"]), float(data["started"])
    return SourceDescription(source_info(headers), content_type, tuple(headers), str(data["ip"]), started)


@contextmanager
def _checking() -> Iterator[None]:
    """Raises LinkError for a payload that lacks a field or has a wrong one."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, error) as raised:
        raise LinkError(f"a malformed frame: {raised!r}") from raised
