"""MPEG audio headers: length, duration and kind are right for every layer and version, and nothing else is a header."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.formats.marks import Info, Join
from pycast.formats.mpeg import MpegAudio, decode_header
from tests.formats.feeding import CUTS, assert_same_in_pieces, run
from tests.formats.frame_bytes import MPEG_HEAD, id3, mpeg
from tests.formats.samples import sample

# Longest frame: MPEG-2.5 layer II, 160 kbit/s, 8 kHz, padded.
LONGEST = 2881


@pytest.mark.parametrize(
    ("head", "length", "seconds", "codec", "samplerate", "channels", "bitrate"),
    [
        (0xFFFB9000, 417, 1152 / 44100, "MPEG-1 layer III", 44100, 2, 128_000),
        (0xFFFB9200, 418, 1152 / 44100, "MPEG-1 layer III", 44100, 2, 128_000),
        (0xFFFBE4C0, 960, 1152 / 48000, "MPEG-1 layer III", 48000, 1, 320_000),
        (0xFFF38040, 208, 576 / 22050, "MPEG-2 layer III", 22050, 2, 64_000),
        (0xFFE318C0, 72, 576 / 8000, "MPEG-2.5 layer III", 8000, 1, 8_000),
        (0xFFFDA400, 576, 1152 / 48000, "MPEG-1 layer II", 48000, 2, 192_000),
        (0xFFF5E8C0, 1440, 1152 / 16000, "MPEG-2 layer II", 16000, 1, 160_000),
        (0xFFE5EA00, LONGEST, 1152 / 8000, "MPEG-2.5 layer II", 8000, 2, 160_000),
        (0xFFFFE800, 672, 384 / 32000, "MPEG-1 layer I", 32000, 2, 448_000),
        (0xFFFF1200, 36, 384 / 44100, "MPEG-1 layer I", 44100, 2, 32_000),
    ],
)
def test_a_header_has_length_duration_and_kind(
    head: int, length: int, seconds: float, codec: str, samplerate: int, channels: int, bitrate: int
) -> None:
    frame = decode_header(struct.pack(">I", head), 0)
    assert frame is not None
    assert frame[0] == length
    assert frame[1] == pytest.approx(seconds)
    assert (frame[2].codec, frame[2].samplerate, frame[2].channels) == (codec, samplerate, channels)
    assert frame[3] == bitrate


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(0xFFFB0000, id="free format"),
        pytest.param(0xFFFBF000, id="bad bit rate"),
        pytest.param(0xFFFB9C00, id="bad sample rate"),
        pytest.param(0xFFF99000, id="layer reserved"),
        pytest.param(0xFFEB9000, id="version reserved"),
        pytest.param(0xFF1B9000, id="sync word broken"),
        pytest.param(0x00000000, id="zeros"),
    ],
)
def test_what_is_no_header_is_not_taken_for_one(head: int) -> None:
    assert decode_header(struct.pack(">I", head), 0) is None


@given(st.integers(0, 0xFFFFFFFF))
@settings(deadline=None, max_examples=300)
def test_every_header_is_none_or_a_frame_of_sane_size(head: int) -> None:
    frame = decode_header(struct.pack(">I", head | 0xFFE00000), 0)
    if frame is not None:
        assert 24 <= frame[0] <= LONGEST
        assert 0.007 < frame[1] < 0.15


PIECES = st.sampled_from(
    [
        mpeg(),
        mpeg(MPEG_HEAD | 0x200, 418),
        mpeg(0xFFFB90C0),
        mpeg(0xFFF38040, 208),
        mpeg()[:200],
        b"\xff\xfb\x90",
        b"\xff",
        b"ID3",
        id3(700),
        id3(3),
        b"OggS",
        b"fLaC",
        b"ID3\x04\x00\x00\xff\x00\x00\x00",
        b"TAG" + b"x" * 125,
    ]
)


@given(st.lists(PIECES | st.binary(max_size=30), max_size=25), CUTS)
@settings(deadline=None, max_examples=100)
def test_any_bytes_cut_anywhere_give_the_same_frames(pieces: list[bytes], places: list[int]) -> None:
    data = b"".join(pieces)
    result = assert_same_in_pieces(MpegAudio, data, places, LONGEST + 4)
    assert not result.is_refused
    assert data.startswith(result.out)


@given(st.binary(max_size=3000), CUTS)
@settings(deadline=None, max_examples=100)
def test_noise_passes_unchanged(data: bytes, places: list[int]) -> None:
    assert data.startswith(assert_same_in_pieces(MpegAudio, data, places, LONGEST + 4).out)


@pytest.mark.parametrize(
    ("name", "samplerate", "channels", "bitrate", "frame_s"),
    [
        ("mp3", "44100", "2", 128_000, 1152 / 44100),
        ("mp3-22050", "22050", "1", 64_000, 576 / 22050),
        ("mp2", "44100", "1", 192_000, 1152 / 44100),
    ],
)
def test_a_real_stream_of_constant_rate(
    name: str, samplerate: str, channels: str, bitrate: int, frame_s: float
) -> None:
    data = sample(name)
    result = run(MpegAudio(), [data])
    assert result.out == data
    info = result.of(Info)
    assert len(info) == 1
    assert isinstance(info[0], Info)
    assert info[0].bitrate == bitrate
    assert (info[0].stats["audio_samplerate"], info[0].stats["audio_channels"]) == (samplerate, channels)
    for index, join in enumerate(result.joins):
        assert join.time_s == pytest.approx(index * frame_s)
        assert decode_header(data, join.offset) is not None
    assert len(result.joins) == pytest.approx(6.0 / frame_s, abs=3)


def test_a_real_stream_of_variable_rate_is_measured() -> None:
    result = run(MpegAudio(), [sample("mp3-vbr")])
    measured = result.of(Info)[-1]
    assert isinstance(measured, Info)
    exact = len(sample("mp3-vbr")) * 8 / 6
    assert measured.bitrate == pytest.approx(exact, rel=0.2)
    assert "audio_bitrate" not in measured.stats  # as in Icecast; AzuraCast would take it as kbit/s


def test_an_id3_tag_before_the_audio_is_passed_over() -> None:
    data = sample("mp3")
    assert data.startswith(b"ID3")
    first = run(MpegAudio(), [data]).joins[0]
    assert first == Join(10 + data[9], 0.0)
