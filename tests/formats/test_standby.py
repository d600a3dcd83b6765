"""A stream that stood by continues at a join point, as if a listener had started there."""

from random import Random

import pytest

from pycast.formats.content_types import new_format
from pycast.formats.marks import Header, Info, Join, Tags
from pycast.formats.standby import StandbyStream
from tests.formats.feeding import Result, every, run
from tests.formats.samples import OTHERS, content_type, decode_errors, sample

BASE = 1_000_003
NAMES = ("mp3", "mp3-vbr", "aac", "vorbis", "opus", "flac", "theora", "webm", "webm-video", *OTHERS)
PIECE = 700


def continued(name: str, data: bytes, cut: int) -> tuple[Result, int]:
    """Returns what goes on the air of a source that stood by for its first `cut` bytes, and what it had put out by
    then.
    """
    standby = StandbyStream(new_format(content_type(name)))
    for piece in every(data[:cut], PIECE):
        standby.feed(piece)
    before = run(new_format(content_type(name)), every(data[:cut], PIECE))
    return run(standby.resume_at(BASE), every(data[cut:], PIECE)), len(before.out)


def heard(result: Result) -> bytes:
    """Returns what a listener gets that starts where the stream goes on the air."""
    return b"".join(mark.data for mark in result.headers if mark.offset == BASE) + result.out


def expected_join(whole: Result, size: int) -> Join:
    return next(join for join in whole.joins if join.offset >= size)


@pytest.mark.parametrize("name", NAMES)
def test_it_continues_with_what_a_listener_that_starts_there_would_get(name: str) -> None:
    data, rng = sample(name), Random(name)
    whole = run(new_format(content_type(name)), every(data, PIECE))
    last = whole.joins[-1].offset
    for _ in range(12):
        cut = rng.randrange(last)
        result, size = continued(name, data, cut)
        join = expected_join(whole, size)
        assert heard(result) == whole.heard_from(join), cut
        shift = BASE + len(result.out) - len(whole.out)
        wanted = [Join(one.offset + shift, one.time_s) for one in whole.joins if one.offset >= join.offset]
        assert result.joins == wanted, cut


@pytest.mark.parametrize("name", NAMES)
def test_it_decodes_from_its_first_byte_and_from_its_join_points(name: str) -> None:
    result, _ = continued(name, sample(name), len(sample(name)) // 2)
    assert decode_errors(heard(result)) == ""
    for join in (result.joins[0], result.joins[len(result.joins) // 2]):
        header = b""
        for mark in result.headers:
            if mark.offset <= join.offset:
                header = mark.data
        assert decode_errors(header + result.out[join.offset - BASE :]) == ""


@pytest.mark.parametrize("name", ["vorbis", "opus", "flac"])
def test_the_next_link_of_a_chain_begins_with_its_own_header(name: str) -> None:
    data = sample(name)
    whole = run(new_format(content_type(name)), every(data * 2, PIECE))
    last = max(join.offset for join in whole.joins if join.offset < len(data))
    for cut in (last + 1, last + 200, len(data) - 1, len(data), len(data) + 10):
        result, size = continued(name, data * 2, cut)
        assert result.out == whole.heard_from(expected_join(whole, size)), cut


def test_properties_and_title_are_reported_where_it_continues() -> None:
    result, _ = continued("vorbis", sample("vorbis"), len(sample("vorbis")) // 2)
    assert result.of(Tags) == [Tags(BASE, "Artist", "Tïtle")]
    infos = [mark for mark in result.marks if isinstance(mark, Info)]
    assert infos and infos[0].offset == BASE
    (header,) = result.headers
    assert header == Header(BASE + len(header.data), header.data)
    assert result.out.startswith(header.data)


@pytest.mark.parametrize("name", ["mp3", "vorbis", "webm"])
def test_a_stream_that_was_on_the_air_continues_at_other_offsets(name: str) -> None:
    data = sample(name)
    whole = run(new_format(content_type(name)), every(data, PIECE))
    stream = new_format(content_type(name))
    aired = run(stream, every(data[: len(data) // 3], PIECE))
    header = aired.headers[-1].data if aired.headers else b""
    standby = StandbyStream(stream, len(aired.out), header)
    waited = data[len(data) // 3 : len(data) // 2]
    for piece in every(waited, PIECE):
        standby.feed(piece)
    size = len(run(new_format(content_type(name)), every(data[: len(data) // 2], PIECE)).out)
    result = run(standby.resume_at(BASE), every(data[len(data) // 2 :], PIECE))
    assert result.out[len(header) :] == whole.out[expected_join(whole, size).offset :]


def test_nothing_comes_before_the_first_join_point() -> None:
    standby = StandbyStream(new_format("audio/mpeg"))
    stream = standby.resume_at(BASE)
    assert stream.feed(b"") == (b"", [])
    assert stream.family == "generic"
    assert stream.warning == ""
