"""Configured headers that are sent with some statuses only, as Icecast's `<header status="404">`.

Pure. A header has a text, which is sent with every status, or texts by status: `404`, `4*` (icecast-kh) or `*`. Of
these all that match are sent, a line for each.
"""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

from pycast.patterns import pattern

HeaderValue = str | Mapping[str, str]

ALL = "*"

_PATTERN = pattern(r"\*|[1-5](\*|[0-9](\*|[0-9]))")


def by_status(table: Mapping[object, object], text: Callable[[object], str]) -> dict[str, str]:
    """Returns a table of the configuration with each text as `text` reads it. Raises ValueError."""
    for status in table:
        if not isinstance(status, str) or not _PATTERN.fullmatch(status):
            raise ValueError(f'expected a status such as "404", "4*" or "*", not {str(status)[:60]!r}')
    return {str(status): text(value) for status, value in table.items()}


def sent_with(status: int, headers: Mapping[str, HeaderValue]) -> Iterator[tuple[str, str]]:
    """Yields the lines of the headers that are sent with a status, in their order."""
    for name, value in headers.items():
        if isinstance(value, str):
            yield name, value
        else:
            yield from ((name, text) for pattern, text in value.items() if fnmatchcase(str(status), pattern))


def for_statuses(headers: Mapping[str, HeaderValue]) -> dict[str, HeaderValue]:
    """Returns the headers that are for some statuses."""
    return {name: value for name, value in headers.items() if not isinstance(value, str)}
