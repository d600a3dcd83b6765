"""Titles made clean, whatever they came by: an admin's request, comments in a stream, blocks in its audio, a mirror.

A song is cleaned once, when it reaches its mount (`stream/mount.py`). Then artist and title are one line each; neither
has the dash that stood between them before one of the two was found missing ("Artist - "), and both together fit into
an ICY block. What is too long is cut after a whole character as people see it: letters keep their accents, emojis
their parts. Cleaning what is clean changes nothing, so all nodes of a cluster show the same.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pycast.characters import clean_line
from pycast.patterns import pattern

LONGEST_BYTES = 255 * 16 - 1 - len("StreamTitle='';")
"""Bytes of UTF-8 of artist, dash and title: what fits into the longest ICY block."""

_LONGEST_ARTIST = 1000
_DASH = " - "

# Looked at, not more: what is longer is no title, and blanks in place of control characters may shorten it.
_MOST_CHARACTERS = 4 * LONGEST_BYTES

# Encoders that have only one of the two send a template with a gap. A song may be called "-", also behind its artist.
_BOTH_MISSING = pattern(r"\s+[-–—]\s*|[-–—]\s+")
_DASH_BEFORE = pattern(r"(?:[-–—] +)+")
_DASH_BEHIND = pattern(r"(?<! [-–—]) +[-–—]$")

# A letter with more marks than this is no letter of any script.
_MOST_PARTS = 32


class Song(NamedTuple):
    """What plays; what is not known is empty."""

    artist: str
    title: str
    url: str

    @property
    def text(self) -> str:
        """Artist and title in one, as players show them."""
        return _DASH.join(filter(None, (self.artist, self.title)))


def clean_song(artist: str, title: str, url: str = "") -> Song:
    """Returns the song as mounts keep it."""
    artist, title = artist[:_MOST_CHARACTERS], title[:_MOST_CHARACTERS]
    shown, rest = clean_line(artist), clean_line(title)
    if not shown or not rest:
        shown, rest = _without_dash(artist), _without_dash(title)
    shown = cut(shown, LONGEST_BYTES if not rest else _LONGEST_ARTIST)
    left = LONGEST_BYTES - len(f"{shown}{_DASH}".encode()) if shown else LONGEST_BYTES
    return Song(shown, cut(rest, left), clean_line(url[:_MOST_CHARACTERS]))


def choose(song: str, artist: str, title: str) -> tuple[str, str]:
    """Returns artist and title of a request that may have them apart, in one (`song`), or both ways. Apart is better,
    if neither is missing.
    """
    if clean_line(song) and not (clean_line(artist) and clean_line(title)):
        return "", song
    return artist, title


def cut(text: str, most: int, size: Callable[[str], int] = lambda text: len(text.encode())) -> str:
    """Returns as many whole characters of `text` as have a `size` (bytes of UTF-8) of at most `most`."""
    if size(text) <= most:
        return text
    kept: list[str] = []
    for part in _characters(text):
        most -= size(part)
        if most < 0:
            break
        kept.append(part)
    return "".join(kept).rstrip()


def _without_dash(text: str) -> str:
    if _BOTH_MISSING.fullmatch(text):
        return ""
    line = clean_line(text)
    return _DASH_BEHIND.sub("", _DASH_BEFORE.sub("", line, count=1) if _DASH_BEFORE.match(line) else line)


def _characters(text: str) -> Iterator[str]:
    """Yields `text` in characters as people see them, nearly: a letter with its marks, an emoji with its parts."""
    start = flags = 0
    for at in range(1, len(text)):
        flags = flags + 1 if _is_flag(text[at - 1]) else 0
        if at - start >= _MOST_PARTS or not (_goes_on(text[at - 1], text[at]) or (flags % 2 and _is_flag(text[at]))):
            yield text[start:at]
            start = at
    yield text[start:]


def _is_flag(letter: str) -> bool:
    """Whether it is one of the two letters that make a country's flag."""
    return "\U0001f1e6" <= letter <= "\U0001f1ff"


def _goes_on(before: str, letter: str) -> bool:
    # Imported here: it is rarely needed, and has tables of a megabyte.
    from unicodedata import category

    return (
        before == "\u200d"
        or letter in "\u200c\u200d"
        or category(letter)[0] == "M"
        or "\U0001f3fb" <= letter <= "\U0001f3ff"  # colours of skin
        or "\U000e0020" <= letter <= "\U000e007f"  # letters of a flag of a part of a country
        or "\u1160" <= letter <= "\u11ff"  # the second and third letter of a Korean syllable
    )
