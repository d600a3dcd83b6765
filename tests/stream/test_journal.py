"""The journal tells a mirror what has changed since it last looked, and which source the audio came from."""

from pycast.formats.marks import Header, Info, Tags
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stream.journal import MOST_BYTES, MOST_EVENTS, Journal, Started
from pycast.stream.source import SourceDescription


def started(offset: int, ip: str = "127.0.0.1") -> Started:
    return Started(offset, SourceDescription(source_info(Headers()), "audio/mpeg", (), ip, 0.0))


def title(offset: int, text: str = "x") -> Tags:
    return Tags(offset, "", text)


def info(offset: int, bitrate: int = 128_000) -> Info:
    return Info(offset, bitrate, {})


def journal(*events: Started | Header | Info | Tags) -> Journal:
    made = Journal()
    for event in events:
        made.add(event)
    return made


def test_a_reader_gets_each_event_once_by_its_number() -> None:
    made = journal(started(0), title(5))
    assert made.since(0, 0) == [(0, started(0)), (1, title(5))]
    assert made.since(2, 0) == []
    made.add(Header(9, b"h"))
    assert made.since(2, 0) == [(2, Header(9, b"h"))]


def test_a_reader_that_begins_later_gets_no_events_of_before() -> None:
    assert journal(started(0), title(5), title(9)).since(0, 9) == [(2, title(9))]


def test_the_source_of_an_offset_is_the_last_that_began_there_or_before() -> None:
    made = journal(started(0, "a"), started(100, "b"))
    assert [made.started_before(at) for at in (0, 99, 100, 500)] == [started(0, "a")] * 2 + [started(100, "b")] * 2
    assert Journal().started_before(10) is None


def test_properties_are_those_of_the_same_source() -> None:
    made = journal(started(0), info(10), info(20, 64_000), started(100), title(110))
    assert [made.info_before(at) for at in (5, 10, 50, 100)] == [None, info(10), info(20, 64_000), None]


def test_the_source_of_the_oldest_audio_is_kept_when_its_event_is_trimmed() -> None:
    made = journal(started(0, "a"), title(5), started(100, "b"), title(105))
    made.trim(50)
    assert made.since(0, 0) == [(2, started(100, "b")), (3, title(105))]
    assert made.started_before(60) == started(0, "a")
    made.trim(200)
    assert made.since(0, 0) == []
    assert made.started_before(300) == started(100, "b")


def test_numbers_go_on_after_it_was_cleared() -> None:
    made = journal(started(0), title(5))
    made.clear()
    assert (made.since(0, 0), made.started_before(10), made.next) == ([], None, 2)
    made.add(title(0))
    assert made.since(2, 0) == [(2, title(0))]


def test_an_event_replaces_one_of_its_kind_at_the_same_offset() -> None:
    """On a mount without audio, titles would gather for ever."""
    made = journal(started(0), title(5, "first"), info(5), title(5, "second"))
    assert made.since(0, 0) == [(0, started(0)), (2, info(5)), (3, title(5, "second"))]
    assert made.since(2, 0) == [(2, info(5)), (3, title(5, "second"))]
    made.add(title(6, "third"))
    made.add(started(6, "b"))
    made.add(started(6, "c"))
    assert made.since(3, 0) == [(3, title(5, "second")), (4, title(6, "third")), (6, started(6, "c"))]


def test_of_many_events_the_latest_are_kept_and_the_source_of_the_oldest() -> None:
    made = journal(started(0, "a"))
    for number in range(10 * MOST_EVENTS):
        made.add(title(number))
    assert len(made.since(0, 0)) == MOST_EVENTS
    assert made.dropped == 9 * MOST_EVENTS + 1
    assert made.since(0, 0)[-1] == (10 * MOST_EVENTS, title(10 * MOST_EVENTS - 1))
    assert made.started_before(10 * MOST_EVENTS) == started(0, "a")


def test_events_are_limited_in_bytes() -> None:
    made = journal(started(0))
    for number in range(20):
        made.add(Header(number, bytes(1 << 20)))
    kept = [event for _, event in made.since(0, 0)]
    assert len(kept) == MOST_BYTES >> 20 and kept[-1].offset == 19
    made.add(Header(19, b"h"))
    made.add(title(19, "x" * MOST_BYTES))
    assert [event.offset for _, event in made.since(0, 0)] == [19]
    dropped = made.dropped
    made.trim(20)
    made.clear()
    assert (made._bytes, made.dropped) == (0, dropped)
