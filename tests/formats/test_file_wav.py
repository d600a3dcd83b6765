"""One header, then the samples of all rounds, without what else is in a file."""

import struct

import pytest

from pycast.errors import FormatError
from pycast.formats.file_wav import WavFile
from tests.formats.feeding import every
from tests.formats.frame_bytes import id3
from tests.formats.test_wav import BEGIN, SAMPLES, UNKNOWN, chunk, fmt, header

SIZE = 1000


def play(*rounds: bytes, size: int = 100) -> bytes:
    audio, out = WavFile(), b""
    for data in rounds:
        out += b"".join(map(audio.feed, every(data, size))) + audio.end_round()
    return out


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_samples_follow_each_other_without_the_chunks_around_them(size: int) -> None:
    before, behind = chunk(b"LIST", b"x" * 333), chunk(b"id3 ", b"noise" * 99)
    data = header(SIZE, before, fmt(), chunk(b"cue ", bytes(28))) + SAMPLES[:SIZE] + behind
    assert play(data, data, data, size=size) == BEGIN + SAMPLES[:SIZE] * 3


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_tags_before_the_file_are_left_out(size: int) -> None:
    data = id3(777) + b"RIFF" + header(SIZE) + SAMPLES[:SIZE] + chunk(b"id3 ", b"RIFFxxxxWAVE")
    assert play(data, data, size=size) == BEGIN + SAMPLES[:SIZE] * 2


@pytest.mark.parametrize("told", [0, UNKNOWN, 2_000_000])
def test_a_file_whose_size_is_not_known_or_wrong_is_played_to_its_end_in_whole_blocks(told: int) -> None:
    data = header(told) + SAMPLES[:1003]
    assert play(data, data) == BEGIN + SAMPLES[:1000] * 2


def test_the_size_of_a_large_file_is_in_a_chunk_of_its_own() -> None:
    sizes = chunk(b"ds64", struct.pack("<QQQI", 0, SIZE, 0, 0))
    data = header(UNKNOWN, sizes, fmt(), riff=b"RF64") + SAMPLES[:SIZE] + chunk(b"LIST", b"noise")
    assert play(data, data) == BEGIN + SAMPLES[:SIZE] * 2


def test_the_same_samples_in_a_longer_form_can_follow() -> None:
    longer = chunk(b"fmt ", b"\xfe\xff" + fmt()[10:] + b"\x16\0\x10\0\3\0\0\0\1\0" + bytes(14))
    assert play(BEGIN + SAMPLES[:800], header(UNKNOWN, longer) + SAMPLES[:800]) == BEGIN + SAMPLES[:800] * 2


def test_other_samples_cannot_follow_and_a_file_needs_a_description() -> None:
    with pytest.raises(FormatError, match="another kind"):
        play(BEGIN + SAMPLES, header(UNKNOWN, fmt(1)) + SAMPLES)
    with pytest.raises(FormatError, match="description"):
        play(header(UNKNOWN, chunk(b"LIST", b"")) + SAMPLES)
