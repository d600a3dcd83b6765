"""Tests of pycast.http.ranges: the parts of RFC 9110, 14, and no header asks for more than there is."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pycast.http.ranges import MOST_PARTS, Part, Unsatisfiable, last_line, part_head, parts_of


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 100)]),
        ("bytes=10-19", [(10, 10)]),
        ("bytes=90-200", [(90, 10)]),
        ("bytes=90-18446744073709551615", [(90, 10)]),
        (f"bytes=-{'9' * 5000}", [(0, 100)]),
        ("bytes=-10", [(90, 10)]),
        ("bytes=-200", [(0, 100)]),
        ("Bytes = 1-2", [(1, 2)]),
        ("bytes=0-9, 20-29", [(0, 10), (20, 10)]),
        ("bytes=0-9,,-5", [(0, 10), (95, 5)]),
        ("bytes= 0 - 9 ,\t- 5\t", [(0, 10), (95, 5)]),
        ("bytes=0-9,500-600", [(0, 10)]),
        # ignored
        *((text, []) for text in ("", "bytes", "bytes=", "bytes=,", "items=0-1", "bytes=a-b", "bytes=5", "bytes=5-4")),
        *((text, []) for text in ("bytes=--5", "bytes=0x1-2", "bytes=0-1;2", f"bytes={'9' * 30}-", "bytes=0-9,x")),
        ("bytes=0-,0-", []),
        ("bytes=" + ",".join(["0-0"] * (MOST_PARTS + 1)), []),
    ],
)
def test_a_range_is_the_parts_that_it_asks_for(header: str, parts: list[tuple[int, int]]) -> None:
    assert parts_of(header, 100) == tuple(Part(*one) for one in parts)


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=200-300,400-"])
def test_parts_that_all_lie_behind_the_end_cannot_be_satisfied(header: str) -> None:
    assert parts_of(header, 100) == Unsatisfiable()


def test_an_empty_file_has_no_parts() -> None:
    assert parts_of("bytes=0-", 0) == parts_of("bytes=-5", 0) == Unsatisfiable()


def test_each_of_several_parts_has_its_head() -> None:
    assert part_head(Part(10, 5), 100, "audio/mpeg", "xyz") == (
        b"\r\n--xyz\r\nContent-Type: audio/mpeg\r\nContent-Range: bytes 10-14/100\r\n\r\n"
    )
    assert last_line("xyz") == b"\r\n--xyz--\r\n"


@pytest.mark.parametrize("blank", " \t")
def test_no_header_takes_long_to_read(blank: str) -> None:
    before = time.thread_time()
    assert parts_of(f"bytes={blank * 16_000}x", 100) == parts_of(f"bytes=1{blank * 16_000}x", 100) == ()
    assert time.thread_time() - before < 0.05


numbers = st.one_of(st.just(""), st.integers(0, 300).map(str))
some = st.lists(st.tuples(numbers, numbers).map("-".join), min_size=1, max_size=20).map(",".join)


@given(st.one_of(st.text(max_size=30), some.map("bytes={}".format)), st.integers(0, 200))
@example("bytes=0-0,0-0", 1)
def test_no_header_asks_for_more_than_there_is(header: str, size: int) -> None:
    found = parts_of(header, size)
    if isinstance(found, Unsatisfiable):
        return
    assert len(found) <= MOST_PARTS and sum(one.length for one in found) <= size
    assert all(0 <= one.start < one.start + one.length <= size for one in found)
