"""Configured headers that are sent with some statuses only, as Icecast's `<header status="404">`.

Pure. A header has a text, which is sent with every status, or texts by status: `404`, `4*` (icecast-kh) or `*`. Of
these all that match are sent, a line for each.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

HeaderValue = str | Mapping[str, str]

ALL = "*"

_PATTERN = re.compile(r"\*|[1-5](\*|[0-9](\*|[0-9]))")


def by_status(table: Mapping[object, object], text: Callable[[object], str]) -> dict[str, str]:
    """Returns a table of the configuration with each text as `text` reads it. Raises ValueError."""
    for pattern in table:
        if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):
            raise ValueError(f'expected a status such as "404", "4*" or "*", not {str(pattern)[:60]!r}')
    return {str(pattern): text(value) for pattern, value in table.items()}


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
