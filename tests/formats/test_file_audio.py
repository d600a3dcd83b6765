"""A file that is played again and again is one stream: whole frames and no more, or new chains with new numbers."""

from collections.abc import Iterable
from itertools import count, pairwise
from random import Random

import pytest

from pycast.formats.content_types import new_format
from pycast.formats.file_audio import FileAudio, Unit, detect, sound_of, with_serial
from pycast.formats.marks import Header, Info, Join
from pycast.formats.ogg_page import PageReader, checksum
from pycast.formats.silence import StreamShape, silence
from tests.formats.elements import audio_track, cluster, document, simple_block
from tests.formats.feeding import Result
from tests.formats.flac_frames import begin, frame
from tests.formats.frame_bytes import adts, id3, mpeg
from tests.formats.mp4_parts import AUDIO, fragment, movie, part, track
from tests.formats.ogg_pages import LAST, flac_comment, flac_id, page, vorbis_audio, vorbis_headers
from tests.formats.samples import OTHERS, decode_errors, file, packets
from tests.formats.test_wav import BEGIN

SEED = 7


def numbered(first: int, many: int) -> bytes:
    return b"".join(mpeg()[:40] + b"%08d" % number + bytes(369) for number in range(first, first + many))


def play(name: str, rounds: Iterable[bytes], cut: int = 1000, base: int = 0) -> list[Unit]:
    """Feeds files in pieces, and begins anew after each."""
    audio, numbers, units = FileAudio(name, base, count(5000).__next__), Random(SEED), list[Unit]()
    for data in rounds:
        at = 0
        while at < len(data):
            size = numbers.randint(1, cut)
            units += audio.feed(data[at : at + size])
            at += size
        units += audio.end_round()
    return units


@pytest.mark.parametrize("name", [*OTHERS, "webm", "matroska"])
def test_rounds_of_a_file_with_a_header_are_one_stream_whose_time_goes_on(name: str) -> None:
    data = file(name)
    kind = detect(lambda offset, size: data[offset : offset + size])
    units, rounds = play(kind, [data] * 3, cut=9000), 3
    result = Result(audio_of(units), [mark for unit in units for mark in unit.marks])
    # What a player gets that was there from the beginning, and one that came in the second round.
    one, all_of_it = packets(data), packets(result.heard)
    assert all_of_it.keys() == one.keys()
    for stream, times in all_of_it.items():
        # The last frame of FLAC waits for the next round, and ffprobe makes packets of 4,096 bytes of WAV.
        assert rounds * len(one[stream]) - rounds <= len(times) <= rounds * len(one[stream])
        steps = [later - sooner for sooner, later in pairwise(times)]
        assert min(steps) > 0 and max(steps) < 0.15
        assert times[-1] == pytest.approx(rounds * 2, abs=0.4)
    late = next(join for join in result.joins if (join.time_s or 0.0) > 2.3)
    assert all(len(times) > len(one[stream]) for stream, times in packets(result.heard_from(late)).items())
    due = [unit.time_s for unit in units]
    assert due == sorted(due) and due[-1] > 4.0


@pytest.mark.parametrize("name", ["native-flac", "webm", "mp4"])
def test_a_file_of_other_properties_begins_with_a_header_of_its_own(name: str) -> None:
    one, other = file(name), file({"native-flac": "native-flac-mono", "webm": "webm-vorbis", "mp4": "mp4-mono"}[name])
    units = play(detect(lambda offset, size: one[offset : offset + size]), [one, one, other, other], cut=9000)
    result = Result(audio_of(units), [mark for unit in units for mark in unit.marks])
    assert len({header.data for header in result.headers if header.data}) == 2
    assert decode_errors(result.heard_from(result.joins[-3])) == ""
    due = [unit.time_s for unit in units]
    assert due == sorted(due) and due[-1] > 5.5


def audio_of(units: list[Unit]) -> bytes:
    return b"".join(unit.data for unit in units)


def test_frames_of_all_rounds_come_out_without_what_is_no_audio() -> None:
    info = mpeg()[:36] + b"Info" + bytes(377)
    file = id3(3000) + info + numbered(0, 20) + b"junk" + numbered(20, 5) + mpeg()[:200] + b"TAG".ljust(128, b"x")
    units = play("mpeg", [file] * 3)
    assert audio_of(units) == numbered(0, 25) * 3


def test_the_info_frame_of_a_file_with_another_side_information_is_left_out_too() -> None:
    mono = 0xFFFB90C0
    assert audio_of(play("mpeg", [mpeg(mono)[:21] + b"Xing" + bytes(392) + mpeg(mono) * 9])) == mpeg(mono) * 9


def test_units_are_due_when_those_before_them_are_over_through_all_rounds() -> None:
    units = play("mpeg", [numbered(0, 30)] * 3, cut=5000)
    times = [unit.time_s for unit in units]
    assert times == pytest.approx([number * 1152 / 44100 for number in range(90)])
    assert all(len(unit.data) == 417 for unit in units)


def test_adts_is_played_as_well() -> None:
    file = id3(50) + adts(100) * 30
    units = play("adts", [file] * 2)
    assert audio_of(units) == adts(100) * 60
    assert units[-1].time_s == pytest.approx(59 * 1024 / 44100)


def ogg_file(serial: int = 1) -> bytes:
    audio = [*vorbis_audio(serial, [44100, 88200]), page([b"\x00last"], serial, 132300, LAST)]
    return b"".join([*vorbis_headers(serial, "TITLE=x"), *audio])


