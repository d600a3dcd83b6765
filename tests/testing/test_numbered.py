"""Numbered audio: real decoders take it, and the reader finds what is missing, doubled or damaged."""

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from pycast.testing.numbered import FORMATS, FormatName, Frames, NumberedAudio, NumberedReader
from tests.e2e.programs import require

NAMES: tuple[FormatName, ...] = get_args(FormatName)


def read(data: bytes, piece: int = 0) -> NumberedReader:
    reader = NumberedReader()
    for at in range(0, len(data), piece or len(data) or 1):
        reader.feed(data[at : at + (piece or len(data))])
    return reader


def frames_in(data: bytes, piece: int = 0) -> Frames:
    reader = read(data, piece)
    return Frames(reader.numbers, reader.foreign, reader.rest)


def test_a_format_for_each_name() -> None:
    assert tuple(FORMATS) == NAMES
    with pytest.raises(ValueError, match="mp3, aac, opus, vorbis, flac"):
        NumberedAudio("mp2")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_ffmpeg_decodes_every_frame_without_a_word(name: FormatName, tmp_path: Path) -> None:
    audio = NumberedAudio(name, first=100)
    file = tmp_path / "audio"
    file.write_bytes(audio.begin("Artist - Song") + audio.frames(150))
    done = subprocess.run(
        [require("ffmpeg"), "-v", "error", "-xerror", "-i", str(file), "-f", "s16le", "-ar", "48000", "-ac", "1", "-"],
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == b""
    assert abs(len(done.stdout) / 96_000 - 150 * audio.format.frame_s) < 0.1
    assert set(done.stdout) <= {0, 0xFF, 1}, "it is not silent"


@pytest.mark.parametrize("piece", [0, 1, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_reader_finds_each_frame_however_the_bytes_are_cut(name: FormatName, piece: int) -> None:
    audio = NumberedAudio(name, first=120)
    data = audio.begin("One") + audio.frames(12) + audio.begin("Two") + audio.frames(4)
    reader = read(data, piece)
    assert reader.numbers == list(range(120, 136)) and audio.number == 136
    assert reader.foreign == reader.rest == 0
    assert reader.titles == (["One", "Two"] if audio.has_own_titles else [])


@pytest.mark.parametrize("number", [0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 2**26 - 1, 2**31 - 1])
@pytest.mark.parametrize("name", NAMES)
def test_numbers_of_any_size_come_back(name: FormatName, number: int) -> None:
    audio = NumberedAudio(name, first=number)
    assert read(audio.begin("") + audio.frames(1)).numbers == [number]


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_byte_costs_that_frame(name: FormatName) -> None:
    audio = NumberedAudio(name)
    begin = audio.begin("") + audio.frames(1)
    damaged = bytearray(audio.frames(1))
    damaged[-5] ^= 1
    found = frames_in(begin + damaged + audio.frames(2))
    assert found.numbers == [0, 2, 3] and found.gaps == [range(1, 2)]
    assert found.foreign == len(damaged) and not found.is_whole


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_that_breaks_off_is_the_rest(name: FormatName) -> None:
    audio = NumberedAudio(name)
    data = audio.begin("") + audio.frames(3)
    cut = frames_in(data[:-10])
    assert cut.numbers == [0, 1] and cut.foreign == 0
    assert cut.rest == 0 if audio.has_own_titles else cut.rest > 100


def test_frames_tell_gaps_doubles_and_order() -> None:
    found = Frames([4, 5, 9, 9, 7])
    assert found.gaps == [range(6, 9)] and found.doubles == [9]
    assert not found.is_in_order and not found.is_whole
    whole = Frames([4, 5, 6])
    assert whole.is_whole and whole.is_in_order and len(whole) == 3 and not whole.gaps and not whole.doubles
    assert not Frames([4, 5], foreign=1).is_whole
    assert "4 to 6" in repr(whole) and "gaps" in repr(found) and "none" in repr(Frames([]))


def test_what_has_no_frames_is_foreign() -> None:
    found = frames_in(bytes(5000), 100)
    assert found.numbers == [] and found.foreign + found.rest == 5000
