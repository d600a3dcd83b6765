"""Finds the line of a configuration file on which a key is set, for the text of an error.

The parser of TOML does not say where it found a key, and a scanner of our own would be a second parser. So this asks
the parser: the first lines of a file, cut at the end of a statement, are a file too, and a key is set on the first line
with which it appears. Halving the lines finds it in some ten passes, which only a file with an error costs.

The one invariant: a line that is returned is the one on which the statement begins.
"""

from bisect import bisect_left
from typing import Any

import tomli

# A cut inside of a statement of many lines, such as a long list, is no file: the lines after it are tried one by one.
_MOST_PASSES = 200


def line_of(text: str, path: tuple[str | int, ...]) -> int | None:
    """Returns the number of the line that sets `path`, from 1 on. If that is not set, returns the line of the section.

    Returns None if the text has neither, or if it would take too long to find.
    """
    cuts = _Cuts(text)
    try:
        whole = cuts.first_from(len(cuts.lines))
        while path and not _has(whole, path):
            path = path[:-1]
        if not path:
            return None
        return 1 + bisect_left(cuts.lines, True, key=lambda number: _has(cuts.first_from(number), path))
    except _NotFound:
        return None


class _NotFound(Exception):
    """No answer."""


class _Cuts:
    """The beginnings of a text, each as the tables in it."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self.lines = range(1, len(self._lines) + 1)
        self._passes = 0

    def first_from(self, number: int) -> Any:
        """Returns the first `number` lines as tables, and the lines after them that belong to the same statement."""
        while number <= len(self._lines):
            self._passes += 1
            if self._passes > _MOST_PASSES:
                break
            try:
                return tomli.loads("\n".join(self._lines[:number]).removesuffix("\r"))
            except (ValueError, RecursionError):
                number += 1
        raise _NotFound


def _has(found: Any, path: tuple[str | int, ...]) -> bool:
    for part in path:
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
