"""Fragments of all rounds are those of one movie, with times and numbers that go on."""

import struct
from itertools import pairwise

import pytest

from pycast.errors import FormatError
from pycast.formats.file_mp4 import Mp4File, is_fragmented
from pycast.formats.mp4 import Mp4
from pycast.formats.mp4_boxes import read_box
from tests.formats.feeding import every, run
from tests.formats.mp4_parts import AUDIO, VIDEO, box, fragment, full, movie, numbers, part, track
from tests.formats.samples import file

BEGIN = movie(track(AUDIO))


def timed(ticks: int | None, *lasts: int, number: int = AUDIO, version: int = 0, is_from_moof: bool = True) -> bytes:
    """Returns the part of a fragment for samples that last so long."""
    flags = 0x020000 if is_from_moof else 0
    time = b""
    if ticks is not None:
        time = full(b"tfdt", struct.pack(">Q" if version else ">I", ticks), version=version)
    run = full(b"trun", numbers(len(lasts), 100, *lasts), flags=0x000101)
    return box(b"traf", full(b"tfhd", numbers(number), flags=flags), time, run)


def play(*rounds: bytes, size: int = 100) -> tuple[bytes, Mp4File]:
    audio, out = Mp4File(), b""
    for data in rounds:
        out += b"".join(map(audio.feed, every(data, size))) + audio.end_round()
    return out, audio


def after(out: bytes, kind: bytes, size: int) -> list[int]:
    """Returns the numbers behind the names of boxes, and what comes before them there."""
    return [int.from_bytes(one[4 : 4 + size]) for one in out.split(kind)[1:]]


def offsets(out: bytes) -> list[int]:
    return [int.from_bytes(one[8:12]) for one in out.split(b"trun")[1:]]


@pytest.mark.parametrize("size", [1, 97, 10_000])
@pytest.mark.parametrize("version", [0, 1])
def test_the_header_comes_once_and_times_and_numbers_go_on(size: int, version: int) -> None:
    fragments = fragment(timed(700, 20, 20, version=version)) + fragment(timed(740, 20, 30, version=version))
    out, audio = play(*[BEGIN + fragments] * 3, size=size)
    assert out.startswith(BEGIN) and out.count(b"moov") == 1
    assert after(out, b"tfdt", 8) == [0, 40, 90, 130, 180, 220]
    assert after(out, b"mfhd", 4) == [1, 2, 3, 4, 5, 6]
    assert audio.end_s == pytest.approx(0.27)
    result = run(Mp4(), [out])
    assert result.out == out
    assert [join.time_s for join in result.joins[1:]] == pytest.approx([0, 0.04, 0.09, 0.13, 0.18, 0.22])


@pytest.mark.parametrize(("version", "ticks", "grows"), [(0, 7, 4), (1, 7, 0), (0, None, 20)])
def test_samples_are_as_far_away_as_the_head_has_grown(version: int, ticks: int | None, grows: int) -> None:
    out, _ = play(BEGIN + fragment(timed(ticks, 20, version=version)))
    assert offsets(out) == [100 + grows]
    two = fragment(timed(ticks, 20, version=version), timed(ticks, 20, number=VIDEO, version=version))
    assert offsets(play(movie(track(AUDIO), track(VIDEO)) + two)[0]) == [100 + 2 * grows] * 2
    chained = fragment(*(timed(ticks, 20, version=version, is_from_moof=False) for _ in range(2)))
    assert offsets(play(BEGIN + chained)[0]) == [100 + 2 * grows, 100], "the second is found from the first"


def test_a_time_that_no_number_holds_is_an_error() -> None:
    data = BEGIN + fragment(timed(0, 20, version=1)) + fragment(timed((1 << 64) - 10, 20, version=1))
    with pytest.raises(FormatError, match="beyond all numbers"):
        play(data, data)


def test_samples_that_no_number_can_find_are_an_error() -> None:
    far = timed(7, 20).replace(numbers(1, 100, 20), numbers(1, (1 << 31) - 1, 20))
    with pytest.raises(FormatError, match="beyond all numbers"):
        play(BEGIN + fragment(far))


def test_a_fragment_without_a_time_follows_the_one_before() -> None:
    data = BEGIN + fragment(timed(None, 20, 20)) + fragment(timed(None, 30))
    assert after(play(data, data)[0], b"tfdt", 8) == [0, 40, 70, 110]


@pytest.mark.parametrize("where", ["head", "movie"])
def test_samples_that_say_nothing_last_as_long_as_the_fragment_or_the_movie_says(where: str) -> None:
    run_of_five = full(b"trun", numbers(5, 100), flags=1)
    head = full(b"tfhd", numbers(AUDIO, 10), flags=0x020008) if where == "head" else full(b"tfhd", numbers(AUDIO))
    trex = full(b"trex", numbers(AUDIO, 1, 10, 0, 0))
    begin = box(b"ftyp", b"iso5") + box(b"moov", track(AUDIO), box(b"mvex", full(b"mehd", numbers(9)), trex))
    data = begin + fragment(box(b"traf", head, run_of_five))
    out, audio = play(data, data)
    assert after(out, b"tfdt", 8) == [0, 50] and audio.end_s == pytest.approx(0.1)
    assert b"mehd" not in out, "nor how long the file is"


def test_a_file_with_other_tracks_is_another_movie() -> None:
    one, other = fragment(timed(0, 20)), movie(track(AUDIO, scale=500))
    out, audio = play(BEGIN + one, other + one, other + one)
    assert after(out, b"tfdt", 8) == [0, 0, 20] and out.count(b"moov") == 2
    assert audio.end_s == pytest.approx(0.1)


def test_places_and_times_of_the_file_are_left_out() -> None:
    out, _ = play(BEGIN + fragment(timed(0, 20), before=box(b"styp", b"msdh") + full(b"sidx", bytes(20))))
    assert b"sidx" not in out and b"styp" in out


@pytest.mark.parametrize(
    "broken", [box(b"traf", box(b"tfhd")), box(b"traf", full(b"trun", numbers(1 << 30), flags=0x100))]
)
def test_a_broken_fragment_is_an_error_of_the_file(broken: bytes) -> None:
    audio = Mp4File()
    with pytest.raises(FormatError):
        audio.feed(BEGIN)
        audio._renewed(box(b"moof", broken))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (BEGIN + fragment(part(AUDIO)), True),
        (movie(track(AUDIO), is_fragmented=False), False),
        (box(b"ftyp", b"x") + box(b"mdat", bytes(5000)) + box(b"moov", box(b"mvex")), True),
        (box(b"ftyp", b"x"), False),
        (box(b"ftyp", b"x") + b"\0\0\0\0moov", False),
        (box(b"ftyp", b"x") + b"\0\0\0\1moov", False),
        (b"", False),
    ],
)
def test_whether_a_file_is_fragmented_is_told_by_its_index(data: bytes, expected: bool) -> None:
    assert is_fragmented(lambda at, size: data[at : at + size]) is expected


def test_a_real_file_keeps_its_samples() -> None:
    data = file("mp4")
    out, _ = play(data)
    assert boxes(out, b"mdat") == boxes(data, b"mdat")
    starts = after(out, b"tfdt", 8)
    assert starts[0] == 0 and all(one < other for one, other in pairwise(starts))


def boxes(data: bytes, kind: bytes) -> list[bytes]:
    found, pos = [], 0
    while pos < len(data):
        one = read_box(data, pos)
        assert one is not None and one.size is not None
        if one.kind == kind:
            found.append(data[pos : pos + one.size])
        pos += one.size
    return found
