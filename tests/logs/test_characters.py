"""What ends lines, commands terminals or hides text does not get into a log; what people write does."""

import unicodedata

import pytest

from pycast.logs.characters import blanked, escaped, escaped_lines

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
