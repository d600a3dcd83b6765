"""WebM and Matroska: the header, joins at clusters (key frames, if there is video), and chained files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.marks import Header, Info, Join
from pycast.formats.webm import MAX_HEADER, MAX_HELD, MAX_UNIT, WebM
from tests.formats.elements import (
    UNKNOWN,
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
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, run

AUDIO = document(audio_track())
VIDEO = document(audio_track(1), video_track(2))
KEY, INTER, SOUND = simple_block(2), simple_block(2, is_key=False), simple_block(1)


def feed(*parts: bytes, base: int = 0) -> Result:
    return run(WebM(base), [b"".join(parts)])


@pytest.mark.parametrize("is_sized", [False, True])
def test_a_listener_starts_at_the_beginning_or_with_the_header_at_any_cluster(is_sized: bool) -> None:
    clusters = [cluster(ticks, SOUND, SOUND, is_sized=is_sized) for ticks in (0, 1000, 2500)]
    result = feed(AUDIO, *clusters, base=50)
    start = 50 + len(AUDIO)
    size = len(clusters[0])
    assert result.out == AUDIO + b"".join(clusters)
    assert result.headers == [Header(50, b""), Header(start, AUDIO)]
    assert result.joins == [Join(50, 0.0), Join(start, 0.0), Join(start + size, 1.0), Join(start + 2 * size, 2.5)]


def test_blocks_pass_one_by_one() -> None:
    stream = WebM()
    stream.feed(AUDIO + cluster(0))
    assert stream.feed(SOUND)[0] == SOUND
    assert stream.feed(SOUND[:5])[0] == b""
    assert stream.feed(SOUND[5:])[0] == SOUND


def test_properties_are_reported_at_the_start_of_the_chain() -> None:
    (info,) = feed(VIDEO, cluster(0, KEY)).of(Info)
    stats = {"audio_samplerate": "48000", "audio_channels": "2", "frame_size": "640 x 480"}
    assert info == Info(0, None, stats)


def test_a_segment_of_known_size_has_none_for_listeners_that_join_it() -> None:
    result = feed(document(audio_track(), segment_size=5000), cluster(0, SOUND))
    assert result.out.startswith(document(audio_track(), segment_size=5000))
    assert result.headers[-1].data == document(audio_track(), segment_size=UNKNOWN)


def test_video_is_joined_at_clusters_that_begin_with_a_key_frame() -> None:
    clusters = [
        cluster(0, SOUND, KEY, INTER),
        cluster(40, SOUND, INTER, KEY),
        cluster(80, SOUND),
        cluster(120, block_group(2)),
        cluster(160, block_group(2, is_key=False)),
        cluster(200, KEY),
    ]
    result = feed(VIDEO, *clusters)
    starts = [len(VIDEO) + len(b"".join(clusters[:index])) for index in range(6)]
    assert result.out == VIDEO + b"".join(clusters)
    assert result.joins == [Join(0, 0.0), Join(starts[0], 0.0), Join(starts[3], 0.12), Join(starts[5], 0.2)]


def test_a_cluster_of_video_is_held_back_until_it_is_decided() -> None:
    stream = WebM()
    stream.feed(VIDEO)
    start = cluster(0, SOUND)
    assert stream.feed(start) == (b"", [Info(0, None, {**_stats()}), Header(len(VIDEO), VIDEO)])
    assert stream.feed(KEY) == (start + KEY, [Join(len(VIDEO), 0.0)])


def _stats() -> dict[str, str]:
    return {"audio_samplerate": "48000", "audio_channels": "2", "frame_size": "640 x 480"}


def test_audio_goes_on_when_the_video_stops() -> None:
    stream = WebM()
    block = simple_block(1, size=1000)
    count = MAX_HELD // len(block) + 2
    result = run(stream, [VIDEO, cluster(0), *[block] * count])
    assert result.out == VIDEO + cluster(0) + block * count
    assert result.held <= MAX_HELD + len(block)
    assert len(result.joins) == 1


def test_a_cluster_without_time_can_still_be_joined() -> None:
    result = feed(AUDIO, head(0x1F43B675, UNKNOWN), SOUND, SOUND)
    assert result.joins == [Join(0, 0.0), Join(len(AUDIO), 0.0)]


def test_elements_between_clusters_pass() -> None:
    cues = element(0x1C53BB6B, b"cues")
    result = feed(AUDIO, cluster(0, SOUND), cues, cluster(1000, SOUND))
    assert result.out == AUDIO + cluster(0, SOUND) + cues + cluster(1000, SOUND)
    assert len(result.joins) == 3


@pytest.mark.parametrize("tail", [b"", element(0x1C53BB6B, b"cues")])
def test_a_second_document_continues_time_and_brings_its_own_header(tail: bytes) -> None:
    one = AUDIO + cluster(0, SOUND) + cluster(1000, simple_block(1, 500)) + tail
    other = document(audio_track(3, 44100.0, 1))
    result = feed(one, other, cluster(0, SOUND), cluster(1000, SOUND))
    start = len(one)
    assert result.headers[2:] == [Header(start, b""), Header(start + len(other), other)]
    assert [join.time_s for join in result.joins if join.offset >= start] == pytest.approx([1.5, 1.5, 2.5])
    info = result.of(Info)[-1]
    assert isinstance(info, Info)
    assert (info.offset, info.stats["audio_samplerate"]) == (start, "44100")


def test_an_undecided_cluster_is_released_when_another_document_begins() -> None:
    result = feed(VIDEO, cluster(0, SOUND), VIDEO, cluster(0, KEY))
    assert result.out == VIDEO + cluster(0, SOUND) + VIDEO + cluster(0, KEY)


def test_the_bit_rate_is_measured() -> None:
    clusters = [cluster(1000 * second, simple_block(size=8000)) for second in range(8)]
    rates = [info.bitrate for info in feed(AUDIO, *clusters).of(Info) if isinstance(info, Info)]
    assert rates == [None, 64_000]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"OggS", id="not EBML"),
        pytest.param(AUDIO + cluster(0, SOUND) + bytes(20), id="zeros in a cluster"),
        pytest.param(AUDIO + cluster(0) + head(0xA3, MAX_UNIT), id="block too large"),
        pytest.param(AUDIO + cluster(0) + head(0xA3, UNKNOWN), id="block of unknown size"),
        pytest.param(AUDIO + element(0x1941A469, bytes(MAX_HEADER)) + cluster(0), id="header too large"),
        pytest.param(AUDIO + element(0xEC, bytes(1000)) * 1100, id="header does not end"),
        pytest.param(document(element(0xAE, b"\xff")) + cluster(0), id="broken track"),
        pytest.param(AUDIO + cluster(0) + element(0xA3, b"\x81"), id="broken block"),
    ],
)
def test_what_cannot_be_played_is_refused(data: bytes) -> None:
    assert feed(data).is_refused


BLOCKS = [
    AUDIO,
    VIDEO,
    cluster(0),
    cluster(40, SOUND, is_sized=True),
    cluster(70_000_000),
    KEY,
    INTER,
    SOUND,
    block_group(2),
    number(0xE7, 5),
    element(0xEC, b"void"),
    head(0x18538067, UNKNOWN),
    KEY[:7],
]


@given(st.lists(st.sampled_from(BLOCKS) | st.binary(max_size=12), max_size=20), CUTS)
@settings(deadline=None, max_examples=150)
def test_any_bytes_cut_anywhere_give_the_same_or_are_refused(blocks: list[bytes], places: list[int]) -> None:
    assert_same_in_pieces(WebM, b"".join(blocks), places, MAX_UNIT)
    assert_same_in_pieces(WebM, VIDEO + b"".join(blocks), places, MAX_UNIT)


def test_a_header_that_is_too_large_is_refused_before_it_has_come() -> None:
    webm = WebM()
    webm.feed(document(audio_track()))
    with pytest.raises(FormatError, match="no cluster"):
        webm.feed(head(0x1941A469, MAX_HEADER))
