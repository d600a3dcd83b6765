"""WebM and Matroska: the header, joins at clusters (key frames, if there is video), and chained files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.ebml import void
from pycast.formats.marks import Header, Info, Join
from pycast.formats.webm import MAX_EXTRA, MAX_HEADER, MAX_HELD, MAX_LOST, MAX_UNIT, WebM
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
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, every, run

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


def test_a_segment_of_known_size_has_none_for_listeners() -> None:
    result = feed(document(audio_track(), segment_size=5000), cluster(0, SOUND))
    assert result.out == AUDIO + cluster(0, SOUND)
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
    assert stream.feed(VIDEO) == (b"", [])
    start = cluster(0, SOUND)
    marks = [Header(0, b""), Join(0, 0.0), Info(0, None, {**_stats()}), Header(len(VIDEO), VIDEO)]
    assert stream.feed(start) == (VIDEO, marks)
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
    "junk",
    [
        pytest.param(b"\r\n", id="a line end"),
        pytest.param(bytes(20), id="zeros"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", id="text"),
        pytest.param(SOUND[7:], id="the rest of a block"),
        pytest.param(head(0xA3, MAX_UNIT), id="a block that is too large"),
        pytest.param(head(0xA3, UNKNOWN), id="a block of unknown size"),
        pytest.param(head(0x1941A469, MAX_LOST), id="an attachment that is too large"),
        pytest.param(element(0xA3, b"\x81"), id="a block without a head"),
        pytest.param(element(0xA0, b"\xec\x80"), id="a group without a block"),
    ],
)
def test_junk_between_elements_is_dropped_up_to_the_next_cluster_or_document(junk: bytes) -> None:
    rest = SOUND if junk != element(0xA3, b"\x81") and junk[:1] != b"\xa0" else b""
    for after in (cluster(1000, SOUND), document(audio_track(3)) + cluster(0, SOUND)):
        stream = WebM()
        result = run(stream, [AUDIO + cluster(0, SOUND) + junk + rest + after])
        assert result.out == AUDIO + cluster(0, SOUND) + after
        assert stream.dropped == len(junk + rest)
        assert f"{stream.dropped} bytes" in stream.warning
        assert result.joins[-1].offset == len(result.out) - len(cluster(0, SOUND))


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\r\n", id="a line end"),
        pytest.param(b"ID3\x04" + bytes(3000), id="a tag"),
        pytest.param(cluster(5000, SOUND) + SOUND, id="clusters of a document that began before"),
        pytest.param(SOUND[9:] + cluster(5000, SOUND), id="a block's rest before"),
        pytest.param(AUDIO[:-60], id="a document that is cut off"),
        pytest.param(document(element(0xAE, b"\xff")), id="a broken track"),
        pytest.param(AUDIO[:60] + element(0xA3, bytes(MAX_HEADER)), id="a header that is too large"),
    ],
)
def test_the_first_document_is_waited_for(junk: bytes) -> None:
    stream, alone = WebM(), feed(AUDIO, cluster(0, SOUND))
    result = run(stream, [junk + AUDIO + cluster(0, SOUND)])
    assert (result.out, result.marks) == (alone.out, alone.marks)
    assert stream.dropped == len(junk)


def test_an_encoder_that_begins_again_in_the_middle_of_a_block_begins_another_document() -> None:
    stream, block, after = WebM(), simple_block(size=2000), document(audio_track(3)) + cluster(0, SOUND)
    result = run(stream, [AUDIO + cluster(0, SOUND) + block[:100] + after + cluster(1000, block)])
    assert result.out == AUDIO + cluster(0, SOUND) + after + cluster(1000, block)
    assert result.headers[-1].data == document(audio_track(3))
    assert stream.dropped == 100


@pytest.mark.parametrize("blocks", [1, 2, 20])
def test_a_cluster_that_breaks_off_is_filled_up_to_its_size(blocks: int) -> None:
    whole, after = cluster(0, *[SOUND] * (blocks + 1), is_sized=True), cluster(1000, SOUND)
    out = feed(AUDIO, whole[: -len(SOUND)], b"\r\n", after).out
    assert out == AUDIO + whole[: -len(SOUND)] + void(len(SOUND)) + after


@pytest.mark.parametrize("element_id", [0x1941A469, 0x1254C367, 0xEC, 0x1043A770, 0x1C53BB6B])
@pytest.mark.parametrize("size", [MAX_EXTRA, 1_500_000, 16_000_000])
def test_large_attachments_and_tags_are_left_out_for_everybody(element_id: int, size: int) -> None:
    stream = WebM()
    large = element(element_id, bytes(size))
    pieces = every(AUDIO + large + cluster(0, SOUND) + cluster(1000, SOUND) + large + cluster(2000, SOUND), 1 << 16)
    result = run(stream, pieces)
    assert result.out == AUDIO + cluster(0, SOUND) + cluster(1000, SOUND) + cluster(2000, SOUND)
    assert result.headers[-1].data == AUDIO
    assert result.held <= MAX_EXTRA + (1 << 16)
    assert stream.dropped == 2 * len(large)
    assert "attachments" in stream.warning


def test_small_attachments_and_tags_pass() -> None:
    whole = AUDIO + element(0x1941A469, bytes(5000)) + cluster(0, SOUND) + element(0x1254C367, bytes(5000))
    assert feed(whole).out == whole


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        pytest.param(b"OggS" * 100_000, "no beginning", id="not EBML"),
        pytest.param(element(0xEC, bytes(400_000)), "no cluster follows", id="header does not end"),
        pytest.param(element(0xA3, bytes(400_000)), "in the first 1 MiB", id="header is too large"),
    ],
)
def test_what_can_never_be_played_is_refused_with_the_reason(unit: bytes, reason: str) -> None:
    stream = WebM()
    with pytest.raises(FormatError, match=f"nothing in 32 MiB.*{reason}"):
        for _ in range(MAX_LOST // len(unit) + 2):
            stream.feed(b"" if reason == "no beginning" or stream.dropped else AUDIO)
            stream.feed(unit)


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
