"""Tests of pycast.http.media_types: what a file is by its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.media_types import media_type, more_types


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/a/song.mp3", "audio/mpeg"),
        ("/PAGE.HTML", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/x.tar.gz", "application/gzip"),
        ("/cover.jpg", "image/jpeg"),
        ("/list.m3u", "audio/x-mpegurl"),
        ("/nothing", "application/octet-stream"),
        ("/a.mp3/nothing", "application/octet-stream"),
        ("/x.unknown", "application/octet-stream"),
        ("/x.", "application/octet-stream"),
    ],
)
def test_the_extension_says_what_it_is(name: str, kind: str) -> None:
    assert media_type(name) == kind


def test_types_of_a_file_go_first_and_its_first_line_holds() -> None:
    more = more_types("# types\naudio/x-mine mp3 Mine # and more\naudio/other mp3\nwrong\nno-type x\nempty/type\n")
    assert media_type("/a.MP3", more) == "audio/x-mine" == media_type("/a.mine", more)
    assert media_type("/a.css", more) == "text/css; charset=utf-8"
    assert media_type("/a.x", more) == "application/octet-stream"


@given(st.text(max_size=80))
def test_no_text_makes_a_type_that_ends_its_line(text: str) -> None:
    for kind in more_types(f"a/b{text}c d\n{text}").values():
        assert kind.isprintable() and kind.isascii() and " " not in kind
