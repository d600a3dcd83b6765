"""The messages on the connection of a mirror, on which a child mirrors one mount from its parent. Pure: values to
frames and back.

    child  → PULL     mount, and the epoch and offset up to which the child has it (offset -1: nothing yet)
    parent ← REFUSED  the reason; or
    parent ← HEAD     the offset of the first byte to come, the mount's lineage, its source, the marks valid there
           ← AUDIO    offset, join points, bytes
           ← EVENT    a source started, a title, a codec header, properties of the stream; each at its offset
           ← LINEAGE  a new epoch
           ← STATE    the mount has its source, or waits for it
           ← IDLE     nothing new (every second)
           ← GONE     the mount is over

Audio and marks are those of the parent's ring and timeline. So every mirror has the same bytes at the same offsets, and
the same join points. All but the audio is JSON, which `codec.py` checks.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isinf, isnan
from struct import Struct, error
from typing import Annotated, TypeVar

from pycast.cluster.codec import Bounds, Within, decode, encode
from pycast.cluster.link.frames import Kind, Malformed, pack, pack_json, read_json
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import MountName, Offset
from pycast.formats.content_types import FORMATS
from pycast.formats.marks import Header, Info, Join, Tags
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.journal import Event, Started
from pycast.stream.source import SourceDescription

_AUDIO = Struct(">QI")
_JOIN = Struct(">Qd")

# The most audio in one frame, in bytes: it is copied in microseconds and has thousands of join points at most.
MOST_AUDIO = 64 << 10

_MOST_OFFSET = 1 << 62

# Headers of a source that hold its secrets.
_PRIVATE = frozenset({"authorization", "proxy-authorization", "cookie"})

# Comments of a stream may have a picture, and so may codec headers, which are sent in base64.
_Text = Annotated[str, Bounds(text=1 << 20)]
_Binary = Annotated[bytes, Bounds(text=8 << 20)]

ValueT = TypeVar("ValueT")

# -- as they are sent


@dataclass(frozen=True, slots=True)
class _HeaderLine:
    name: _Text
    value: _Text


@dataclass(frozen=True, slots=True)
class _Description:
    content_type: _Text
    headers: Annotated[tuple[_HeaderLine, ...], Bounds(items=1000)]
    ip: str
    started: float
    format: Annotated[str, Bounds(text=100)] = ""


@dataclass(frozen=True, slots=True)
class _Song:
    artist: _Text
    title: _Text
    url: _Text


@dataclass(frozen=True, slots=True)
class _Properties:
    bitrate: Annotated[int, Within(-(1 << 40), 1 << 40)] | None
    stats: Annotated[Mapping[str, str], Bounds(text=1 << 20, items=1000)]


@dataclass(frozen=True, slots=True)
class _Event:
    """One of four kinds of events: the field that is given."""

    offset: Offset
    started: _Description | None = None
    header: _Binary | None = None
    song: _Song | None = None
    info: _Properties | None = None


@dataclass(frozen=True, slots=True)
class _Ownership:
    epoch: Epoch
    base: Offset


@dataclass(frozen=True, slots=True)
class _LineageFrame:
    lineage: Annotated[tuple[_Ownership, ...], Bounds(items=100_000)]


@dataclass(frozen=True, slots=True)
class _HeadFrame:
    offset: Offset
    lineage: tuple[_Ownership, ...]
    source: _Description
    started_at: Offset
    is_live: bool
    marks: Annotated[tuple[_Event, ...], Bounds(items=100)]
    head: Offset


@dataclass(frozen=True, slots=True)
class _StateFrame:
    is_live: bool


@dataclass(frozen=True, slots=True)
class _RefusedFrame:
    why: Annotated[str, Bounds(text=100)]


# -- as they are used


@dataclass(frozen=True, slots=True)
class Pull:
    """A child's request for a mount."""

    mount: MountName
    epoch: Epoch
    offset: Annotated[int, Within(-1, _MOST_OFFSET)]
    depth: Annotated[int, Within(0, 100)]
    """The number of mirrors below the one that asks. It is bounded, so that mirrors never form a circle."""

    def frame(self) -> bytes:
        """Returns the frame to send."""
        return pack_json(Kind.PULL, encode(self))

    @classmethod
    def read(cls, payload: bytes) -> "Pull":
        """Reads what `frame` wrote. Raises Malformed."""
        return _read(cls, payload)


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
        marks = tuple(map(_from_event, self.marks))
        lineage, source = _from_lineage(self.lineage), _from_description(self.description)
        sent = _HeadFrame(self.offset, lineage, source, self.started_at, self.is_live, marks, self.head)
        return pack_json(Kind.HEAD, encode(sent))

    @classmethod
    def read(cls, payload: bytes) -> "PullReply":
        """Reads what `frame` wrote. Raises Malformed."""
        sent = _read(_HeadFrame, payload)
        with _checking():
            if sent.started_at > sent.offset:
                raise ValueError(f"a source that started at {sent.started_at}, after {sent.offset}")
            lineage, source = _to_lineage(sent.lineage), _to_description(sent.source)
            marks = tuple(map(_to_event, sent.marks))
            return cls(sent.offset, lineage, source, sent.started_at, sent.is_live, marks, sent.head)


