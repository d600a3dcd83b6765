"""Titles are made clean once, and what is clean stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.http.titles import LONGEST_BYTES, Song, choose, clean_song, cut

FAMILY, SCOTLAND = "👨‍👩‍👧‍👦", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    ("artist", "title", "text"),
    [
        ("", "Artist - ", "Artist"),
        ("", "Artist -", "Artist"),
        ("", " - Title", "Title"),
        ("", "- Title", "Title"),
        ("", "Artist – ", "Artist"),
        ("", " - ", ""),
        ("", "- ", ""),
        ("", "-", "-"),
        ("", "A - B", "A - B"),
        ("", "A - -", "A - -"),  # a song that is called so
        ("A", "-", "A - -"),
        ("", "Jay-Z", "Jay-Z"),
        ("", "-1", "-1"),
        ("", "Help-", "Help-"),
        ("A", "", "A"),
        ("A -", "\n", "A"),
        (" \r\n", "T", "T"),
    ],
)
def test_a_dash_stands_between_two(artist: str, title: str, text: str) -> None:
    assert clean_song(artist, title).text == text


@pytest.mark.parametrize(
    ("song", "artist", "title", "chosen"),
    [
        ("A - T", "A", "T", ("A", "T")),
        ("A - T", "", "T", ("", "A - T")),
        ("A - T", "A", "\n", ("", "A - T")),
        ("", "A", "T", ("A", "T")),
        (" ", "", "T", ("", "T")),
        ("", "", "", ("", "")),
    ],
)
def test_artist_and_title_apart_are_better_than_one_text(
    song: str, artist: str, title: str, chosen: tuple[str, str]
) -> None:
    assert choose(song, artist, title) == chosen


@pytest.mark.parametrize("whole", ["a", "ä", "日", "e\u0301", FAMILY, SCOTLAND, "👍🏽", "🇩🇪", "❤\ufe0f", "한"])
def test_a_text_is_cut_after_a_whole_character(whole: str) -> None:
    size = len(whole.encode())
    for most in range(3 * size, 4 * size):
        assert cut(whole * 5, most) == whole * 3


def test_marks_without_end_are_cut_too() -> None:
    assert 0 < len(cut("e" + "\u0301" * 5000, 1000).encode()) <= 1000


def test_a_long_artist_leaves_room_for_the_title() -> None:
    song = clean_song("日" * 3000, "T" * 9000)
    assert song.artist == "日" * 333 and len(song.text.encode()) == LONGEST_BYTES


def test_an_address_is_one_line_too() -> None:
    assert clean_song("", "T", "http://x/\r\n\x1b[2Ja") == Song("", "T", "http://x/ [2Ja")


_TEXT = st.text(st.one_of(st.characters(codec=None), st.sampled_from("- –\n\u200d\u202e'; ")), max_size=60)


@given(_TEXT, _TEXT, st.sampled_from([1, 100, 300]))
def test_cleaning_what_is_clean_changes_nothing(artist: str, title: str, times: int) -> None:
    song = clean_song(artist * times, title * times)
    assert clean_song(*song) == song
    assert len(song.text.encode()) <= LONGEST_BYTES and len(song.text.splitlines()) <= 1
