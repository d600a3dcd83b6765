"""Silence is a whole stream of the shape that was asked for, which the parsers read to the end, in a few kilobytes."""

from struct import unpack_from

import pytest

from pycast.formats import adts, mpeg
from pycast.formats.content_types import new_format
from pycast.formats.file_audio import detect
from pycast.formats.marks import Info, Join
from pycast.formats.ogg_page import PageReader
from pycast.formats.silence import StreamShape, shape_by_name, silence


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


@pytest.mark.parametrize("shape", [StreamShape("flac"), StreamShape("ogg", "FLAC"), StreamShape("opaque")])
def test_there_is_no_silence_for_what_cannot_be_made(shape: StreamShape) -> None:
    assert silence(shape) == b""


@pytest.mark.parametrize(
    ("name", "format", "codec"),
    [("/a.mp3", "mpeg", ""), ("/a", "mpeg", ""), ("/a.AAC", "adts", ""), ("/a.ogg", "ogg", "Vorbis"),
     ("/x.y/a.opus", "ogg", "Opus")],
)  # fmt: skip
def test_of_a_mount_that_nobody_has_heard_the_name_decides(name: str, format: str, codec: str) -> None:
    shape = shape_by_name(name)
    assert (shape.format, shape.codec) == (format, codec)
    assert detect(lambda at, size: silence(shape)[at : at + size]) == format


def test_strange_numbers_give_the_nearest_that_there_is() -> None:
    assert mpeg.decode_header(silence(StreamShape("mpeg", "", 44000, 7, 1)), 0) is not None
    for asked, made in ((1, 8000), (10**7, 192_000)):
        assert unpack_from("<I", silence(StreamShape("ogg", "Vorbis", asked, 99)), 28 + 12)[0] == made
