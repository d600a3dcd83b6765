"""Frames are found at their true boundaries, junk passes by, and a stream of something else is let through with a
warning."""

import pytest

from pycast.formats.frame_parser import MAX_ID3, MAX_JUNK
from pycast.formats.marks import Info, Join
from pycast.formats.mpeg import MpegAudio
from tests.formats.feeding import every, run
from tests.formats.frame_bytes import MPEG_HEAD, id3, mpeg

FRAME = mpeg()
FRAME_S = 1152 / 44100
OTHER = mpeg(0xFFF38040, 208)
"""MPEG-2 at 22,050 Hz."""


def offsets(data: bytes, base: int = 0) -> list[int]:
    """Returns the offsets at which listeners can start in `data`."""
    return [join.offset for join in run(MpegAudio(base), [data]).joins]


def test_out_holds_whole_frames_only() -> None:
    stream = MpegAudio()
    out, _ = stream.feed(FRAME * 3 + FRAME[:100])
    assert out == FRAME * 3
    out, marks = stream.feed(FRAME[100:])
    assert out == FRAME
    (join,) = (mark for mark in marks if isinstance(mark, Join))
    assert join.offset == 3 * 417
    assert join.time_s == pytest.approx(3 * FRAME_S)


def test_offsets_count_from_the_base() -> None:
    assert offsets(FRAME * 3, base=5000) == [5000, 5417, 5834]


def test_a_single_frame_is_not_believed() -> None:
    assert offsets(FRAME + b"x" * 500) == []


def test_a_second_header_of_another_kind_is_not_believed() -> None:
    assert offsets(FRAME + OTHER + OTHER) == [417, 625]


def test_junk_inside_the_stream_has_no_join_and_costs_only_itself() -> None:
    data = FRAME * 2 + b"junk" * 10 + FRAME * 3
    assert offsets(data) == [0, 417, 874, 1291, 1708]
    assert run(MpegAudio(), [data]).out == data


def test_another_kind_right_at_a_frame_boundary_needs_no_second_frame() -> None:
    result = run(MpegAudio(), [FRAME * 2 + OTHER])
    assert [join.offset for join in result.joins] == [0, 417, 834]
    info = result.of(Info)[-1]
    assert isinstance(info, Info)
    assert (info.offset, info.bitrate, info.stats["audio_samplerate"]) == (834, 64_000, "22050")


@pytest.mark.parametrize("size", [0, 5, 4096, 300_000])
def test_a_tag_full_of_false_headers_has_no_join(size: int) -> None:
    tag = id3(size)
    assert offsets(tag + FRAME * 2) == [len(tag), len(tag) + 417]
    assert offsets(FRAME * 2 + tag + FRAME * 2)[2:] == [834 + len(tag), 1251 + len(tag)]


def test_a_large_tag_is_not_held_back() -> None:
    result = run(MpegAudio(), every(id3(300_000) + FRAME * 3, 1000))
    assert result.held < 2000


def test_a_tag_that_claims_to_be_huge_is_junk() -> None:
    tag = bytearray(id3(100, b"x"))
    huge = MAX_ID3 + 1
    tag[6:10] = bytes([huge >> 21, huge >> 14 & 127, huge >> 7 & 127, huge & 127])
    assert offsets(bytes(tag) + FRAME * 2) == [110, 527]


def test_the_first_frame_of_an_encoder_does_not_decide_the_bit_rate() -> None:
    info_frame = mpeg(MPEG_HEAD & ~0xF000 | 0x5000, 208)
    result = run(MpegAudio(), [info_frame + FRAME * 40])
    infos = result.of(Info)
    assert [info.bitrate for info in infos if isinstance(info, Info)] == [128_000]


def test_a_bit_rate_that_changes_is_reported_once() -> None:
    high = mpeg(MPEG_HEAD & ~0xF000 | 0xE000, 1044)
    result = run(MpegAudio(), [FRAME * 400 + high * 800])
    rates = [info.bitrate for info in result.of(Info) if isinstance(info, Info)]
    assert rates[0] == 128_000
    assert rates[-1] == 320_000
    assert len(rates) <= 4


@pytest.mark.parametrize(
    ("start", "word"),
    [(b"OggS", "Ogg"), (b"\x1aE\xdf\xa3", "WebM"), (b"fLaC", "FLAC"), (id3(20) + b"fLaC", "FLAC")],
)
def test_another_format_is_recognised_by_its_first_bytes(start: bytes, word: str) -> None:
    stream = MpegAudio()
    result = run(stream, every(start + FRAME * 3, 300))
    assert result.out == start + FRAME * 3
    assert word in stream.warning


def test_a_stream_without_frames_continues_as_an_opaque_one() -> None:
    stream = MpegAudio()
    pieces = every(b"\x07" * (MAX_JUNK + 5000), 1000)
    before = run(stream, pieces)
    assert before.out == b"".join(pieces)
    assert "no MPEG audio frame" in stream.warning
    after = run(stream, [FRAME * 3, FRAME])
    assert after.joins == [Join(MAX_JUNK + 5000, None), Join(MAX_JUNK + 5000 + 3 * 417, None)]
    assert after.out == FRAME * 4


def test_no_sync_is_no_error_before_the_limit() -> None:
    stream = MpegAudio()
    result = run(stream, [b"\x07" * (MAX_JUNK - 10), FRAME * 3])
    assert stream.warning == ""
    assert len(result.joins) == 3


def test_a_stream_that_loses_its_frames_can_be_joined_anywhere_until_it_finds_them() -> None:
    stream = MpegAudio()
    result = run(stream, [FRAME * 3, *every(b"\x07" * (MAX_JUNK + 3000), 1000), FRAME * 3])
    lost = [join for join in result.joins if join.time_s is None]
    found = [join for join in result.joins if join.time_s is not None]
    assert 1 <= len(lost) <= 4
    assert len(found) == 6
    assert stream.warning == ""


def test_feeding_nothing_changes_nothing() -> None:
    stream = MpegAudio()
    assert stream.feed(b"") == (b"", [])
    assert run(stream, [FRAME, b"", FRAME * 2]).out == FRAME * 3
