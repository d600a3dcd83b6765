"""What real encoders send passes unchanged, however it arrives, and decodes from wherever a listener may start."""

from random import Random

import pytest

from pycast.formats.content_types import new_format
from pycast.formats.marks import Join, Tags
from tests.formats.feeding import Result, cut, every, run
from tests.formats.samples import FRAMES, OGG, OTHERS, WEBM, content_type, decode_errors, sample


def fed(name: str, data: bytes) -> Result:
    return run(new_format(content_type(name)), every(data, 1400))


def some_joins(result: Result) -> list[Join]:
    """Returns the first two joins, one in the middle and the last but one."""
    joins = result.joins
    return [joins[0], joins[1], joins[len(joins) // 2], joins[-2]]


@pytest.mark.parametrize("name", [*FRAMES, *OGG, *WEBM, *OTHERS])
def test_a_stream_is_the_same_however_it_is_cut(name: str) -> None:
    data = sample(name)
    whole = run(new_format(content_type(name)), [data])
    rng = Random(name)
    assert data.startswith((whole.out, whole.heard))
    assert len(data) - len(whole.out) < 2000
    assert len(whole.joins) >= 4
    for pieces in (every(data, 1), every(data, 1400), cut(data, [rng.randrange(len(data)) for _ in range(60)])):
        result = run(new_format(content_type(name)), pieces)
        assert (result.out, result.marks) == (whole.out, whole.marks)


@pytest.mark.parametrize("name", [*OGG, *WEBM, *OTHERS])
def test_a_stream_decodes_from_its_joins_without_an_error(name: str) -> None:
    result = fed(name, sample(name))
    for join in some_joins(result):
        assert decode_errors(result.heard_from(join)) == ""


@pytest.mark.parametrize("name", FRAMES)
def test_frames_decode_from_their_joins(name: str) -> None:
    result = fed(name, sample(name))
    for join in some_joins(result)[:3]:
        assert decode_errors(result.heard_from(join)) == ""


@pytest.mark.parametrize("name", OGG)
def test_a_chained_stream_decodes_across_the_chain_and_from_each_link(name: str) -> None:
    data = sample(name)
    result = fed(name, data * 2)
    assert result.out == data * 2
    second = [join for join in result.joins if join.offset >= len(data)]
    assert second[0].offset == len(data)
    assert second[0].time_s == pytest.approx(6.0, abs=0.1)
    for join in (second[0], second[1], second[-2]):
        assert decode_errors(result.heard_from(join)) == ""
    # ffprobe itself stumbles over a second link of Opus or Theora: it must do no worse than with the file as it is.
    before = result.joins[-len(second) - 2]
    assert before.offset < len(data)
    assert decode_errors(result.heard_from(before)) == decode_errors(data * 2)


def test_a_second_webm_document_can_be_joined_at_once_and_later() -> None:
    data = sample("webm")
    result = fed("webm", data * 2)
    second = [join for join in result.joins if join.offset >= len(data)]
    assert second[0].offset == len(data)
    for join in (second[0], second[1], second[-2]):
        assert decode_errors(result.heard_from(join)) == ""


@pytest.mark.parametrize("name", ["vorbis", "opus", "flac", "theora", "native-flac"])
def test_titles_are_read_from_real_comments(name: str) -> None:
    assert fed(name, sample(name)).of(Tags) == [Tags(0, "Artist", "Tïtle")]


@pytest.mark.parametrize("name", [*OGG, *WEBM, *OTHERS, "mp3", "aac"])
def test_media_time_runs_from_zero_to_the_length_of_the_stream(name: str) -> None:
    times = [join.time_s for join in fed(name, sample(name)).joins if join.time_s is not None]
    assert times == sorted(times)
    assert times[0] == 0.0
    assert 4.0 <= times[-1] <= 6.1


@pytest.mark.parametrize(
    ("name", "unit"), [*((name, b"OggS") for name in OGG), *((name, b"\x1fC\xb6u") for name in WEBM)]
)
def test_joins_are_starts_of_pages_and_clusters(name: str, unit: bytes) -> None:
    result = fed(name, sample(name))
    assert all(result.out.startswith(unit, join.offset) for join in result.joins[1:])
