"""Headers by themselves; how they are read is in test_request.py."""

from pycast.http.headers import Headers


def test_names_are_found_in_any_case() -> None:
    headers = Headers([("Content-Type", "audio/mpeg")])
    assert headers.get("CONTENT-TYPE") == headers.get("content-type") == "audio/mpeg"
    assert "Content-type" in headers and "content" not in headers and 5 not in headers


def test_adding_leaves_the_original_alone() -> None:
    headers = Headers([("a", "b")])
    assert list(headers.adding("C", "d")) == [("a", "b"), ("c", "d")]
    assert list(headers) == [("a", "b")]