def audio_frame(offset: int, joins: Sequence[tuple[int, float]], data: bytes) -> bytes:
    """Returns a frame with the bytes from `offset` on and their join points."""
    packed = b"".join(_JOIN.pack(at, time_s) for at, time_s in joins)
    return pack(Kind.AUDIO, _AUDIO.pack(offset, len(joins)) + packed + data)


def read_audio(payload: bytes) -> tuple[int, list[Join], bytes]:
    """Returns offset, join points and bytes. Raises Malformed."""
    with _checking():
        offset, count = _AUDIO.unpack_from(payload)
        begin = _AUDIO.size + count * _JOIN.size
        if begin > len(payload):
            raise ValueError("fewer join points than announced")
        end = offset + len(payload) - begin
        if end > _MOST_OFFSET or end - offset > MOST_AUDIO:
            raise ValueError(f"{end - offset} bytes at offset {offset}")
        joins, last = [], offset
        for at, time_s in _JOIN.iter_unpack(payload[_AUDIO.size : begin]):
            if not last <= at < end or isinf(time_s):
                raise ValueError(f"a join point at offset {at} and {time_s} s, not in order or not in the audio")
            joins.append(Join(at, None if isnan(time_s) else time_s))
            last = at
        return offset, joins, payload[begin:]


def event_frame(event: Event) -> bytes:
    return pack_json(Kind.EVENT, encode(_from_event(event)))


def read_event(payload: bytes) -> Event:
    """Reads what `event_frame` wrote. Raises Malformed."""
    with _checking():
        return _to_event(_read(_Event, payload))


def lineage_frame(lineage: Lineage) -> bytes:
    return pack_json(Kind.LINEAGE, encode(_LineageFrame(_from_lineage(lineage))))


def read_lineage(payload: bytes) -> Lineage:
    """Reads what `lineage_frame` wrote. Raises Malformed."""
    with _checking():
        return _to_lineage(_read(_LineageFrame, payload).lineage)


def state_frame(*, is_live: bool) -> bytes:
    return pack_json(Kind.STATE, encode(_StateFrame(is_live)))


def read_state(payload: bytes) -> bool:
    """Returns whether the mount has its source. Raises Malformed."""
    return _read(_StateFrame, payload).is_live


def refused_frame(why: str) -> bytes:
    return pack_json(Kind.REFUSED, encode(_RefusedFrame(why)))


def read_refused(payload: bytes) -> str:
    """Returns why the parent does not give the mount. Raises Malformed."""
    return _read(_RefusedFrame, payload).why


# -- from one to the other


def _from_event(event: Event) -> _Event:
    match event:
        case Started(offset, description):
            return _Event(offset, started=_from_description(description))
        case Header(offset, data):
            return _Event(offset, header=data)
        case Tags(offset, artist, title, url):
            return _Event(offset, song=_Song(artist, title, url))
        case Info(offset, bitrate, stats):
            return _Event(offset, info=_Properties(bitrate, stats))


def _to_event(sent: _Event) -> Event:
    """Raises ValueError unless it is of one kind."""
    match sent:
        case _Event(offset, _Description() as started, None, None, None):
            return Started(offset, _to_description(started))
        case _Event(offset, None, bytes() as header, None, None):
            return Header(offset, header)
        case _Event(offset, None, None, _Song(artist, title, url), None):
            return Tags(offset, artist, title, url)
        case _Event(offset, None, None, None, _Properties(bitrate, stats)):
            return Info(offset, bitrate, stats)
    raise ValueError("an event of no kind, or of several")


def _from_description(one: SourceDescription) -> _Description:
    headers = tuple(_HeaderLine(name, value) for name, value in one.headers if name.lower() not in _PRIVATE)
    return _Description(one.content_type, headers, one.ip, one.started, one.format)


def _to_description(sent: _Description) -> SourceDescription:
    headers = tuple((line.name, line.value) for line in sent.headers)
    # The owner has decided the format, so it is never unknown here. A newer node may know more of them.
    name = sent.format if sent.format in FORMATS else ""
    return SourceDescription(source_info(Headers(headers)), sent.content_type, headers, sent.ip, sent.started, name)


def _from_lineage(lineage: Lineage) -> tuple[_Ownership, ...]:
    return tuple(_Ownership(epoch, base) for epoch, base in lineage.entries)


def _to_lineage(sent: tuple[_Ownership, ...]) -> Lineage:
    return Lineage.of((one.epoch, one.base) for one in sent)


def _read(kind: type[ValueT], payload: bytes) -> ValueT:
    with _checking():
        return decode(kind, read_json(payload))


@contextmanager
def _checking() -> Iterator[None]:
    """Raises Malformed for a payload that lacks a field or has a wrong one."""
    try:
        yield
    except (ValueError, error) as raised:
        raise Malformed(f"a malformed frame: {raised}") from raised
