"""ADTS headers: length, duration and kind are right, and nothing else is a header."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.formats.adts import Adts, decode_header
from pycast.formats.marks import Info
from tests.formats.feeding import CUTS, assert_same_in_pieces, run
from tests.formats.frame_bytes import adts, id3
from tests.formats.samples import sample

LONGEST = 8191


@pytest.mark.parametrize(
    ("frame", "length", "seconds", "samplerate", "channels"),
    [
        (adts(), 100, 1024 / 44100, 44100, 2),
        (adts(7, 3, 1), 7, 1024 / 48000, 48000, 1),
        (adts(8191, 6, 7), 8191, 1024 / 24000, 24000, 8),
        (adts(300, 12, 4, blocks=4), 300, 4096 / 7350, 7350, 4),
    ],
)
def test_a_header_has_length_duration_and_kind(
    frame: bytes, length: int, seconds: float, samplerate: int, channels: int
) -> None:
    decoded = decode_header(frame, 0)
    assert decoded is not None
    assert decoded[0] == length
    assert decoded[1] == pytest.approx(seconds)
    assert (decoded[2].samplerate, decoded[2].channels) == (samplerate, channels)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(adts(6)[:7], id="shorter than its header"),
        pytest.param(b"\xff\xf0" + adts(8)[2:], id="shorter than its header with CRC"),
        pytest.param(adts(100, 13)[:7], id="bad sample rate"),
        pytest.param(b"\xff\xfb" + adts()[2:], id="MPEG layer III"),
        pytest.param(b"\xfe\xf1" + adts()[2:], id="sync word broken"),
    ],
)
def test_what_is_no_header_is_not_taken_for_one(head: bytes) -> None:
    assert decode_header(head, 0) is None


PIECES = st.sampled_from([adts(), adts(333), adts(60, 3), adts(50)[:30], b"\xff\xf1\x50", b"\xff", id3(200), b"ID3"])


@given(st.lists(PIECES | st.binary(max_size=30), max_size=25), CUTS)
@settings(deadline=None, max_examples=100)
def test_any_bytes_cut_anywhere_give_the_same_frames(pieces: list[bytes], places: list[int]) -> None:
    data = b"".join(pieces)
    result = assert_same_in_pieces(Adts, data, places, LONGEST + 7)
    assert not result.is_refused
    assert data.startswith(result.out)


def test_a_real_stream_is_cut_into_its_frames() -> None:
    data = sample("aac")
    stream = Adts()
    result = run(stream, [data])
    assert result.out == data
    assert stream.warning == ""
    assert len(result.joins) == pytest.approx(6 * 44100 / 1024, abs=4)
    assert all(decode_header(data, join.offset) for join in result.joins)
    first, *later = result.of(Info)
    assert isinstance(first, Info)
    assert first.stats == {"audio_samplerate": "44100", "audio_channels": "1"}
    assert later, "the bit rate is measured"


def test_another_format_continues_as_an_opaque_stream() -> None:
    stream = Adts()
    data = sample("mp3")
    assert run(stream, [data]).out == data
    assert "no ADTS AAC frame" in stream.warning
