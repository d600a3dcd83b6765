"""Turns the tables of a file into a `Config`: each value goes through the check of its key, and all errors are found.

Checks that need two keys at once are in rules.py, the words for errors in problems.py. The one invariant: a `Config`
that came without problems has only values that its keys accept.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pycast.config.problems import Path, Problem, unknown_key
from pycast.config.schema import Config
from pycast.config.section import Key, Section

S = TypeVar("S", bound=Section)


def parse(data: Mapping[str, Any]) -> tuple[Config, list[Problem]]:
    """Returns the configuration in `data`, without the wrong values, and the problems in the order of `data`."""
    reader = _Reader()
    return reader.section(Config, data, ()), reader.problems


class _Reader:
    """One pass through the tables, and the problems found in it."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def section(self, kind: type[S], table: object, path: Path) -> S:
        """Returns the section that `table` describes."""
        if not isinstance(table, Mapping):
            self._wrong(path, table, "expected a table of keys")
            return kind()
        values = {}
        for name, value in table.items():
            key, place = kind.KEYS.get(name), (*path, name)
            if key is None:
                self._wrong(place, value, unknown_key(place))
                continue
            try:
                values[name] = self._value(key, value, place)
            except ValueError as error:
                self._wrong(place, value, str(error))
            if key.secret and value and table.get(key.secret):
                self._wrong(place, value, f"expected either {key.secret} or {name}, not both: remove one of them")
        return kind(**values)

    def _value(self, key: Key, value: object, path: Path) -> object:
        if key.section is None:
            return key.read(value)
        if not key.is_array:
            return self.section(key.section, value, path)
        if not isinstance(value, list | tuple):
            raise ValueError("expected an array of tables: write the section with double brackets")
        return tuple(self.section(key.section, one, (*path, index)) for index, one in enumerate(value))

    def _wrong(self, path: Path, value: object, expected: str) -> None:
        self.problems.append((path, value, expected))
