"""Native FLAC: metadata, then frames, of which each is found by its number and its header's checksum."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.flac import MAX_FRAME, MAX_LOST, Flac
from pycast.formats.marks import Header, Info, Tags
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, every, run
from tests.formats.flac_frames import RATE, begin, block, frame, header, streaminfo, written
from tests.formats.ogg_pages import comments
from tests.formats.samples import decode_errors, sample

BEGIN = begin("ARTIST=A", "TITLE=T")
FRAMES = [frame(number) for number in range(8)]


def feed(*parts: bytes, base: int = 0) -> Result:
    return run(Flac(base), [b"".join(parts)])


def test_a_listener_starts_at_the_beginning_or_with_the_header_at_any_frame() -> None:
    result = feed(BEGIN, *FRAMES[:4], base=100)
    start = 100 + len(BEGIN)
    assert result.out == BEGIN + b"".join(FRAMES[:3]), "the last frame may go on"
    assert [one.offset for one in result.headers] == [100, start]
    assert result.headers[0] == Header(100, b"")
    times = [number * 4096 / RATE for number in range(3)]
    places = [start + len(b"".join(FRAMES[:number])) for number in range(3)]
    assert [join.offset for join in result.joins] == [100, *places]
    assert [join.time_s for join in result.joins] == pytest.approx([0.0, *times])


def test_the_last_frame_comes_out_when_the_stream_ends() -> None:
    small = frame(3, size=2)
    for last in (FRAMES[3], small):
        stream = Flac()
        before = run(stream, [BEGIN + b"".join(FRAMES[:3]) + last])
        out, marks = stream.finish()
        assert before.out + out == BEGIN + b"".join(FRAMES[:3]) + last
        assert marks and marks[-1] == before.joins[-1]._replace(
            offset=len(before.out) + len(out) - len(last), time_s=3 * 4096 / RATE
        )
    tagged = Flac()
    before = run(tagged, [BEGIN, *FRAMES[:2], b"TAG".ljust(128, b"x")])
    assert before.out + tagged.finish()[0] == BEGIN + b"".join(FRAMES[:2]), "without the tag at the end of a file"
    for nothing in (Flac(), Flac()):
        assert nothing.finish() == (b"", [])


def test_properties_and_tags_are_those_of_the_metadata() -> None:
    result = feed(BEGIN, *FRAMES)
    assert result.of(Info)[0] == Info(0, None, {"audio_samplerate": "44100", "audio_channels": "2"})
    assert result.of(Tags) == [Tags(0, "A", "T")]


@pytest.mark.parametrize("number", [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x1FFFFF, 0x3FFFFFF, 0x7FFFFFFE])
def test_frames_of_any_number_are_found(number: int) -> None:
    frames = [frame(number + at) for at in range(3)]
    assert feed(BEGIN, *frames).out == BEGIN + b"".join(frames[:2])


def test_blocks_of_varying_size_are_numbered_by_samples() -> None:
    frames, number = [], 1000
    for samples in (300, 70, 256, 5):
        extra = (samples - 1).to_bytes(2, "big")
        frames.append(frame(number, is_variable=True, sizes=0x79, extra=extra))
        number += samples
    result = feed(BEGIN, *frames)
    assert result.out == BEGIN + b"".join(frames[:3])
    assert result.joins[-1].time_s == pytest.approx(370 / RATE)


def test_a_header_that_is_there_by_chance_ends_no_frame() -> None:
    """It has a right checksum, but not the number that follows; or the number, but another sample rate."""
    chance = header(77) + b"audio" + header(1, sizes=0xCA) + b"audio"
    first = FRAMES[0] + chance
    assert feed(BEGIN, first, FRAMES[1], FRAMES[2]).out == BEGIN + first + FRAMES[1]


@pytest.mark.parametrize("cut_off", [frame(2)[:100], frame(2), frame(2) + b"\r\n", frame(2) + b"noise" * 100])
def test_after_lost_bytes_two_headers_that_follow_each_other_begin_anew(cut_off: bytes) -> None:
    later = [frame(number) for number in range(50, 54)]
    stream = Flac()
    result = run(stream, [BEGIN + FRAMES[0] + FRAMES[1] + cut_off + b"".join(later)])
    assert result.out == BEGIN + FRAMES[0] + FRAMES[1] + b"".join(later[:3])
    assert stream.dropped == len(cut_off)
    assert f"{stream.dropped} bytes" in stream.warning


def test_another_file_brings_its_own_header_and_continues_time() -> None:
    other = begin("TITLE=2", rate=48000)
    result = feed(BEGIN, *FRAMES[:3], other, *FRAMES[:3])
    start = len(BEGIN + b"".join(FRAMES[:3]))
    assert result.out == BEGIN + b"".join(FRAMES[:3]) + other + b"".join(FRAMES[:2])
    assert [one.offset for one in result.headers[2:]] == [start, start + len(other)]
    assert result.headers[2].data == b""
    joins = [join for join in result.joins if join.offset >= start]
    assert [join.time_s for join in joins[:2]] == pytest.approx([3 * 4096 / RATE] * 2)
    assert result.of(Tags)[-1] == Tags(start, "", "2")


def test_what_comes_before_the_metadata_is_dropped() -> None:
    stream, junk = Flac(), b"\r\n" + b"ID3\x04" + bytes(3000) + FRAMES[6] + FRAMES[7]
    assert run(stream, [junk + BEGIN + FRAMES[0] + FRAMES[1]]).out == BEGIN + FRAMES[0]
    assert stream.dropped == len(junk)


def test_metadata_that_breaks_off_is_dropped() -> None:
    stream, broken = Flac(), b"fLaC" + streaminfo() + b"\x7f\0\0\0"
    assert run(stream, [broken + BEGIN + FRAMES[0] + FRAMES[1]]).out == BEGIN + FRAMES[0]
    assert stream.dropped == len(broken)


def test_a_large_picture_is_left_out_and_the_rest_decodes() -> None:
    data = sample("native-flac")
    at = data.index(b"fLaC") + 42
    stream = Flac()
    result = run(stream, every(data[:at] + block(6, bytes(2_500_000)) + data[at:], 1400))
    assert result.out == run(Flac(), [data]).out
    assert stream.dropped == 2_500_004
    assert "large pictures" in stream.warning
    assert decode_errors(result.heard_from(result.joins[3])) == ""


@pytest.mark.parametrize(
    ("begin_with", "unit", "reason"),
    [
        pytest.param(b"", FRAMES[0] * 1000, "no FLAC metadata", id="no beginning"),
        pytest.param(BEGIN, b"\xff\xf8\xc9" * 100_000, "no FLAC frame", id="no frame"),
        pytest.param(b"fLaC" + streaminfo(rate=0), bytes(300_000), "no FLAC metadata", id="a rate of zero"),
    ],
)
def test_what_can_never_be_played_is_refused_with_the_reason(begin_with: bytes, unit: bytes, reason: str) -> None:
    stream = Flac()
    stream.feed(begin_with)
    with pytest.raises(FormatError, match=f"nothing in 16 MiB.*{reason}"):
        for _ in range((MAX_LOST + MAX_FRAME) // len(unit) + 2):
            stream.feed(unit)


BLOCKS = [
    BEGIN,
    begin(),
    *FRAMES,
    frame(200),
    frame(201),
    header(3),
    FRAMES[2][:50],
    b"fLaC" + streaminfo(),
    block(4, comments("TITLE=x"), is_last=True),
    block(6, b"picture"),
    b"\xff\xf8",
    b"fLaC",
]


@given(st.lists(st.sampled_from(BLOCKS) | st.binary(max_size=20), max_size=20), CUTS)
@settings(deadline=None, max_examples=150)
def test_any_bytes_cut_anywhere_give_the_same_or_are_refused(blocks: list[bytes], places: list[int]) -> None:
    assert_same_in_pieces(Flac, b"".join(blocks), places, MAX_FRAME)
    assert_same_in_pieces(Flac, BEGIN + b"".join(blocks), places, MAX_FRAME)


def test_numbers_are_written_as_in_the_specification() -> None:
    assert [written(number) for number in (0x7F, 0x80, 0x20AC)] == [b"\x7f", b"\xc2\x80", "\u20ac".encode()]
