"""Headers by themselves; how they are read is in test_request.py."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.headers import Headers, basic_credentials
from tests.http.cuts import QUICK


def test_names_are_found_in_any_case() -> None:
    headers = Headers([("Content-Type", "audio/mpeg")])
    assert headers.get("CONTENT-TYPE") == headers.get("content-type") == "audio/mpeg"
    assert "Content-type" in headers and "content" not in headers and 5 not in headers


def test_adding_leaves_the_original_alone() -> None:
    headers = Headers([("a", "b")])
    assert list(headers.adding("C", "d")) == [("a", "b"), ("c", "d")]
    assert list(headers) == [("a", "b")]


def credentials(value: str) -> tuple[str, str] | None:
    return basic_credentials(Headers([("Authorization", value)]))


def basic(raw: bytes) -> str:
    return b64encode(raw).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Basic c291cmNlOmhhY2ttZQ==", ("source", "hackme")),
        ("basic c291cmNlOmhhY2ttZQ==", ("source", "hackme")),
        ("BASIC   c291cmNlOmhhY2ttZQ==  ", ("source", "hackme")),
        ("Basic c291cmNlOmhhY2ttZQ", ("source", "hackme")),
        (f"Basic {basic(b'relay:pass' + bytes(2))}", ("relay", "pass")),
        (f"Basic {basic(b'a:b:c')}", ("a", "b:c")),
        (f"Basic {basic(b':')}", ("", "")),
        (f"Basic {basic('ü:ß'.encode())}", ("ü", "ß")),
        (f"Basic {basic('ü:ß'.encode('latin-1'))}", ("ü", "ß")),
    ],
)
def test_credentials_are_read(value: str, expected: tuple[str, str]) -> None:
    assert credentials(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "Bearer x",
        "Basic",
        "Basic !",
        "Basic ä",
        "Basic c",
        f"Basic {basic(b'no colon')}",
        "Digest username=x",
        "Basic c2 9u",
    ],
)
def test_what_is_no_basic_authorization_gives_none(value: str) -> None:
    assert credentials(value) is None


def test_no_authorization_gives_none() -> None:
    assert basic_credentials(Headers()) is None


@QUICK
@given(st.text(max_size=60))
def test_any_text_gives_credentials_or_none(value: str) -> None:
    for text in (value, f"Basic {value}"):
        found = credentials(text)
        assert found is None or len(found) == 2


@QUICK
@given(st.text(alphabet=st.characters(exclude_characters=":\0", exclude_categories=["Cs"])), st.text(max_size=20))
def test_utf8_credentials_survive(user: str, password: str) -> None:
    raw = f"{user}:{password}".encode(errors="ignore").rstrip(b"\0")
    assert credentials(f"Basic {basic(raw)}") == tuple(raw.decode().split(":", 1))
