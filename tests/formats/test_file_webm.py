"""Clusters of all rounds are those of one document, with times that go on."""

from itertools import pairwise

import pytest

from pycast.errors import FormatError
from pycast.formats import matroska
from pycast.formats.ebml import read_element
from pycast.formats.file_webm import MatroskaFile
from pycast.formats.webm import WebM
from tests.formats.elements import (
    audio_track,
    block_group,
    cluster,
    document,
    element,
    head,
    number,
    simple_block,
    video_track,
)
from tests.formats.feeding import every, run

BEGIN = document(audio_track())
CLUSTERS = cluster(500, simple_block(1, 0), simple_block(1, 20)) + cluster(540, simple_block(1, 0), simple_block(1, 20))
DURATION = b"\x44\x89\x84\x00\x00\x00\x00"


def play(*rounds: bytes, size: int = 100) -> tuple[bytes, MatroskaFile]:
    audio, out = MatroskaFile(), b""
    for data in rounds:
        out += b"".join(map(audio.feed, every(data, size))) + audio.end_round()
    return out, audio


def times(out: bytes) -> list[int]:
    """Returns the times of the clusters."""
    return [int.from_bytes(part[:8]) for part in out.split(b"\xe7\x88")[1:]]


@pytest.mark.parametrize("size", [1, 37, 10_000])
def test_the_header_comes_once_and_times_go_on(size: int) -> None:
    out, audio = play(*[BEGIN + CLUSTERS] * 3, size=size)
    assert out.startswith(BEGIN) and out.count(BEGIN[:4]) == 1
    assert times(out) == [0, 40, 80, 120, 160, 200], "the last block lasts as long as the one before it"
    assert audio.end_s == pytest.approx(0.24)
    result = run(WebM(), [out])
    assert result.out == out
    assert [join.time_s for join in result.joins[1:]] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16, 0.2])


def test_a_time_that_no_number_holds_is_an_error() -> None:
    data = BEGIN + cluster(0, simple_block(1)) + cluster((1 << 64) - 10, simple_block(1, 20))
    with pytest.raises(FormatError, match="beyond all numbers"):
        play(data, data)
    late = (1 << 64) - 1000
    with pytest.raises(FormatError, match="beyond all numbers"):
        play(BEGIN + cluster(0, simple_block(1)) + cluster(late, simple_block(1), simple_block(1, 2000)))


def test_a_block_may_say_how_long_it_lasts_and_the_longest_track_counts() -> None:
    lasting = element(0xA0, element(0xA1, b"\x82\0\0\0d") + number(0x9B, 300))
    data = document(audio_track(), video_track()) + cluster(0, simple_block(1), lasting, block_group(1, 20))
    assert times(play(data, data)[0]) == [0, 300]


def test_what_is_true_of_a_file_only_is_left_out() -> None:
    info = element(0x1549A966, number(0x2AD7B1, 1_000_000) + DURATION)
    places = element(0x114D9B74, b"seek") + element(0x1C53BB6B, b"cues") + element(0xEC, bytes(50))
    tracks = element(0x1654AE6B, audio_track())
    begin = BEGIN[: BEGIN.index(b"\x15\x49\xa9\x66")]
    inside = cluster(0, number(0xA7, 9), number(0xAB, 99), simple_block(), is_sized=True)
    out, _ = play(begin + places + info + tracks + inside + places)
    assert DURATION[:2] not in out and b"seek" not in out and b"cues" not in out
    assert number(0xA7, 9) not in out and number(0xAB, 99) not in out
    result = run(WebM(), [out])
    assert (result.out, len(result.joins)) == (out, 2)


def test_a_length_that_claims_to_be_larger_than_the_file_is_no_reason_to_make_room_for_it() -> None:
    broken = element(0x1549A966, number(0x2AD7B1, 1_000_000) + head(0x4489, 1 << 50) + bytes(8))
    begin, tracks = BEGIN[: BEGIN.index(b"\x15\x49\xa9\x66")], element(0x1654AE6B, audio_track())
    out, _ = play(begin + broken + tracks + CLUSTERS)
    assert len(out) < 1000 and times(out) == [0, 40]


def test_a_file_with_other_tracks_is_another_document() -> None:
    other = document(audio_track(rate=44100.0)) + CLUSTERS
    out, audio = play(BEGIN + CLUSTERS, other, other)
    assert out.count(BEGIN[:4]) == 2
    assert times(out) == [0, 40, 0, 40, 80, 120]
    assert audio.end_s == pytest.approx(0.24)


def test_a_file_of_several_documents_is_played_as_well() -> None:
    assert times(play(BEGIN + CLUSTERS + BEGIN + CLUSTERS)[0]) == [0, 40, 80, 120]


def block_times(out: bytes) -> list[int]:
    """Returns the times of all blocks, as a player finds them."""
    found, pos, now = [], 0, 0
    while pos < len(out):
        one = read_element(out, pos)
        assert one is not None
        content = out[one.content : one.content + (one.size or 0)]
        if one.id == matroska.TIMESTAMP:
            now = int.from_bytes(content)
        elif one.id == matroska.SIMPLE_BLOCK:
            found.append(now + matroska.read_simple_block(content).ticks)
        elif one.id == matroska.BLOCK_GROUP:
            found.append(now + matroska.read_block_group(content).ticks)
        is_head = one.id in (matroska.SEGMENT, matroska.CLUSTER)
        pos = one.content + (0 if is_head else one.size or 0)
    return found


def test_a_long_cluster_of_sound_becomes_several_with_the_same_times() -> None:
    lasting = element(0xA0, number(0xFB, 1) + element(0xA1, b"\x81" + (1500).to_bytes(2) + b"\0d") + number(0x9B, 20))
    blocks = [
        *(simple_block(1, at) for at in range(0, 1500, 20)),
        lasting,
        *(simple_block(1, at) for at in (1520, 1510)),
    ]
    late = [simple_block(1, at) for at in range(1540, 30_000, 20)]
    out, audio = play(*[BEGIN + cluster(700, *blocks, *late)] * 2)
    once = [*range(0, 1520, 20), 1520, 1510, *range(1540, 30_000, 20)]
    assert block_times(out) == [*once, *(30_000 + at for at in once)]
    starts = times(out)
    assert len(starts) == 60 and max(later - sooner for sooner, later in pairwise(starts)) == 1000
    assert audio.end_s == 60.0
    result = run(WebM(), [out])
    assert result.out == out and len(result.joins) == 61


def test_pictures_are_not_taken_apart() -> None:
    blocks = [simple_block(1, at) for at in range(0, 5000, 20)]
    out, _ = play(document(audio_track(), video_track()) + cluster(0, simple_block(2, 0), *blocks))
    assert times(out) == [0]
