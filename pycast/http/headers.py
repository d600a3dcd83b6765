"""The header fields of a request: names in any case, values as text.

Icecast keeps one value for a name, the last; so does `get`. `all` gives every value, for the fields that are lists.
Invariant: names are lower case, values are not empty and hold no CR, LF or NUL (the reader of heads sees to that).
"""

from collections.abc import Iterable, Iterator

Fields = tuple[tuple[str, str], ...]


class Headers:
    """Immutable header fields in the order they came in, names in lower case."""

    __slots__ = ("_fields", "_last")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: Fields = tuple((name.lower(), value) for name, value in fields)
        self._last = dict(self._fields)

    @classmethod
    def of_lower(cls, fields: Fields) -> "Headers":
        """The same without lowering names that are known to be lower case: this runs once for each request."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._last = dict(fields)
        return headers

    def get(self, name: str, default: str = "") -> str:
        """The last value of `name`, in any case of letters, or `default`."""
        value = self._last.get(name)
        return value if value is not None else self._last.get(name.lower(), default)

    def all(self, name: str) -> list[str]:
        """Every value of `name`, in order."""
        wanted = name.lower()
        return [value for field, value in self._fields if field == wanted]

    def has_any(self, names: frozenset[str]) -> bool:
        """Whether one of `names`, all lower case, is there."""
        return not names.isdisjoint(self._last)

    def adding(self, name: str, value: str) -> "Headers":
        """A copy with one more field at the end."""
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
        return f"Headers({list(self._fields)!r})"
