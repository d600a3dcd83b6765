"""Fragmented MP4: the header, joins at fragments (key frames, if there is video), and what is not fragmented."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.marks import Header, Info, Join
from pycast.formats.mp4 import MAX_FRAGMENT, MAX_HEADER, MAX_LOST, MAX_MOVIE, Mp4
from tests.e2e.programs import require
from tests.formats.feeding import CUTS, Result, assert_same_in_pieces, every, run
from tests.formats.mp4_parts import AUDIO, INTER, KEY, VIDEO, box, fragment, movie, numbers, part, track
from tests.formats.samples import decode_errors

BEGIN = movie(track(AUDIO))
FILM = movie(track(AUDIO), track(VIDEO))
SOUND = [fragment(part(AUDIO, 500 * number)) for number in range(4)]
STYP = box(b"styp", b"msdh", numbers(0))


def feed(*parts: bytes, base: int = 0) -> Result:
    return run(Mp4(base), [b"".join(parts)])


def test_a_listener_starts_at_the_beginning_or_with_the_header_at_any_fragment() -> None:
    result = feed(BEGIN, *SOUND, base=100)
    start, size = 100 + len(BEGIN), len(SOUND[0])
    assert result.out == BEGIN + b"".join(SOUND)
    assert result.headers == [Header(100, b""), Header(start, BEGIN)]
    assert result.joins == [Join(100, 0.0), *(Join(start + number * size, number / 2) for number in range(4))]


def test_a_fragment_is_one_unit_with_what_belongs_to_it() -> None:
    stream, whole = Mp4(), fragment(part(AUDIO), before=STYP + box(b"sidx", b"s") + box(b"emsg", b"e"))
    stream.feed(BEGIN)
    assert stream.feed(whole[:-1]) == (b"", [])
    assert stream.feed(whole[-1:]) == (whole, [Join(len(BEGIN), 0.0)])


def test_properties_are_reported_at_the_start() -> None:
    stats = {"audio_samplerate": "48000", "audio_channels": "2", "frame_size": "640 x 480"}
    assert feed(FILM).of(Info) == [Info(0, None, stats)]


def test_video_is_joined_at_fragments_that_begin_with_a_key_frame() -> None:
    parts = [fragment(part(AUDIO, 0), part(VIDEO, 1000 * at, flags)) for at, flags in enumerate((KEY, INTER, KEY))]
    result = feed(FILM, *parts)
    assert result.out == FILM + b"".join(parts)
    assert result.joins[1:] == [Join(len(FILM), 0.0), Join(len(FILM) + 2 * len(parts[0]), 2.0)]


def test_a_cover_is_no_video_whose_key_frames_are_waited_for() -> None:
    cover = fragment(part(AUDIO, 0), part(VIDEO, 0, KEY))
    sound = [fragment(part(AUDIO, 1000 * at)) for at in range(1, 8)]
    result = feed(FILM, cover, *sound)
    begin = len(FILM + cover)
    assert [join.offset for join in result.joins[2:]] == [begin + len(sound[0]) * (at - 1) for at in range(4, 8)]
    film = [fragment(part(AUDIO, 1000 * at), part(VIDEO, 1000 * at, INTER)) for at in range(8, 15)]
    again = feed(FILM, cover, *sound, *film)
    assert again.joins == result.joins


def test_sizes_may_be_written_with_64_bits() -> None:
    whole = fragment(part(AUDIO))[: -len(box(b"mdat", b"s" * 200))] + box(b"mdat", b"s" * 200, is_wide=True)
    assert feed(BEGIN, whole, SOUND[1]).out == BEGIN + whole + SOUND[1]


@pytest.mark.parametrize("kind", [b"free", b"skip", b"mfra", b"meta", b"uuid"])
def test_boxes_that_nobody_needs_are_left_out(kind: bytes) -> None:
    stream = Mp4()
    result = run(stream, every(BEGIN + box(kind, bytes(3_000_000)) + SOUND[0] + box(kind, b"x") + SOUND[1], 5000))
    assert result.out == BEGIN + SOUND[0] + SOUND[1]
    assert result.held < 10_000
    assert (stream.dropped, stream.warning) == (3_000_008 + 9, "")


def test_what_is_between_a_fragment_and_its_samples_stays() -> None:
    """The fragment says how far away they are."""
    at = SOUND[1].index(b"mdat") - 4
    padded = SOUND[1][:at] + box(b"free", bytes(50)) + SOUND[1][at:]
    assert feed(BEGIN, SOUND[0], padded, box(b"free"), SOUND[2]).out == BEGIN + SOUND[0] + padded + SOUND[2]


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\r\n", id="a line end"),
        pytest.param(bytes(20), id="zeros"),
        pytest.param(SOUND[2][50:], id="the rest of a fragment"),
        pytest.param(box(b"mdat", b"s" * 50), id="samples without a fragment"),
        pytest.param(box(b"what", b"s" * 50), id="an unknown box"),
        pytest.param(numbers(MAX_FRAGMENT + 1) + b"moof", id="a box that is too large"),
        pytest.param(numbers(0) + b"moof", id="a box without an end"),
        pytest.param(box(b"moof", numbers(9) + b"traf"), id="a broken fragment"),
    ],
)
def test_junk_is_dropped_up_to_the_next_fragment_or_file(junk: bytes) -> None:
    for after in (SOUND[3], movie(track(AUDIO, 500)) + SOUND[3]):
        stream = Mp4()
        result = run(stream, [BEGIN + SOUND[0] + junk + after + after])
        assert result.out.startswith(BEGIN + SOUND[0])
        assert result.out.endswith(after)
        assert stream.dropped >= len(junk)
        assert "no whole MP4 fragments" in stream.warning


def test_a_box_that_breaks_off_ends_where_a_fragment_or_a_file_begins() -> None:
    for cut in (20, 60, len(SOUND[1]) - 30):
        for after in (SOUND[2], movie(track(AUDIO, 500)) + SOUND[2]):
            stream = Mp4()
            assert run(stream, [BEGIN + SOUND[0] + SOUND[1][:cut] + after]).out == BEGIN + SOUND[0] + after
            assert stream.dropped == cut
    assert feed(BEGIN[:150] + BEGIN + SOUND[0]).out == BEGIN + SOUND[0]


def test_a_stream_may_begin_with_its_movie() -> None:
    at = BEGIN.index(b"moov") - 4
    assert feed(BEGIN[at:], SOUND[0]).out == BEGIN[at:] + SOUND[0]
    with pytest.raises(FormatError, match="not fragmented"):
        Mp4().feed(movie(track(AUDIO), is_fragmented=False)[at:])


def test_a_fragment_without_its_samples_is_dropped() -> None:
    lonely = SOUND[1][: SOUND[1].index(b"mdat") - 4]
    assert feed(BEGIN, SOUND[0], lonely, SOUND[2]).out == BEGIN + SOUND[0] + SOUND[2]


def test_another_file_brings_its_own_header_and_continues_time() -> None:
    other = movie(track(AUDIO, 2000))
    result = feed(BEGIN, *SOUND, other, *SOUND)
    start = len(BEGIN + b"".join(SOUND))
    assert result.headers[2:] == [Header(start, b""), Header(start + len(other), other)]
    times = [join.time_s for join in result.joins if join.offset >= start]
    assert times == pytest.approx([1.5, 1.5, 1.75, 2.0, 2.25])


def test_a_header_that_comes_again_and_again_does_not_move_the_time() -> None:
    result = feed(*(BEGIN + part for part in SOUND))
    assert [join.time_s for join in result.joins[1::2]] == pytest.approx([0.0, 0.5, 1.0, 1.5])


def test_fragments_before_the_first_header_are_dropped() -> None:
    stream = Mp4()
    assert run(stream, [b"\r\n" + SOUND[0] + SOUND[1] + BEGIN + SOUND[2]]).out == BEGIN + SOUND[2]
    assert stream.dropped == len(b"\r\n" + SOUND[0] + SOUND[1])


def test_a_cover_in_the_header_is_left_out() -> None:
    at = BEGIN.index(b"moov") - 4
    large = BEGIN[:at] + box(b"moov", BEGIN[at + 8 :], box(b"udta", bytes(2_500_000)))
    stream = Mp4()
    result = run(stream, every(large + SOUND[0], 1 << 16))
    assert result.out == BEGIN + SOUND[0]
    assert stream.dropped == 2_500_008


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(movie(track(AUDIO), is_fragmented=False), id="moov that is not fragmented"),
        pytest.param(BEGIN[: BEGIN.index(b"moov") - 4] + box(b"mdat", b"samples"), id="samples first"),
        pytest.param(box(b"ftyp", b"isom") + box(b"free") + numbers(0) + b"mdat" + bytes(90), id="samples to the end"),
    ],
)
def test_what_is_not_fragmented_is_refused_with_what_to_do(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"not fragmented.*frag_keyframe"):
        Mp4().feed(data)


@pytest.mark.parametrize("flags", [(), ("-movflags", "faststart")])
def test_a_file_of_ffmpeg_that_is_not_fragmented_is_refused(flags: tuple[str, ...], tmp_path: object) -> None:
    name = f"{tmp_path}/x.mp4"
    command = [require("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", *flags, name]
    subprocess.run(command, check=True, timeout=60)
    with open(name, "rb") as file:
        stream, data = Mp4(), file.read()
    with pytest.raises(FormatError, match="not fragmented"):
        for piece in every(data, 1400):
            stream.feed(piece)


def test_fragments_with_places_in_the_file_decode_for_who_comes_later() -> None:
    """ffmpeg writes them without `default_base_moof`."""
    command = [
        require("ffmpeg"),
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=4",
        "-c:a",
        "aac",
        "-frag_duration",
    ]
    command += ["500000", "-movflags", "empty_moov", "-f", "mp4", "-"]
    data = subprocess.run(command, check=True, capture_output=True, timeout=60).stdout
    result = run(Mp4(), every(data, 1400))
    assert len(result.joins) > 5
    assert decode_errors(result.heard_from(result.joins[4])) == ""


@pytest.mark.parametrize(
    ("begin_with", "unit", "reason"),
    [
        pytest.param(b"", b"noise" * 50_000, "no box begins", id="no MP4"),
        pytest.param(b"", SOUND[0] * 1000, "before the first `moov`", id="no header"),
        pytest.param(BEGIN, box(b"free", bytes(400_000)), "no box begins", id="nothing but padding"),
        pytest.param(
            b"", box(b"ftyp", b"isom") + numbers(MAX_MOVIE + 1) + b"moov" + bytes(200_000), "too large", id="large moov"
        ),
    ],
)
def test_what_can_never_be_played_is_refused_with_the_reason(begin_with: bytes, unit: bytes, reason: str) -> None:
    stream = Mp4()
    stream.feed(begin_with)
    with pytest.raises(FormatError, match=f"nothing in 32 MiB.*{reason}"):
        for _ in range(MAX_LOST // len(unit) + 2):
            stream.feed(unit)


def test_a_header_that_stays_too_large_is_none() -> None:
    stream, at = Mp4(), BEGIN.index(b"moov") - 4
    large = BEGIN[:at] + box(b"moov", BEGIN[at + 8 :], box(b"trak", bytes(4 * MAX_HEADER)))
    assert run(stream, [large + BEGIN + SOUND[0]]).out == BEGIN + SOUND[0]


BLOCKS = [
    BEGIN,
    FILM,
    *SOUND,
    fragment(part(VIDEO, 5, KEY), before=STYP),
    fragment(part(VIDEO, 5, INTER)),
    STYP,
    box(b"mdat", b"x"),
    box(b"free", b"x"),
    SOUND[0][:70],
    SOUND[0][:30],
    numbers(0) + b"moof",
    numbers(1) + b"free",
    movie(track(AUDIO), is_fragmented=False),
]


@given(st.lists(st.sampled_from(BLOCKS) | st.binary(max_size=12), max_size=20), CUTS)
@settings(deadline=None, max_examples=150)
def test_any_bytes_cut_anywhere_give_the_same_or_are_refused(blocks: list[bytes], places: list[int]) -> None:
    assert_same_in_pieces(Mp4, b"".join(blocks), places, MAX_FRAGMENT)
    assert_same_in_pieces(Mp4, BEGIN + b"".join(blocks), places, MAX_FRAGMENT)