def test_each_round_of_ogg_is_a_chain_with_a_number_of_its_own_and_right_checksums() -> None:
    units = play("ogg", [ogg_file()] * 3, cut=60)
    reader = PageReader()
    pages = reader.feed(audio_of(units))
    assert reader.skipped == 0
    assert [page.serial for page in pages if page.is_first] == [5000, 5001, 5002]
    assert [page.is_last for page in pages].count(True) == 3
    before = [page.data[26:] for page in PageReader().feed(ogg_file())]
    assert [page.data[26:] for page in pages] == before * 3, "the rest of a page is as it was"
    joins = [mark.time_s for unit in units for mark in unit.marks if isinstance(mark, Join)]
    assert joins == sorted(joins, key=lambda time_s: time_s or 0.0) and joins[-1] == pytest.approx(8.0)


@pytest.mark.parametrize("stops_at_s", [0, 3])
def test_pages_whose_times_stand_still_are_due_at_the_rate_so_far_in_each_round(stops_at_s: int) -> None:
    headers = vorbis_headers(1, "TITLE=" + "x" * 60_000)
    granules = [44100 * min(number, stops_at_s) for number in range(1, 11)]
    audio = [page([b"\x00" + bytes(15_899)], 1, granule, sequence=9 + at) for at, granule in enumerate(granules)]
    units = play("ogg", [b"".join([*headers, *audio])] * 3, cut=30_000)
    assert len(units) == 3 * 11, "the headers, and each page"
    # What comes first goes by what the headers say, 128 kbit/s.
    page_s = 1.0 if stops_at_s else len(audio[0]) / 16_000
    due = [unit.time_s for unit in units]
    for number in range(3):
        expected = [number * 10 + at for at in (0, *range(10))]
        assert due[11 * number : 11 * number + 11] == pytest.approx([at * page_s for at in expected], abs=0.01)
    assert [mark.time_s for unit in units for mark in unit.marks if isinstance(mark, Join)] == due


def test_a_file_of_several_chains_keeps_them_apart() -> None:
    units = play("ogg", [ogg_file(1) + ogg_file(2)] * 2)
    assert [page.serial for page in PageReader().feed(audio_of(units)) if page.is_first] == [5000, 5001, 5002, 5003]


def test_pages_whose_beginning_is_missing_are_left_out() -> None:
    cut_off = b"".join(vorbis_audio(9, [1000, 2000]))
    assert audio_of(play("ogg", [cut_off + ogg_file()])) == audio_of(play("ogg", [ogg_file()]))


@pytest.mark.parametrize("name", ["mpeg", "adts", "ogg-Vorbis", "ogg-Opus"])
def test_marks_are_where_a_parser_of_the_whole_stream_finds_them(name: str) -> None:
    name, _, codec = name.partition("-")
    file = silence(StreamShape(name, codec, 44100, 2, 96_000))
    units = play(name, [file] * 3, cut=3000, base=100)
    offset, marks = 100, []
    for unit in units:
        assert all(mark.offset <= offset + len(unit.data) for mark in unit.marks)
        starts = [mark.offset for mark in unit.marks if isinstance(mark, Join)]
        assert not starts or starts[0] >= offset
        offset += len(unit.data)
        marks += unit.marks
    _, expected = new_format("", 100, name).feed(audio_of(units))
    assert marks == expected
    assert [mark.offset for mark in marks if not isinstance(mark, Header)] == sorted(
        mark.offset for mark in marks if not isinstance(mark, Header)
    )
    assert any(isinstance(mark, Info) for mark in marks)
    assert all(one.time_s <= other.time_s for one, other in pairwise(units))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        (id3(200_000) + numbered(0, 10), "mpeg"),
        (adts(100) * 10, "adts"),
        (ogg_file(), "ogg"),
        (page([flac_id()], flags=2) + page([flac_comment("TITLE=x")], sequence=1), "ogg"),
        (begin() + frame(0), "flac"),
        (BEGIN + bytes(2000), "wav"),
        (document(audio_track()) + cluster(0, simple_block()), "matroska"),
        (movie(track(AUDIO)) + fragment(part(AUDIO)), "mp4"),
        (movie(track(AUDIO), is_fragmented=False) + bytes(2000), ""),
        (movie()[:24] + bytes(2000), ""),
        (b"ADIF" + bytes(2000), ""),
        (bytes(100_000), ""),
        (b"", ""),
    ],
)
def test_what_a_file_is_is_told_by_its_bytes(file: bytes, name: str) -> None:
    assert detect(lambda offset, size: file[offset : offset + size]) == name


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [
        (id3(200_000) + numbered(0, 10), "mpeg", ""),
        (id3(200_000), "mpeg", None),
        (ogg_file(), "ogg", "Vorbis"),
        (b"".join(vorbis_headers()), "ogg", None),
        (b"".join(vorbis_headers())[:80], "ogg", None),
        (BEGIN + bytes(100), "wav", "WAV with 44100 Hz, 2 channels, 16 bits"),
        (BEGIN, "wav", None),
        (begin() + frame(0), "flac", ""),
        (begin(), "flac", None),
        (document(audio_track()) + cluster(0, simple_block()), "matroska", ""),
        (document(audio_track()), "matroska", None),
        (movie(track(AUDIO)) + fragment(part(AUDIO)), "mp4", ""),
        (movie(track(AUDIO)), "mp4", None),
        (BEGIN[:12] + bytes(2000), "wav", None),
    ],
)
def test_what_sounds_in_a_file_is_known(data: bytes, name: str, expected: str | None) -> None:
    assert sound_of(name, lambda offset, size: data[offset : offset + size]) == expected


def test_a_page_gets_another_number_and_its_checksum() -> None:
    changed = with_serial(page([b"x"], 1), 0xFFFFFFFF)
    assert changed == page([b"x"], 0xFFFFFFFF) and checksum(changed) == int.from_bytes(changed[22:26], "little")
