"""What a client takes, and what it has already, is understood in all its forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.headers import Headers
from pycast.http.validators import has_copy, takes_gzip
from tests.http.cuts import QUICK


@pytest.mark.parametrize(
    ("accepted", "is_taken"),
    [
        ("", False),
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip ; Q=0.001", True),
        ("gzip;q=0, *", False),
        ("deflate", False),
        ("identity", False),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip", True),
        ("gzip;q=2", False),
        ("gzip;q=x", False),
        ("gzip;level=9", True),
        ("gzipped", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(accepted: str, is_taken: bool) -> None:
    assert takes_gzip(Headers([("Accept-Encoding", accepted)] if accepted else [])) is is_taken


@pytest.mark.parametrize(
    ("given", "has"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ('"ab"', False),
        ('"b, "a"', False),
        ("", False),
    ],
)
def test_a_copy_is_known_by_its_tag(given: str, has: bool) -> None:
    assert has_copy(Headers([("If-None-Match", given)] if given else []), '"a"') is has


@QUICK
@given(st.text(max_size=60))
def test_any_text_is_understood_somehow(text: str) -> None:
    takes_gzip(Headers([("Accept-Encoding", text)]))
    has_copy(Headers([("If-None-Match", text)]), '"a"')
