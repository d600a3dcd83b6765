"""Frames of all rounds are counted through, with checksums that are right."""

from itertools import pairwise

import pytest

from pycast.formats.file_flac import FlacFile, checksum, coded, renumbered, with_checksums
from pycast.formats.flac import Flac
from pycast.formats.marks import Join
from tests.formats import flac_frames
from tests.formats.feeding import every, run
from tests.formats.flac_frames import begin, frame
from tests.formats.samples import file


def parts(data: bytes) -> list[bytes]:
    """Returns the frames of a stream, with what is before the first one."""
    parser = Flac()
    result = run(parser, [data])
    last, marks = parser.finish()
    out = result.out + last
    places = [mark.offset for mark in [*result.marks, *marks] if isinstance(mark, Join)]
    return [out[start:end] for start, end in pairwise([*places, len(out)])]


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2047, 2048, 1 << 20, 1 << 31, (1 << 36) - 1])
def test_a_frame_gets_another_number_and_both_checksums(number: int) -> None:
    for one in parts(file("native-flac"))[1:4]:
        assert checksum(one) == 0, "over all of a frame, with its checksum"
        changed, following = renumbered(one, number)
        assert checksum(changed) == 0
        head = bytes((0xFF, 0xF9)) + one[2:4] + flac_frames.written(number)
        assert changed.startswith(head + bytes([flac_frames.crc8(head)]))
        assert following == number + 4608
        assert changed[-200:-2] == one[-200:-2]


def test_a_number_is_written_as_a_parser_reads_it() -> None:
    for number in (0, 5, 300, 70_000, 1 << 30, 1 << 35):
        assert coded(number) == flac_frames.written(number)


def test_checksums_are_those_of_the_standard() -> None:
    made = with_checksums(bytes((0xFF, 0xF8, 0xC9, 0x18, 0)), b"x" * 9)
    assert made[5] == flac_frames.crc8(made[:5]) and checksum(made) == 0
    assert checksum(b"123456789") == 0xFEE8


@pytest.mark.parametrize("size", [1, 999, 100_000])
def test_the_metadata_comes_once_and_again_when_it_is_another(size: int) -> None:
    rounds = [begin("TITLE=a") + frame(0) + frame(1)] * 2 + [begin("TITLE=b", rate=48000) + frame(0) + frame(1)]
    audio = FlacFile()
    out = b""
    for data in rounds:
        out += b"".join(map(audio.feed, every(data, size))) + audio.end_round()
    heads, numbers = out.count(b"fLaC"), [run_number(one) for one in parts(out) if not one.startswith(b"fLaC")]
    assert heads == 2
    assert numbers == [0, 4096, 8192, 12288, 0, 4096]


def run_number(frame: bytes) -> int:
    width = 1 if frame[4] < 0x80 else 8 - (frame[4] ^ 0xFF).bit_length()
    return next(number for number in range(0, 1 << 16, 4096) if flac_frames.written(number) == frame[4 : 4 + width])


def test_a_stream_whose_numbers_are_used_up_begins_anew() -> None:
    audio = FlacFile()
    out = audio.feed(begin() + frame(0) + frame(1) + frame(2))
    audio._number = (1 << 36) - 4096
    out = audio.feed(frame(3) + frame(4)) + audio.end_round()
    assert out.startswith(b"fLaC") and out.count(b"fLaC") == 1
    assert [run_number(one) for one in parts(out)[1:]] == [0, 4096, 8192]
