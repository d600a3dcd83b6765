"""The numbered frames: made right, and every kind of damage is seen."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.frames import FRAME_S, FrameReader, IcySplitter, find_frame, frame, offset_of, size_of


def _stream(first: int, count: int) -> bytes:
    return b"".join(frame(seq, 7, seq * 1_000) for seq in range(first, first + count))


def _read(data: bytes, cuts: list[int]) -> FrameReader:
    reader, places = FrameReader(7), sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, stop in pairwise(places):
        reader.feed(data[start:stop], 0)
    return reader


def test_frames_are_128_kbit_per_second() -> None:
    assert {size_of(seq) for seq in range(1_000)} == {417, 418}
    assert offset_of(49_000) / (49_000 * FRAME_S) == pytest.approx(16_000)
    assert all(len(frame(seq, 1, 1)) == size_of(seq) for seq in range(100))


def test_a_frame_begins_with_its_sync_and_has_no_other() -> None:
    assert all(frame(seq, 1, 2**60).count(b"\xff") == 1 for seq in range(300))
    assert frame(0, 0, 0)[:2] == b"\xff\xfb"


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 5_000), st.lists(st.integers(0, 9_000), max_size=30))
def test_a_right_stream_is_right_wherever_it_is_joined_and_cut(joined: int, cuts: list[int]) -> None:
    data = _stream(100, 20)[joined:]
    reader = _read(data, cuts)
    found = find_frame(data)
    assert found is not None
    assert reader.frames == 120 - found[1]
    assert reader.errors == 0


@settings(deadline=None, max_examples=50)
@given(st.integers(2 * 418, 18 * 417 - 1), st.lists(st.integers(0, 9_000), max_size=30))
def test_one_wrong_byte_is_seen(place: int, cuts: list[int]) -> None:
    data = bytearray(_stream(100, 20))
    data[place] ^= 1
    assert _read(bytes(data), cuts).errors > 0


def test_missing_and_repeated_frames_are_counted() -> None:
    assert _read(_stream(0, 10) + _stream(15, 10), []).missing == 5
    assert _read(_stream(0, 10) + _stream(5, 10), []).repeated == 5


def test_a_frame_of_another_mount_is_wrong() -> None:
    assert _read(_stream(0, 5) + frame(5, 8, 0) + frame(6, 7, 0), []).corrupt > 0


def test_latency_is_kept_only_from_the_given_moment_on() -> None:
    reader = FrameReader(7)
    reader.record_from_ns = 3_000
    reader.feed(_stream(0, 5), 10_000)
    assert list(reader.latencies_s) == pytest.approx([7e-6, 6e-6])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 400), max_size=30))
def test_icy_blocks_are_taken_out_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    block = b"\x02" + b"StreamTitle='a';".ljust(32, b"\0")
    data = b"a" * 100 + block + b"b" * 100 + b"\0" + b"c" * 50
    splitter, places = IcySplitter(100), sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    audio = b"".join(splitter.feed(data[a:b]) for a, b in pairwise(places))
    assert audio == b"a" * 100 + b"b" * 100 + b"c" * 50
    assert splitter.titles == [b"StreamTitle='a';"]
    assert (splitter.blocks, splitter.phase) == (2, 50)
