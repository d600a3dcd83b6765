"""Tests of pycast.web.cover: each mount has a picture of its own, with readable colours."""

import re
from pathlib import Path

import pytest

from pycast.web import pages
from pycast.web.cover import PALETTES, Palette, covers


def test_same_name_has_same_rings_and_neighbours_have_different_colours() -> None:
    names = [f"/{number}" for number in range(len(PALETTES))]
    pictures = covers(names)
    assert len({picture.palette for picture in pictures.values()}) == len(PALETTES)
    assert covers(["/3"])["/3"].rings == pictures["/3"].rings


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("palette", PALETTES)
def test_every_palette_is_readable_by_day_and_by_night(palette: Palette) -> None:
    style = (Path(pages.__file__).parent / "templates" / "style.css").read_text("utf-8")
    day, night = re.findall(r"--paper: (#\w+); --sheet: (#\w+);", style)
    assert min(contrast(palette.ink, ground) for ground in (*day, "#ffffff")) >= 4.5
    assert min(contrast(palette.glow, ground) for ground in night) >= 4.5


def test_a_page_of_more_mounts_than_palettes_has_a_picture_for_each() -> None:
    names = [f"/{number}" for number in range(3 * len(PALETTES))]
    assert list(covers(names)) == names


@pytest.mark.parametrize("name", ["", "/", "/\udcff", "/ü" * 500])
def test_every_name_has_a_picture_that_fits(name: str) -> None:
    picture = covers([name])[name]
    assert all(0 < value < 200 for value in (picture.x, picture.y, picture.sun))
    assert all(ring.radius > picture.sun and 0 < ring.opacity <= 1 for ring in picture.rings)
