"""The ring gives back what was appended, by absolute offset, until it is overwritten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.stream.ring import PAGE, Ring


def test_capacity_is_whole_pages() -> None:
    assert Ring(1).capacity == PAGE
    assert Ring(PAGE + 1).capacity == 2 * PAGE


@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=40))
def test_every_offset_it_still_holds_reads_as_it_was_written(pieces: list[bytes]) -> None:
    ring, written = Ring(PAGE), b""
    for piece in pieces:
        ring.append(piece)
        written += piece
        assert ring.head == len(written)
        assert ring.oldest == max(0, len(written) - ring.capacity)
        assert ring.read(ring.oldest, ring.head) == written[ring.oldest :]
        middle = (ring.oldest + ring.head) // 2
        assert ring.read(middle, ring.head) == written[middle:]


def test_slices_are_views_of_its_own_memory() -> None:
    ring = Ring(PAGE)
    ring.append(b"a" * (PAGE - 10))
    ring.append(b"b" * 20)
    first, second = ring.slices(PAGE - 20, PAGE + 10)
    assert (bytes(first), bytes(second)) == (b"a" * 10 + b"b" * 10, b"b" * 10)
    assert ring.slices(5000, 5000) == [] if ring.head >= 5000 else True
    assert ring.slices(ring.head, ring.head) == []


def test_more_than_its_capacity_at_once_leaves_the_end() -> None:
    ring = Ring(PAGE)
    data = bytes(range(256)) * 64
    ring.append(data)
    assert ring.head == len(data)
    assert ring.read(ring.oldest, ring.head) == data[-PAGE:]


def test_what_is_gone_cannot_be_asked_for() -> None:
    ring = Ring(PAGE)
    ring.append(b"x" * (PAGE + 1))
    with pytest.raises(AssertionError):
        ring.slices(0, 10)
    with pytest.raises(AssertionError):
        ring.slices(10, ring.head + 1)


@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=10), st.integers(1, 5 * PAGE))
def test_growing_keeps_bytes_and_offsets(pieces: list[bytes], capacity: int) -> None:
    ring, written = Ring(PAGE), b"".join(pieces)
    for piece in pieces:
        ring.append(piece)
    oldest = ring.oldest
    ring.grow(capacity)
    assert (ring.oldest, ring.head) == (oldest, len(written))
    assert ring.read(ring.oldest, ring.head) == written[oldest:]
    ring.append(b"more")
    assert ring.read(ring.head - 4, ring.head) == b"more"


def test_after_a_restart_it_holds_nothing_and_counts_from_there() -> None:
    ring = Ring(PAGE)
    ring.append(b"old" * 100)
    ring.restart(1_000_001)
    assert (ring.oldest, ring.head) == (1_000_001, 1_000_001)
    with pytest.raises(AssertionError):
        ring.slices(0, 10)
    ring.append(bytes(range(256)) * 20)
    assert ring.head == 1_000_001 + 256 * 20
    assert ring.read(ring.oldest, ring.head) == (bytes(range(256)) * 20)[-PAGE:]


def test_a_ring_that_was_freed_has_no_memory_and_keeps_its_place() -> None:
    ring = Ring(1 << 20)
    ring.append(b"x" * 100)
    slices = ring.slices(0, 100)
    ring.free()
    assert (ring.head, ring.oldest, ring.capacity) == (100, 100, 1)
    assert ring.read(100, 100) == b""
    assert slices[0] == b"x" * 100  # what is in use stays
    ring.append(b"late")
    assert (ring.head, ring.read(ring.oldest, ring.head)) == (104, b"e")
