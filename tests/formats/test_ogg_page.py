"""Pages come out whole, intact and in order; everything else is dropped, counted and bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.ogg_page import MAX_GARBAGE, PageReader, checksum, write_pages
from tests.formats.feeding import CUTS, cut, every
from tests.formats.ogg_pages import CONTINUED, FIRST, LAST, NO_GRANULE, crc, page

PAGE = page([b"packet one", b"two"], serial=7, granule=1234, flags=FIRST)
LARGEST = page([b"x" * 255 * 255], is_last_complete=False)


@given(st.binary(min_size=27, max_size=400))
def test_checksum_is_that_of_the_specification(data: bytes) -> None:
    assert checksum(data) == crc(data[:22] + bytes(4) + data[26:])


def test_a_page_has_the_fields_of_its_head() -> None:
    (got,) = PageReader().feed(PAGE)
    assert got.data == PAGE
    assert (got.serial, got.granule, got.is_first, got.is_last, got.is_continued) == (7, 1234, True, False, False)
    assert got.pieces() == [(b"packet one", True), (b"two", True)]
    assert got.starts() == [got.body, got.body + 10]


def test_a_page_on_which_no_packet_ends_has_no_granule() -> None:
    (got,) = PageReader().feed(page([b"x" * 255], granule=NO_GRANULE, flags=LAST, is_last_complete=False))
    assert (got.granule, got.is_last) == (NO_GRANULE, True)


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 510, 2000])
def test_a_packet_of_any_size_survives(size: int) -> None:
    (got,) = PageReader().feed(page([b"a", b"x" * size, b"b"]))
    assert got.pieces() == [(b"a", True), (b"x" * size, True), (b"b", True)]


def test_a_packet_over_three_pages_is_put_together() -> None:
    reader = PageReader()
    first, second, third = reader.feed(
        page([b"whole", b"x" * 510], is_last_complete=False)
        + page([b"y" * 255], flags=CONTINUED, is_last_complete=False)
        + page([b"z" * 3, b"next"], flags=CONTINUED)
    )
    assert first.pieces() == [(b"whole", True), (b"x" * 510, False)]
    assert second.pieces() == [(b"y" * 255, False)]
    assert third.pieces() == [(b"zzz", True), (b"next", True)]


def test_no_packet_starts_where_the_rest_of_another_is() -> None:
    (got,) = PageReader().feed(page([b"rest", b"whole"], flags=CONTINUED))
    assert got.is_continued and got.pieces() == [(b"rest", True), (b"whole", True)]
    assert got.starts() == [got.body + 4]


@pytest.mark.parametrize("junk", [b"\r\n", b"fLaC", bytes(5000), b"ID3\x04" + b"cover" * 50_000, PAGE[100:], PAGE[:-1]])
def test_what_comes_before_the_first_page_is_skipped_and_counted(junk: bytes) -> None:
    reader = PageReader()
    assert [got.data for got in reader.feed(junk + PAGE)] == [PAGE]
    assert reader.skipped == len(junk)


@pytest.mark.parametrize("garbage", [b"x", b"OggS", b"Ogg", b"OggS\x01" + bytes(40), b"noise" * 1000])
def test_garbage_between_pages_is_skipped_and_counted(garbage: bytes) -> None:
    reader = PageReader()
    pages = reader.feed(PAGE + garbage + PAGE + PAGE)
    assert [got.data for got in pages] == [PAGE, PAGE, PAGE]
    assert reader.skipped == len(garbage)


@pytest.mark.parametrize("place", [5, 6, 14, 22, 30, -1])
def test_a_page_with_a_flipped_bit_is_dropped_alone(place: int) -> None:
    broken = bytearray(PAGE)
    broken[place] ^= 4
    reader = PageReader()
    assert [got.data for got in reader.feed(PAGE + bytes(broken) + PAGE)] == [PAGE, PAGE]
    assert reader.skipped == len(PAGE)


def test_the_largest_page_passes_and_may_even_be_lost() -> None:
    broken = bytearray(LARGEST)
    broken[1000] ^= 1
    reader = PageReader()
    assert [got.data for got in reader.feed(LARGEST + bytes(broken) + PAGE)] == [LARGEST, PAGE]
    assert reader.skipped == len(LARGEST) == 65307


def test_endless_garbage_is_an_error() -> None:
    reader = PageReader()
    reader.feed(PAGE + b"x" * MAX_GARBAGE)
    with pytest.raises(FormatError):
        reader.feed(b"x" * 100)


def test_garbage_counts_anew_after_each_good_page() -> None:
    reader = PageReader()
    for _ in range(3):
        assert len(reader.feed(b"x" * (MAX_GARBAGE // 2) + PAGE)) == 1


PIECES = st.sampled_from(
    [
        PAGE,
        page([]),
        page([b"x" * 600]),
        PAGE[:30],
        PAGE[:10],
        b"OggS",
        b"Og",
        PAGE[:-1] + b"?",
        b"OggS\0" + b"\xff" * 50,
    ]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=15), CUTS)
@settings(deadline=None, max_examples=100)
def test_any_bytes_cut_anywhere_give_the_same_pages(pieces: list[bytes], places: list[int]) -> None:
    data = PAGE + b"".join(pieces)
    whole = PageReader()
    expected = whole.feed(data)
    for parts in (every(data, 1), cut(data, places)):
        reader = PageReader()
        assert [got for part in parts for got in reader.feed(part)] == expected
        assert reader.skipped == whole.skipped


@given(st.binary(max_size=200), CUTS)
@settings(deadline=None, max_examples=100)
def test_noise_before_the_first_page_is_skipped_however_it_is_cut(noise: bytes, places: list[int]) -> None:
    data = noise.replace(b"OggS", b"") + PAGE
    reader = PageReader()
    assert [got for part in cut(data, places) for got in reader.feed(part)] == PageReader().feed(PAGE)


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 255 * 255 - 1, 255 * 255, 255 * 255 + 1, 200_000])
def test_written_pages_hold_their_packets_and_are_numbered(size: int) -> None:
    packets = [b"first", b"x" * size]
    written = PageReader().feed(b"".join(write_pages(packets, 9, 2**32 - 1)))
    assert [one.sequence for one in written] == [(2**32 - 1 + number) % 2**32 for number in range(len(written))]
    assert {one.serial for one in written} == {9}
    pieces = [piece for one in written for piece in one.pieces()]
    assert b"".join(data for data, _ in pieces) == b"".join(packets)
    assert [is_end for _, is_end in pieces] == [True, *[False] * (len(written) - 2), True]
    assert [one.granule for one in written] == [0, *[NO_GRANULE] * (len(written) - 2), 0]
    assert [one.is_continued for one in written] == [False, False, *[True] * (len(written) - 2)]
    assert all(
        crc(one.data[:22] + bytes(4) + one.data[26:]).to_bytes(4, "little") == one.data[22:26] for one in written
    )
