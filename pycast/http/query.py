"""Parameters: the query of a URL and the body of a form, which have one syntax.

Values stay bytes, because the parameter `charset` may say how to decode them (titles). Names are text. A name that
comes twice keeps its last value, as in Icecast. A `%` that starts no valid escape stays a `%`: `song=100%` is a title
that encoders really send, and Icecast 2.4 loses it.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

from pycast.http.charset import decode


class Pairs(Mapping[str, bytes]):
    """Immutable parameters: name to raw value."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, bytes] | None = None) -> None:
        self._values = dict(values or {})

    def text(self, name: str, default: str = "") -> str:
        """Returns the value of `name` as text (UTF-8, else Latin-1), or `default` if it was not given."""
        value = self._values.get(name)
        return default if value is None else decode(value)

    def __getitem__(self, name: str) -> bytes:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Pairs({', '.join(self._values)})"  # no values: a password may be among them


NO_PAIRS = Pairs()


def parse_form(body: bytes) -> Pairs:
    """Returns the parameters in an `application/x-www-form-urlencoded` body or a query. The caller limits its size."""
    if not body:
        return NO_PAIRS
    values = {}
    for item in body.split(b"&"):
        name, _, value = item.partition(b"=")
        if name:
            values[decode(_unescape(name))] = _unescape(value)
    return Pairs(values)


def _unescape(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" "))
