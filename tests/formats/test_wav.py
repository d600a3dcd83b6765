"""WAV: its header first, then whole blocks of samples for as long as they come."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.marks import Header, Info, Join
from pycast.formats.wav import MAX_CHUNKS, MAX_HEADER, MAX_JUNK, UNIT, Wav
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, every, run
from tests.formats.samples import decode_errors, sample

UNKNOWN = 0xFFFFFFFF


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def fmt(channels: int = 2, rate: int = 44100, bits: int = 16) -> bytes:
    block = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, rate, rate * block, block, bits))


def header(size: int = UNKNOWN, *chunks: bytes, riff: bytes = b"RIFF", length: int = UNKNOWN) -> bytes:
    return riff + struct.pack("<I", length) + b"WAVE" + b"".join(chunks or (fmt(),)) + b"data" + struct.pack("<I", size)


BEGIN = header()
SAMPLES = bytes(range(256)) * 200


def feed(*parts: bytes, base: int = 0) -> Result:
    return run(Wav(base), [b"".join(parts)])


def test_a_listener_starts_at_the_beginning_or_with_the_header_at_whole_blocks() -> None:
    result = feed(BEGIN, SAMPLES, base=100)
    units = len(SAMPLES) // UNIT
    assert result.out == SAMPLES[: units * UNIT], "a header in the middle would be noise"
    assert result.headers == [Header(100, BEGIN)]
    assert [join.offset for join in result.joins] == [100 + at * UNIT for at in range(units)]
    assert [join.time_s for join in result.joins] == pytest.approx([at * UNIT / 176400 for at in range(units)])


def test_properties_are_those_of_the_header() -> None:
    stats = {"audio_samplerate": "8000", "audio_channels": "1"}
    assert feed(header(UNKNOWN, fmt(1, 8000, 8))).of(Info) == [Info(0, 64000, stats)]


@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (2, 24), (6, 24), (7, 16)])
def test_a_unit_is_whole_blocks_of_any_size(channels: int, bits: int) -> None:
    result = feed(header(UNKNOWN, fmt(channels, 44100, bits)), SAMPLES)
    block = channels * bits // 8
    assert len(result.joins) > 1 and all(join.offset % block == 0 for join in result.joins)
    assert len(result.out) % block == 0


@pytest.mark.parametrize("size", [0, UNKNOWN, 0x7FFFFFFF, 0xFFFFFFFE, 1000, 1001, 20_000])
@pytest.mark.parametrize("length", [0, UNKNOWN, 1036])
def test_samples_go_on_whatever_the_header_says(size: int, length: int) -> None:
    result = feed(header(size, length=length), SAMPLES)
    assert result.heard == BEGIN + SAMPLES[: len(SAMPLES) // UNIT * UNIT], "and listeners are told no size"


def test_rf64_becomes_a_header_without_a_size() -> None:
    large = header(UNKNOWN, chunk(b"ds64", bytes(28)), fmt(), riff=b"RF64")
    result = feed(large, SAMPLES)
    assert result.heard.startswith(BEGIN + SAMPLES[:UNIT])


@pytest.mark.parametrize("size", [1000, 1001, UNIT, 3 * UNIT + 2])
def test_another_file_may_begin_where_the_samples_should_end(size: int) -> None:
    samples, other = SAMPLES[:size], header(UNKNOWN, fmt(1, 8000))
    result = feed(header(size), samples + b"\0" * (size % 2), other, SAMPLES)
    assert result.out.startswith(samples + SAMPLES[:UNIT])
    assert result.headers == [Header(0, BEGIN), Header(size, other)]
    assert result.joins[-1].time_s is not None


def test_texts_stay_and_large_chunks_and_places_are_left_out() -> None:
    text = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0")
    others = (chunk(b"id3 ", bytes(2_500_001)), chunk(b"LIST", bytes(MAX_CHUNKS)), chunk(b"cue ", bytes(28)))
    stream = Wav()
    result = run(stream, every(header(UNKNOWN, fmt(), text, *others) + SAMPLES, 5000))
    assert result.heard.startswith(header(UNKNOWN, fmt(), text) + SAMPLES[:UNIT])
    assert stream.dropped == len(b"".join(others))
    assert (stream.warning, result.held < 10_000) == ("", True)


@pytest.mark.parametrize("junk", [b"\r\n", b"RIFF", b"RIF", b"noise" * 1000, b"RIFF\0\0\0\0AVI "])
def test_what_comes_before_the_header_is_dropped(junk: bytes) -> None:
    stream = Wav()
    assert run(stream, [junk + BEGIN + SAMPLES]).heard.startswith(BEGIN + SAMPLES[:UNIT])
    assert stream.dropped == len(junk)
    assert f"{len(junk)} bytes" in stream.warning


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"x" * (MAX_JUNK + 100), "no WAV header", id="no WAV"),
        pytest.param(header(UNKNOWN, chunk(b"LIST", b"")), "description", id="no description"),
        pytest.param(header(UNKNOWN, chunk(b"fmt ", b"\1\0")), "description", id="short description"),
        pytest.param(header(UNKNOWN, fmt(0)), "zero", id="no channels"),
        pytest.param(header(UNKNOWN, fmt(2, 0)), "zero", id="no rate"),
        pytest.param(header()[:12] + b"id3 " + struct.pack("<I", MAX_HEADER), "no samples", id="endless header"),
    ],
)
def test_what_can_never_be_played_is_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        Wav().feed(data)


@pytest.mark.parametrize("kind", ["wav"])
def test_a_real_stream_decodes_for_who_comes_late(kind: str) -> None:
    result = run(Wav(), every(sample(kind), 1400))
    assert decode_errors(result.heard_from(result.joins[len(result.joins) // 2])) == ""


BLOCKS = [BEGIN, header(8), header(0), header(UNKNOWN, chunk(b"id3 ", bytes(99)), fmt(1, 8000, 8)), SAMPLES[:8]]
BLOCKS += [SAMPLES[: UNIT + 3], b"RIFF", header()[:20], chunk(b"LIST", b"abc")]


@given(st.lists(st.sampled_from(BLOCKS) | st.binary(max_size=12), max_size=15), CUTS)
@settings(deadline=None, max_examples=100)
def test_any_bytes_cut_anywhere_give_the_same_or_are_refused(blocks: list[bytes], places: list[int]) -> None:
    assert_same_in_pieces(Wav, b"".join(blocks), places, 2 * UNIT + 100_000)
    assert_same_in_pieces(Wav, BEGIN + b"".join(blocks), places, 2 * UNIT + 100_000)


def adpcm(kind: int, told: int, extra: bytes = b"", bits: int = 4, block: int = 1024) -> bytes:
    numbers = struct.pack("<HHIIHHH", kind, 1, 44100, told, block, bits, len(extra))
    return chunk(b"fmt ", numbers + extra)


@pytest.mark.parametrize(
    ("description", "bytes_per_s"),
    [
        pytest.param(adpcm(0x02, 16_000, b"\xe4\x07" + bytes(30)), 1024 * 44100 / 2020, id="ADPCM of Microsoft"),
        pytest.param(adpcm(0x11, 16_000, b"\xf9\x07"), 1024 * 44100 / 2041, id="ADPCM of IMA"),
        pytest.param(adpcm(0x31, 1, b"\x40\x01", 0, 65), 65 * 44100 / 320, id="GSM"),
        pytest.param(adpcm(0x20, 16_000), 22_050, id="ADPCM of Yamaha"),
        pytest.param(adpcm(0x01, 7, b"", 16, 2), 88_200, id="PCM"),
        pytest.param(adpcm(0x03, 0, b"", 32, 4), 176_400, id="numbers with a point"),
        pytest.param(adpcm(0x99, 12_345), 12_345, id="something else"),
        pytest.param(adpcm(0x11, 12_345), 12_345, id="ADPCM that says nothing of its blocks"),
    ],
)
def test_time_goes_by_the_samples_and_not_by_what_a_header_says_of_a_second(
    description: bytes, bytes_per_s: float
) -> None:
    result = feed(header(UNKNOWN, description), SAMPLES)
    ends = result.joins[-1]
    assert ends.time_s == pytest.approx(ends.offset / bytes_per_s)
    (info,) = result.of(Info)
    assert isinstance(info, Info) and info.bitrate == round(bytes_per_s * 8)


@pytest.mark.parametrize(("told", "rest"), [(UNKNOWN, 1002), (UNIT + 501, 500)])
def test_the_last_blocks_come_out_when_the_stream_ends(told: int, rest: int) -> None:
    stream = Wav(100)
    out, _ = stream.feed(header(told) + SAMPLES[: UNIT + 1003])
    last, marks = stream.finish()
    assert out + last == SAMPLES[: UNIT + rest - rest % 4]
    assert marks == [Join(100 + UNIT, UNIT / 176400)]
    assert Wav().finish() == (b"", [])
