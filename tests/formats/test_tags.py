"""Artist and title come out of Vorbis comments as one bounded text each; broken comments have none."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.formats.tags import MAX_COMMENTS, MAX_TEXT, artist_and_title
from tests.formats.ogg_pages import comments


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["ARTIST=Björk", "TITLE=Jóga"], ("Björk", "Jóga")),
        (["title=lower case"], ("", "lower case")),
        (["Artist=One", "ALBUM=no", "artist=Two"], ("One, Two", "")),
        (["TITLE=a=b"], ("", "a=b")),
        (["TITLE= line ", "TITLE=\n", "TITLE=two"], ("", "line, two")),
        (["TITLE="], ("", "")),
        ([], ("", "")),
    ],
)
def test_artist_and_title_are_read(fields: list[str], expected: tuple[str, str]) -> None:
    assert artist_and_title(comments(*fields)) == expected


def test_of_many_comments_the_first_are_read() -> None:
    many = ["a=b"] * (MAX_COMMENTS - 1)
    assert artist_and_title(comments(*many, "TITLE=last", "TITLE=too late")) == ("", "last")
    assert artist_and_title(comments(*many, "x=y", "TITLE=too late")) == ("", "")


def test_long_text_is_cut() -> None:
    assert artist_and_title(comments("TITLE=" + "x" * 5000))[1] == "x" * MAX_TEXT


@pytest.mark.parametrize(
    "block", [b"", b"\0", struct.pack("<I", 2**32 - 1), comments("TITLE=x")[:-3], struct.pack("<II", 0, 2**32 - 1)]
)
def test_a_broken_block_is_no_error(block: bytes) -> None:
    assert all(isinstance(text, str) for text in artist_and_title(block))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_bounded_text_each(block: bytes) -> None:
    for text in artist_and_title(block):
        assert len(text) <= MAX_TEXT
