"""Silence is a whole stream of the shape that was asked for, which the parsers read to the end, in a few kilobytes."""

import subprocess
import wave
from io import BytesIO
from struct import unpack_from

import pytest

from pycast.formats import adts, mpeg
from pycast.formats.content_types import new_format
from pycast.formats.file_audio import detect
from pycast.formats.marks import Info, Join
from pycast.formats.ogg_page import PageReader
from pycast.formats.silence import StreamShape, shape_by_name, silence
from tests.e2e.programs import require


@pytest.mark.parametrize("rate", [44100, 48000, 32000, 22050, 24000, 16000, 11025, 12000, 8000])
@pytest.mark.parametrize(("channels", "bitrate"), [(2, 128_000), (1, 32_000), (2, 320_000)])
def test_mp3_has_the_rate_the_channels_and_the_bitrate(rate: int, channels: int, bitrate: int) -> None:
    data = silence(StreamShape("mpeg", "", rate, channels, bitrate))
    at, seconds = 0, 0.0
    while at < len(data):
        frame = mpeg.decode_header(data, at)
        assert frame is not None
        assert (frame[2].samplerate, frame[2].channels) == (rate, channels)
        assert not any(data[at + 4 : at + frame[0]]), "nothing but zeros is silence"
        at, seconds = at + frame[0], seconds + frame[1]
    assert at == len(data)
    most = 320_000 if rate >= 32000 else 160_000
    assert at * 8 / seconds == pytest.approx(min(bitrate, most), rel=0.001)


@pytest.mark.parametrize("rate", [96000, 48000, 44100, 22050, 8000])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6])
def test_aac_has_the_rate_the_channels_and_about_the_bitrate(rate: int, channels: int) -> None:
    data = silence(StreamShape("adts", "", rate, channels, 96_000))
    at, seconds = 0, 0.0
    while at < len(data):
        frame = adts.decode_header(data, at)
        assert frame is not None
        assert (frame[2].samplerate, frame[2].channels) == (rate, channels)
        at, seconds = at + frame[0], seconds + frame[1]
    assert at == len(data)
    assert at * 8 / seconds == pytest.approx(96_000, rel=0.12)


@pytest.mark.parametrize("codec", ["Vorbis", "Opus"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (32000, 2)])
def test_ogg_is_half_a_minute_of_the_codec_in_a_few_kilobytes(codec: str, rate: int, channels: int) -> None:
    data = silence(StreamShape("ogg", codec, rate, channels))
    assert len(data) < 16 << 10
    pages = PageReader()
    found = pages.feed(data)
    assert (pages.skipped, sum(len(page.data) for page in found)) == (0, len(data))
    assert [page.sequence for page in found] == list(range(len(found)))
    assert found[0].is_first and found[-1].is_last
    _, marks = new_format("audio/ogg", 0, "ogg").feed(data)
    (info,) = (mark for mark in marks if isinstance(mark, Info) and mark.offset == 0)
    told = 48000 if codec == "Opus" else rate
    assert (info.stats["subtype"], info.stats["audio_samplerate"]) == (codec, str(told))
    assert info.stats["audio_channels"] == str(channels)
    assert max(mark.time_s or 0 for mark in marks if isinstance(mark, Join)) > 29


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (48000, 1), (192_000, 6), (12_345, 8)])
def test_flac_decodes_to_nothing(rate: int, channels: int) -> None:
    data = silence(StreamShape("flac", "", rate, channels))
    assert len(data) < 32 << 10
    command = [require("ffmpeg"), "-v", "error", "-f", "flac", "-err_detect", "crccheck", "-i", "-", "-f", "s16le", "-"]
    done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=True)
    assert done.stderr == b"" and not any(done.stdout)
    assert len(done.stdout) / 2 / channels / rate == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(("bitrate", "bits"), [(0, 16), (44100 * 2 * 24, 24), (44100 * 2 * 8, 8)])
def test_wav_is_a_second_of_samples_of_the_width_that_the_bitrate_says(bitrate: int, bits: int) -> None:
    data = silence(StreamShape("wav", "", 44100, 2, bitrate))
    with wave.open(BytesIO(data)) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (44100, 2, bits // 8)
        assert read.getnframes() == 44100 and set(read.readframes(44100)) == {128 if bits == 8 else 0}


@pytest.mark.parametrize(
    "shape", [StreamShape("mp4"), StreamShape("webm"), StreamShape("ogg", "FLAC"), StreamShape("opaque")]
)
def test_there_is_no_silence_for_what_cannot_be_made(shape: StreamShape) -> None:
    assert silence(shape) == b""


@pytest.mark.parametrize(
    ("name", "format", "codec"),
    [("/a.mp3", "mpeg", ""), ("/a", "mpeg", ""), ("/a.AAC", "adts", ""), ("/a.ogg", "ogg", "Vorbis"),
     ("/x.y/a.opus", "ogg", "Opus"), ("/a.flac", "flac", ""), ("/a.wav", "wav", "")],
)  # fmt: skip
def test_of_a_mount_that_nobody_has_heard_the_name_decides(name: str, format: str, codec: str) -> None:
    shape = shape_by_name(name)
    assert (shape.format, shape.codec) == (format, codec)
    assert detect(lambda at, size: silence(shape)[at : at + size]) == format


def test_strange_numbers_give_the_nearest_that_there_is() -> None:
    assert mpeg.decode_header(silence(StreamShape("mpeg", "", 44000, 7, 1)), 0) is not None
    for asked, made in ((1, 8000), (10**7, 192_000)):
        assert unpack_from("<I", silence(StreamShape("ogg", "Vorbis", asked, 99)), 28 + 12)[0] == made


@pytest.mark.parametrize("format", ["mpeg", "adts", "flac", "wav", "ogg"])
@pytest.mark.parametrize("channels", [1, 2, 8, 300, 32_000, 65_535, 9_999_999])
@pytest.mark.parametrize("rate", [1, 44_100, 655_350, 9_999_999])
@pytest.mark.parametrize("bitrate", [1, 8_000, 1_411_200, 8 * 0xFFFFFFFF])
def test_numbers_that_a_source_has_made_up_give_little_or_nothing(
    format: str, channels: int, rate: int, bitrate: int
) -> None:
    codec = "Vorbis" if format == "ogg" else ""
    data = silence(StreamShape(format, codec, rate, channels, bitrate))
    assert len(data) < 9 << 20
    assert not data or detect(lambda at, size: data[at : at + size]) == format
