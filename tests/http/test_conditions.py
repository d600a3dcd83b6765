"""Tests of pycast.http.conditions: RFC 9110, 13, in its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.conditions import CopyState, outcome_of, takes_parts
from pycast.http.headers import Headers

TAG = '"abc-1"'
MODIFIED = 1763794805
SAME, BEFORE, AFTER = (
    "Sat, 22 Nov 2025 07:00:05 GMT",
    "Sat, 22 Nov 2025 07:00:04 GMT",
    "Sat, 22 Nov 2025 07:00:06 GMT",
)
SEND, NOT_MODIFIED, FAILED = CopyState.SEND, CopyState.NOT_MODIFIED, CopyState.FAILED


@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, SEND),
        ({"If-None-Match": TAG}, NOT_MODIFIED),
        ({"If-None-Match": f'"x", W/{TAG}'}, NOT_MODIFIED),
        ({"If-None-Match": "*"}, NOT_MODIFIED),
        ({"If-None-Match": '"x"'}, SEND),
        ({"If-None-Match": "nonsense"}, SEND),
        ({"If-Modified-Since": SAME}, NOT_MODIFIED),
        ({"If-Modified-Since": AFTER}, NOT_MODIFIED),
        ({"If-Modified-Since": BEFORE}, SEND),
        ({"If-Modified-Since": "Saturday, 22-Nov-25 07:00:05 GMT"}, NOT_MODIFIED),
        ({"If-Modified-Since": "Sat Nov 22 07:00:05 2025"}, NOT_MODIFIED),
        ({"If-Modified-Since": "nonsense"}, SEND),
        ({"If-None-Match": '"x"', "If-Modified-Since": AFTER}, SEND),
        ({"If-Match": TAG}, SEND),
        ({"If-Match": "*"}, SEND),
        ({"If-Match": f"W/{TAG}"}, FAILED),
        ({"If-Match": '"x"'}, FAILED),
        ({"If-Unmodified-Since": SAME}, SEND),
        ({"If-Unmodified-Since": BEFORE}, FAILED),
        ({"If-Match": TAG, "If-Unmodified-Since": BEFORE}, SEND),
        ({"If-Match": TAG, "If-None-Match": TAG}, NOT_MODIFIED),
    ],
)
def test_conditions_are_looked_at_in_their_order(headers: dict[str, str], outcome: CopyState) -> None:
    assert outcome_of(Headers(headers.items()), TAG, MODIFIED) is outcome


@pytest.mark.parametrize(
    ("value", "is_so"),
    [
        (None, True),
        (TAG, True),
        (f"W/{TAG}", False),
        ('"x"', False),
        (SAME, True),
        (BEFORE, False),
        (AFTER, False),
        ("x", False),
    ],
)
def test_parts_are_sent_of_the_same_file_only(value: str | None, is_so: bool) -> None:
    headers = Headers([("If-Range", value)] if value else [])
    assert takes_parts(headers, TAG, MODIFIED) == is_so


@given(st.sampled_from(["If-Match", "If-Unmodified-Since", "If-None-Match", "If-Modified-Since"]), st.text(max_size=40))
def test_any_value_gives_an_outcome(name: str, value: str) -> None:
    headers = Headers([(name, value or "x"), ("If-Range", value or "x")])
    assert outcome_of(headers, TAG, MODIFIED) in CopyState
    takes_parts(headers, TAG, MODIFIED)
