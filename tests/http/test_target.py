"""Targets by themselves; what a request does with them is in test_request.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import BadPath
from pycast.http.target import decode_path, parse_target
from tests.http.cuts import QUICK


def test_query_is_cut_from_the_path_before_it_is_decoded() -> None:
    path, query = parse_target("GET", b"/a%3fb?c=d%26e#f?g")
    assert path == "/a?b"
    assert dict(query) == {"c": b"d&e"}


@pytest.mark.parametrize("method", ["SOURCE", "PUT"])
def test_a_source_gets_the_answer_that_its_mount_needs_a_slash(method: str) -> None:
    with pytest.raises(BadPath, match="live") as caught:
        parse_target(method, b"live.mp3")
    assert caught.value.public == "source mountpoint not starting with /"


@QUICK
@given(st.binary(max_size=60))
def test_any_path_is_decoded_or_refused(raw: bytes) -> None:
    try:
        path = decode_path(b"/" + raw)
    except BadPath:
        return
    assert "\0" not in path and "//" not in path and "/../" not in path
