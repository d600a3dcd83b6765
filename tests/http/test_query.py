"""Parameters of queries and forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.query import Pairs, parse_form
from tests.http.cuts import QUICK


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"", {}),
        (b"a=b", {"a": b"b"}),
        (b"a=b&a=c", {"a": b"c"}),
        (b"song=Artist+-+Title%21", {"song": b"Artist - Title!"}),
        (b"a=b=c&&d&=e", {"a": b"b=c", "d": b""}),
        (b"song=100%&x=%zz%4", {"song": b"100%", "x": b"%zz%4"}),
        (b"t=f%fcr&u=%C3%BC", {"t": b"f\xfcr", "u": b"\xc3\xbc"}),
        (b"na%20me=x", {"na me": b"x"}),
    ],
)
def test_parameters_are_split_and_decoded(raw: bytes, pairs: dict[str, bytes]) -> None:
    assert dict(parse_form(raw)) == pairs


def test_text_is_utf8_or_else_latin1() -> None:
    pairs = parse_form(b"t=f%fcr&u=f%C3%BCr")
    assert (pairs.text("t"), pairs.text("u"), pairs.text("v"), pairs.text("v", "w")) == ("für", "für", "", "w")


def test_pairs_are_a_mapping() -> None:
    pairs = Pairs({"a": b"b"})
    assert (len(pairs), list(pairs), pairs["a"], repr(pairs)) == (1, ["a"], b"b", "Pairs(a)")


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_are_parameters(raw: bytes) -> None:
    pairs = parse_form(raw)
    assert sum(len(value) for value in pairs.values()) <= len(raw)
