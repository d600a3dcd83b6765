"""Pages come out whole, intact and in order; everything else is dropped, counted and bounded."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.ogg_page import MAX_GARBAGE, PageReader, checksum
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
    assert got.packets([]) == ([b"packet one", b"two"], [])
    assert got.starts() == [got.body, got.body + 10]


def test_a_page_on_which_no_packet_ends_has_no_granule() -> None:
    (got,) = PageReader().feed(page([b"x" * 255], granule=NO_GRANULE, flags=LAST, is_last_complete=False))
    assert (got.granule, got.is_last) == (NO_GRANULE, True)


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 510, 2000])
def test_a_packet_of_any_size_survives(size: int) -> None:
    (got,) = PageReader().feed(page([b"a", b"x" * size, b"b"]))
    assert got.packets([]) == ([b"a", b"x" * size, b"b"], [])


def test_a_packet_over_three_pages_is_put_together() -> None:
    reader = PageReader()
    first, second, third = reader.feed(
        page([b"whole", b"x" * 510], is_last_complete=False)
        + page([b"y" * 255], flags=CONTINUED, is_last_complete=False)
        + page([b"z" * 3, b"next"], flags=CONTINUED)
    )
    packets, partial = first.packets([])
    assert packets == [b"whole"]
    packets, partial = second.packets(partial)
    assert packets == []
    assert third.packets(partial) == ([b"x" * 510 + b"y" * 255 + b"zzz", b"next"], [])


def test_the_rest_of_a_packet_that_was_never_seen_to_begin_is_dropped() -> None:
    (got,) = PageReader().feed(page([b"rest", b"whole"], flags=CONTINUED))
    assert got.packets([]) == ([b"whole"], [])
    assert got.starts() == [got.body + 4]


def test_a_packet_that_is_not_continued_is_dropped() -> None:
    (got,) = PageReader().feed(page([b"whole"]))
    assert got.packets([b"begun"]) == ([b"whole"], [])


@pytest.mark.parametrize("data", [b"fLaC", b"\0\0\0\0", b"Ogg!", b"ID3\x04"])
def test_a_stream_that_does_not_begin_with_a_page_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        PageReader().feed(data)


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
    for _ in range(5):
        assert len(reader.feed(b"x" * 40_000 + PAGE if reader.skipped else PAGE + b"x" * 40_000 + PAGE)) >= 1


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
def test_noise_is_refused_as_soon_as_it_can_be_recognised(data: bytes, places: list[int]) -> None:
    reader = PageReader()
    refused = False
    for part in cut(data, places):
        try:
            reader.feed(part)
        except FormatError:
            refused = True
            break
    assert refused == (len(data) >= 4 and not data.startswith(b"OggS"))
