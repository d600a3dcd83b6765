"""Tests of pycast.config.units: what people write for sizes and times."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.config.units import MAX_BYTES, Size, format_bytes, parse_bytes, parse_file_size, parse_size, parse_time

ANYTHING = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.binary(), st.lists(st.none()))
SPOKEN = st.from_regex(r"\s?[0-9]{0,20}(\.[0-9]{0,12})?\s?[a-zA-Z]{0,4}\s?", fullmatch=True)


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (65536, 65536),
        (0, 0),
        ("65536", 65536),
        ("64k", 65536),
        ("64K", 65536),
        ("64kB", 65536),
        ("64 KiB", 65536),
        ("1.5m", 1572864),
        ("1GiB", MAX_BYTES),
        (" 10b ", 10),
    ],
)
def test_sizes_are_bytes_or_multiples_of_1024(written: object, size: int) -> None:
    assert parse_bytes(written) == size
    assert parse_size(written) == Size(bytes=size)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (10, 10.0),
        (0.5, 0.5),
        ("10", 10.0),
        ("500ms", 0.5),
        ("30s", 30.0),
        ("2m", 120.0),
        ("1.5 h", 5400.0),
        ("1d", 86400.0),
    ],
)
def test_times_are_seconds_or_have_a_unit(written: object, seconds: float) -> None:
    assert parse_time(written) == seconds


@pytest.mark.parametrize(("written", "seconds"), [("4s", 4.0), ("500ms", 0.5), ("2min", 120.0)])
def test_size_may_be_a_time_of_audio(written: str, seconds: float) -> None:
    assert parse_size(written) == Size(seconds=seconds)


@pytest.mark.parametrize("written", ["", "k", "-1", "1e3", "64x", "1 2", "٣k", "2g", -1, True, None, float("nan"), []])
def test_what_is_no_size_is_refused_with_what_was_expected(written: object) -> None:
    with pytest.raises(ValueError, match=r"^expected bytes"):
        parse_size(written)


@pytest.mark.parametrize("written", [5_000_000_000, "5000000000"])
def test_file_may_be_larger_than_memory_also_as_a_plain_number(written: object) -> None:
    assert parse_file_size(written) == 5_000_000_000


@pytest.mark.parametrize("written", ["", "soon", "-1s", -0.1, True, None, float("inf"), "1000000d", 10**17, 10**400])
def test_what_is_no_time_is_refused_with_what_was_expected(written: object) -> None:
    with pytest.raises(ValueError, match=r"^expected seconds"):
        parse_time(written)


def test_size_in_bytes_depends_on_the_rate_only_if_it_is_a_time() -> None:
    assert Size(bytes=100).in_bytes(16000) == 100
    assert Size(seconds=2.0).in_bytes(16000) == 32000


@settings(deadline=None, max_examples=200)
@given(written=ANYTHING | SPOKEN)
def test_any_value_gives_a_finite_amount_or_value_error(written: object) -> None:
    for parse in (parse_bytes, parse_size, parse_time):
        try:
            found = parse(written)
        except ValueError as error:
            assert str(error).startswith("expected")
        else:
            amount = (found.bytes or found.seconds or 0) if isinstance(found, Size) else found
            assert isinstance(amount, int | float)
            assert 0 <= amount < 1e15


@settings(deadline=None, max_examples=100)
@given(size=st.integers(0, MAX_BYTES))
def test_formatted_size_reads_back(size: int) -> None:
    assert parse_bytes(format_bytes(size)) == size
    assert parse_size(str(Size(bytes=size))) == Size(bytes=size)
