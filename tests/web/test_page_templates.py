"""What all pages have in common: texts made fit to be shown, and templates that are compiled once."""

import pytest

from pycast.web.page_templates import LONGEST_TEXT, clean, duration, template


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "0 min"), (59, "0 min"), (11_520, "3 h 12 min"), (180_000, "2 d 2 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_text_from_outside_is_one_line_of_limited_length() -> None:
    assert clean("a\n\tb\x00c") == clean(clean("a\n\tb\x00c"))
    assert "\n" not in clean("a\nb")
    assert clean("x" * 5000) == "x" * LONGEST_TEXT + "…"


def test_a_template_is_compiled_once() -> None:
    assert template("station.html") is template("station.html")
