"""A mount's picture: rings of a radio wave in colours of its own, made from its name.

Streams have no cover art, and the page must not load anything. The same name always gives the same rings. The colours
are chosen by the name too, but the next ones are taken if another mount on the page has them. This file is pure: the
template draws the values. Invariant: `Palette.ink` has enough contrast with the light page and with white, and
`Palette.glow` with the dark page (the test measures it).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours of one picture, as `#rrggbb`. `deep`, `mid` and `glow` are painted; `ink` is the accent colour of the
    light page, `glow` that of the dark one.
    """

    deep: str
    mid: str
    glow: str
    ink: str


@dataclass(frozen=True, slots=True)
class Circle:
    """One circle around the picture's focus; lengths are in units of a picture of 200 by 200."""

    radius: float
    width: float
    opacity: float


@dataclass(frozen=True, slots=True)
class Cover:
    """A picture as the template draws it: a focus at `x`, `y`, a disc of radius `sun` there, and rings around it."""

    palette: Palette
    x: int
    y: int
    sun: int
    rings: tuple[Circle, ...]


PALETTES = (
    Palette("#6b2417", "#cf6238", "#f6bf8a", "#a63f1b"),  # terracotta
    Palette("#12264a", "#2f62a6", "#a3caee", "#23538f"),  # ink blue
    Palette("#0f332c", "#2d7f66", "#aee0bd", "#1d6b53"),  # pine
    Palette("#391a40", "#8d4790", "#eab8de", "#7c3480"),  # plum
    Palette("#4d3106", "#bf8216", "#f6da8c", "#825504"),  # ochre
    Palette("#0a353d", "#1f8396", "#9fdedd", "#0f6878"),  # lagoon
    Palette("#56142d", "#c24565", "#f6b9bb", "#a62c50"),  # rose
    Palette("#221d55", "#5a54bf", "#c1bdf6", "#4a43ab"),  # indigo
    Palette("#2b3210", "#76852b", "#dbe29c", "#566314"),  # olive
    Palette("#1d2831", "#557383", "#c4d6da", "#3f5e6e"),  # slate
)

# Pictures that are kept.
MOST_KEPT = 1000

_RINGS = 9
_WIDTHS = (1.0, 1.5, 2.5, 4.0, 6.5, 9.0)
_FOCI = (40, 60, 78, 100, 122, 140, 160)


def covers(names: Iterable[str]) -> dict[str, Cover]:
    """Returns the pictures of all mounts of a page, by name. No palette is used twice before all are used."""
    taken: set[int] = set()
    result = {}
    for name in names:
        digest = blake2b(name.encode("utf-8", "replace"), digest_size=16).digest()
        choice = digest[0] % len(PALETTES)
        if len(taken) == len(PALETTES):
            taken.clear()
        while choice in taken:
            choice = (choice + 1) % len(PALETTES)
        taken.add(choice)
        result[name] = _draw(digest, PALETTES[choice])
    return result


@lru_cache(MOST_KEPT)
def _draw(digest: bytes, palette: Palette) -> Cover:
    sun = 15 + digest[3] % 16
    rings = []
    radius = float(sun)
    for step in digest[4 : 4 + _RINGS]:
        radius += 10 + step % 13
        rings.append(Circle(radius, _WIDTHS[step % len(_WIDTHS)], round(max(0.16, 0.95 - radius / 210), 2)))
    return Cover(palette, _FOCI[digest[1] % len(_FOCI)], _FOCI[digest[2] % len(_FOCI)], sun, tuple(rings))
