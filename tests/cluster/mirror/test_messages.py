"""The messages of a mirror are read as they were written; any payload gives a value or LinkError."""

import json
from collections.abc import Callable
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.link.frames import FrameReader, Kind, LinkError, Malformed
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.mirror.messages import (
    MOST_AUDIO,
    Pull,
    PullReply,
    audio_frame,
    event_frame,
    lineage_frame,
    read_audio,
    read_event,
    read_lineage,
    read_refused,
    read_state,
    refused_frame,
    state_frame,
)
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.formats.marks import Header, Info, Join, Tags
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.journal import Event, Started
from pycast.stream.source import SourceDescription

HEADERS = (("ice-name", "Rädio"), ("icy-br", "128"))
DESCRIPTION = SourceDescription(source_info(Headers(HEADERS)), "audio/mpeg", HEADERS, "192.0.2.1", 1234.5)
LINEAGE = Lineage().with_epoch(Epoch(0, 1, 1, "a"), 0).with_epoch(Epoch(0, 2, 1, "b"), 77)
EVENTS: tuple[Event, ...] = (
    Started(5, DESCRIPTION),
    Header(6, bytes(range(256))),
    Tags(7, "Artist", "Tïtle", "http://x/"),
    Info(8, 128_000, {"ice-samplerate": "44100"}),
    Info(9, None, {}),
)
PULL = Pull("/live.mp3", Epoch(0, 2, 1, "b"), 4711, 2)
HEAD = PullReply(90, LINEAGE, DESCRIPTION, 77, True, EVENTS[1:])
READERS: tuple[Callable[[bytes], object], ...] = (
    Pull.read,
    PullReply.read,
    read_audio,
    read_event,
    read_lineage,
    read_refused,
    read_state,
)


def payload(frame: bytes, kind: Kind) -> bytes:
    """Returns the payload of a single frame, which has to be of that kind."""
    ((found, data),) = FrameReader().feed(frame)
    assert found is kind
    return data


def test_a_pull_reads_back_as_it_was_written() -> None:
    for pull in (PULL, Pull("/x", NO_EPOCH, -1, 0)):
        assert Pull.read(payload(pull.frame(), Kind.PULL)) == pull


def test_a_head_reads_back_as_it_was_written() -> None:
    assert PullReply.read(payload(HEAD.frame(), Kind.HEAD)) == HEAD


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_reads_back_as_it_was_written(event: Event) -> None:
    assert read_event(payload(event_frame(event), Kind.EVENT)) == event


def test_a_lineage_reads_back_as_it_was_written() -> None:
    assert read_lineage(payload(lineage_frame(LINEAGE), Kind.LINEAGE)) == LINEAGE


@given(
    st.integers(0, 2**62 - 50),
    st.lists(st.tuples(st.integers(0, 49), st.floats(allow_infinity=False)), max_size=5),
    st.binary(max_size=50),
)
def test_audio_reads_back_as_it_was_written(offset: int, places: list[tuple[int, float]], data: bytes) -> None:
    joins = [(offset + at, time_s) for at, time_s in sorted(places) if at < len(data)]
    found = read_audio(payload(audio_frame(offset, joins, data), Kind.AUDIO))
    assert found == (offset, [Join(at, None if isnan(time_s) else time_s) for at, time_s in joins], data)


def test_the_secrets_of_a_source_are_not_sent() -> None:
    headers = (
        *HEADERS,
        ("authorization", "Basic c2VjcmV0"),
        ("Cookie", "c2VjcmV0"),
        ("proxy-authorization", "c2VjcmV0"),
    )
    private = DESCRIPTION._replace(headers=headers)
    frame = event_frame(Started(0, private))
    assert b"c2VjcmV0" not in frame
    assert read_event(payload(frame, Kind.EVENT)) == Started(0, DESCRIPTION)


@pytest.mark.parametrize("read", READERS)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_a_value_or_a_link_error(read: Callable[[bytes], object], data: bytes) -> None:
    try:
        read(data)
    except LinkError:
        return


