"""The header fields of a request: names in any case, values as text; and the credentials among them.

Icecast keeps one value for a name, the last; so does `get`. `all` gives every value, for the fields that are lists.
Invariant: names are lower case, values are not empty and hold no CR, LF or NUL (the reader of heads sees to that).

`basic_credentials` takes any case of "basic" (RFC 9110 11.1); Icecast 2.4 wants a capital B. Trailing NULs are cut,
because Icecast 2.5's relays encode the C string with its end. Whether the credentials are right is not decided here.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Iterator

from pycast.http.charset import decode

Fields = tuple[tuple[str, str], ...]


class Headers:
    """Immutable header fields in the order they came in, names in lower case."""

    __slots__ = ("_fields", "_last")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: Fields = tuple((name.lower(), value) for name, value in fields)
        self._last = dict(self._fields)

    @classmethod
    def of_lower(cls, fields: Fields) -> "Headers":
        """Returns headers of `fields` whose names are lower case already. Fast: this runs once for each request."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._last = dict(fields)
        return headers

    def get(self, name: str, default: str = "") -> str:
        """Returns the last value of `name`, in any case of letters, or `default`."""
        value = self._last.get(name)
        return value if value is not None else self._last.get(name.lower(), default)

    def all(self, name: str) -> list[str]:
        """Returns all values of `name`, in order."""
        wanted = name.lower()
        return [value for field, value in self._fields if field == wanted]

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether there is a field with one of `names`, which are lower case."""
        return not names.isdisjoint(self._last)

    def adding(self, name: str, value: str) -> "Headers":
        """Returns a copy with one more field at the end."""
        return Headers((*self._fields, (name, value)))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._last

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"Headers({', '.join(name for name, _ in self._fields)})"  # no values: a password may be among them


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """Returns (user, password) of the Authorization header; None if it is missing, not Basic, or cannot be decoded."""
    scheme, _, encoded = headers.get("authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    encoded = encoded.strip()
    try:
        raw = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (Base64Error, ValueError):
        return None
    user, colon, password = decode(raw.rstrip(b"\0")).partition(":")
    return (user, password) if colon else None
