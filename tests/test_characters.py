"""What ends lines, commands terminals or hides text does not get into a log; what people write does."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.characters import blanked, clean_line, escaped, escaped_lines

UNSAFE = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\ufeff\U000e0041"


@pytest.mark.parametrize("character", UNSAFE + "\n\r\t")
def test_each_is_escaped_or_blanked(character: str) -> None:
    assert escaped(f"a{character}b").isascii() and escaped(f"a{character}b").startswith("a\\")
    assert blanked(f"a{character}b") == "a b"
    assert len(escaped(f"a{character}b").splitlines()) == 1


def test_whatever_python_takes_for_a_line_end_or_unicode_for_a_control_is_escaped() -> None:
    ends = [chr(code) for code in range(0x110000) if len(f"a{chr(code)}b".splitlines()) > 1]
    controls = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Zl", "Zp")]
    bidi = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    ]
    assert [one for one in (*ends, *controls, *bidi) if escaped(one) == one] == []


def test_an_escape_tells_which_it_was() -> None:
    assert escaped("\n\r\t\x1b[2J\u2028\U000e0041") == r"\n\r\t\x1b[2J\u2028\U000e0041"


def test_the_lines_of_a_traceback_stay_lines() -> None:
    assert escaped_lines("a\nb\r\u2028c") == "a\nb\\r\\u2028c"


@pytest.mark.parametrize("text", ["Björk – Jóga", "שלום", "می‌خواهم", "👩‍🚀 👍🏽", "日本語", "a\u00a0b\u00ad"])
def test_what_people_write_stays(text: str) -> None:
    assert escaped(text) == blanked(text) == text


@pytest.mark.parametrize("character", UNSAFE + "\n\r\t")
def test_a_clean_line_has_none_and_no_blanks_in_their_place_at_its_ends(character: str) -> None:
    assert clean_line(f"{character} a {character}\n b{character}") == "a b"


@pytest.mark.parametrize(
    "text", ["Björk – Jóga", "می‌خواهم", "👩‍🚀 👍🏽", "日本語", "a  b", "\U0001f3f4\U000e0067\U000e0062\U000e007f", ""]
)
def test_a_clean_line_stays(text: str) -> None:
    assert clean_line(text) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [("\u200da\u200c\u200d\u200cb \u200d", "a\u200cb"), ("a\ud83db\uffff", "a\ufffdb\ufffd"), ("\u200d", "")],
)
def test_joiners_that_join_nothing_and_halves_of_characters_do_not(text: str, line: str) -> None:
    assert clean_line(text) == line


@given(st.text(st.characters(codec=None), max_size=40))
def test_a_clean_line_is_text_and_cleaning_it_changes_nothing(text: str) -> None:
    line = clean_line(text)
    assert clean_line(line) == line and line.encode() is not None and len(line.splitlines()) <= 1