VALUES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just([1])
)
WHOLE: dict[Callable[[bytes], object], bytes] = {
    Pull.read: payload(PULL.frame(), Kind.PULL),
    PullReply.read: payload(HEAD.frame(), Kind.HEAD),
    read_event: payload(event_frame(EVENTS[0]), Kind.EVENT),
    read_lineage: payload(lineage_frame(LINEAGE), Kind.LINEAGE),
}


@pytest.mark.parametrize("read", WHOLE, ids=lambda read: read.__qualname__)
@given(data=st.data())
def test_a_field_of_another_kind_gives_a_value_or_a_link_error(
    read: Callable[[bytes], object], data: st.DataObject
) -> None:
    value = json.loads(WHOLE[read])
    where = value["source"] if "source" in value and data.draw(st.booleans()) else value
    where[data.draw(st.sampled_from(sorted(where)))] = data.draw(VALUES)
    try:
        read(json.dumps(value).encode())
    except LinkError:
        return


@pytest.mark.parametrize(
    ("offset", "joins", "size"),
    [
        (2**62, [], 1),
        (2**64 - 1, [], 0),
        (0, [], MOST_AUDIO + 1),
        (5, [(4, 0.0)], 10),
        (5, [(15, 0.0)], 10),
        (5, [(7, 0.0), (6, 0.0)], 10),
        (5, [(7, float("inf"))], 10),
    ],
    ids=["offset", "largest offset", "size", "join before", "join after", "joins not in order", "time"],
)
def test_audio_that_cannot_be_is_refused(offset: int, joins: list[tuple[int, float]], size: int) -> None:
    with pytest.raises(Malformed):
        read_audio(payload(audio_frame(offset, joins, bytes(size)), Kind.AUDIO))


@pytest.mark.parametrize(
    ("read", "field", "value"),
    [
        (Pull.read, "offset", -2),
        (Pull.read, "depth", -1),
        (Pull.read, "mount", "x"),
        (Pull.read, "mount", "/admin/x"),
        (PullReply.read, "offset", -1),
        (PullReply.read, "head", 2**63),
        (PullReply.read, "started_at", 91),
        (PullReply.read, "is_live", 1),
        (PullReply.read, "marks", [{"offset": 1}]),
        (PullReply.read, "marks", [{"offset": 1, "header": "", "song": {"artist": "", "title": "", "url": ""}}]),
        (PullReply.read, "lineage", []),
        (read_event, "offset", 2**62 + 1),
        (read_event, "header", "not base64"),
        (read_lineage, "lineage", [{"epoch": "0.1.1.a", "base": 0}, {"epoch": "0.1.1.b", "base": 0}]),
    ],
)
def test_a_value_that_cannot_be_is_refused(read: Callable[[bytes], object], field: str, value: object) -> None:
    with pytest.raises(Malformed):
        read(json.dumps(json.loads(WHOLE[read]) | {field: value}).encode())


@pytest.mark.parametrize("started", ["inf", "12", float("inf"), 1e300, -1.0, None, True])
def test_the_time_of_a_source_is_one_that_a_page_can_show(started: object) -> None:
    """It is in the statistics of every node that mirrors the mount."""
    value = json.loads(WHOLE[PullReply.read])
    value["source"]["started"] = started
    with pytest.raises(Malformed):
        PullReply.read(json.dumps(value).encode())


def test_a_state_and_a_refusal_read_back_as_they_were_written() -> None:
    assert [read_state(payload(state_frame(is_live=one), Kind.STATE)) for one in (True, False)] == [True, False]
    assert read_refused(payload(refused_frame("absent"), Kind.REFUSED)) == "absent"
    for bad in (b"{}", b'{"why": 5}', b'{"why": "' + b"x" * 200 + b'"}'):
        with pytest.raises(Malformed):
            read_refused(bad)


def test_fewer_join_points_than_announced_are_refused() -> None:
    whole = payload(audio_frame(0, [(1, 0.5), (2, 1.0)], b""), Kind.AUDIO)
    with pytest.raises(LinkError, match="join points"):
        read_audio(whole[:-1])
