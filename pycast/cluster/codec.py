"""The conversion of frozen dataclasses to JSON objects and back, by the types of their fields. Pure.

    encode   a value → an object for `json.dumps`
    decode   an object from `json.loads` → the value, or ValueError

A field may be a str, an int, a float, a bool, bytes (written in base64), an enum of texts, another such dataclass,
`X | None`, `tuple[X, ...]`, a mapping of texts to texts, or a class with `__str__` and `parse`, such as `Epoch`, which
becomes a text. An unknown field is ignored, so that messages of newer nodes can be read during an upgrade. A missing
field gets its default; without one it is an error.

Data from other machines is bounded: each text in its length, each tuple and mapping in its count, each int to 64 bits,
each float to what a time or a rate can be. `Annotated` sets closer bounds: `Bounds`, `Within`, `Matching`.
The one invariant: `decode` returns a value whose fields are all of their types and within their bounds, or raises
ValueError and nothing else.

The types of a class are read when it is first used, not at import. This is own code because it is small and needs
nothing in the classes: pydantic and msgspec bound a text or a count only where the field says so, and a field without a
bound would be open.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from math import isfinite
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")

Reader = Callable[[object], Any]
Writer = Callable[[Any], Any]

_BIGGEST_INT = (1 << 63) - 1

# Floats are times since 1970, durations and rates. As a time this is the year 6325: every page can show it. It is not
# compared with this machine's clock, because a node whose clock is wrong must not refuse all the others.
_BIGGEST_FLOAT = float(1 << 37)

# How many characters of a refused value are shown.
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """The most that is accepted. `Annotated[X, Bounds(…)]` sets it for X and everything in it."""

    text: int = 4096
    """Characters."""
    items: int = 100_000


@dataclass(frozen=True, slots=True)
class Within:
    """The least and the most that a number may be: `Annotated[int, Within(1, 65535)]`."""

    least: int
    most: int

    def has(self, number: float) -> bool:
        return self.least <= number <= self.most


@dataclass(frozen=True, slots=True)
class Matching:
    """A check of a text: `Annotated[str, Matching(is_good, "a good text")]`."""

    is_good: Callable[[str], bool]
    expected: str


def encode(value: object) -> dict[str, Any]:
    """Returns the value's JSON object."""
    return cast(dict[str, Any], _object_writer(cast(Any, type(value)))(value))


def decode(kind: type[T], data: object) -> T:
    """Returns the value that `encode` wrote. Raises ValueError."""
    return cast(T, _object_reader(cast(Any, kind), Bounds())(data))


# -- reading


@cache
def _object_reader(kind: type, bounds: Bounds) -> Reader:
    hints = get_type_hints(kind, include_extras=True)
    plan = [
        (one.name, _reader(hints[one.name], bounds), one.default is MISSING and one.default_factory is MISSING)
        for one in fields(kind)
    ]

    def read(data: object) -> Any:
        if not isinstance(data, dict):
            raise _wrong("an object", data)
        values = {}
        for name, read_field, is_required in plan:
            if name in data:
                try:
                    values[name] = read_field(data[name])
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None
            elif is_required:
                raise ValueError(f"no {name}")
        return kind(**values)

    return read


def _reader(hint: Any, bounds: Bounds) -> Reader:
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _annotated_reader(args[0], args[1:], bounds)
    if origin in (Union, UnionType):
        return _optional_reader(_reader(_only(args), bounds))
    if origin is tuple and args[1:] == (...,):
        return _tuple_reader(_reader(args[0], bounds), bounds.items)
    if origin in (dict, Mapping) and args == (str, str):
        return _mapping_reader(_text_reader(bounds.text), bounds.items)
    if hint in (str, bytes):
        return _text_reader(bounds.text) if hint is str else _bytes_reader(bounds.text)
    if hint in _NUMBERS:
        return _NUMBERS[hint]
    if _is_text(hint):
        return _parsing_reader(_parser(hint), _text_reader(bounds.text))
    if is_dataclass(hint):
        return _object_reader(cast(type, hint), bounds)
    raise TypeError(f"no JSON for {hint!r}")


def _annotated_reader(hint: Any, extras: tuple[Any, ...], bounds: Bounds) -> Reader:
    read = _reader(hint, next((one for one in extras if isinstance(one, Bounds)), bounds))
    for extra in extras:
        if isinstance(extra, Within):
            read = _checking_reader(read, extra.has, f"a number from {extra.least} to {extra.most}")
        elif isinstance(extra, Matching):
            read = _checking_reader(read, extra.is_good, extra.expected)
    return read


def _checking_reader(read: Reader, is_good: Callable[[Any], bool], expected: str) -> Reader:
    def read_good(value: object) -> Any:
        found = read(value)
        if not is_good(found):
            raise _wrong(expected, value)
        return found

    return read_good


def _bytes_reader(longest: int) -> Reader:
    read_text = _text_reader(longest)

    def read(value: object) -> Any:
        return b64decode(read_text(value).encode("ascii"), validate=True)

    return read


def _optional_reader(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _tuple_reader(read: Reader, most: int) -> Reader:
    def read_all(value: object) -> Any:
        if not isinstance(value, list) or len(value) > most:
            raise _wrong(f"a list of at most {most}", value)
        return tuple([read(one) for one in value])

    return read_all


def _mapping_reader(read_text: Reader, most: int) -> Reader:
    def read_all(value: object) -> Any:
        if not isinstance(value, dict) or len(value) > most:
            raise _wrong(f"an object of at most {most} texts", value)
        return {read_text(name): read_text(one) for name, one in value.items()}

    return read_all


def _text_reader(longest: int) -> Reader:
    def read(value: object) -> Any:
        if not isinstance(value, str) or len(value) > longest:
            raise _wrong(f"a text of at most {longest} characters", value)
        return value

    return read


def _parsing_reader(parse: Callable[[str], Any], read_text: Reader) -> Reader:
    return lambda value: parse(read_text(value))


def _read_bool(value: object) -> Any:
    if not isinstance(value, bool):
        raise _wrong("true or false", value)
    return value


def _read_int(value: object) -> Any:
    if not isinstance(value, int) or isinstance(value, bool) or not -_BIGGEST_INT <= value <= _BIGGEST_INT:
        raise _wrong("a whole number of 64 bits", value)
    return value


def _read_float(value: object) -> Any:
    found = value if isinstance(value, float) else float(_read_int(value))  # JSON may write it without its point
    if not (isfinite(found) and 0 <= found <= _BIGGEST_FLOAT):
        raise _wrong("a time or a rate", value)
    return found


_NUMBERS: dict[Any, Reader] = {bool: _read_bool, int: _read_int, float: _read_float}


def _wrong(expected: str, value: object) -> ValueError:
    # A list or an object may be as large and as deep as a frame.
    is_short = value is None or isinstance(value, bool | int | float | str)
    shown = repr(value[:_SHOWN] if isinstance(value, str) else value)[:_SHOWN] if is_short else type(value).__name__
    return ValueError(f"expected {expected}, not {shown}")


# -- writing


@cache
def _object_writer(kind: type) -> Writer:
    hints = get_type_hints(kind)
    names = [one.name for one in fields(kind)]
    writers = [(name, write) for name in names if (write := _writer(hints[name])) is not None]
    if len(names) > 1:
        get: Callable[[Any], tuple[Any, ...]] = attrgetter(*names)
    else:
        get = lambda value: tuple(getattr(value, name) for name in names)  # noqa: E731

    def write_all(value: Any) -> Any:
        found = dict(zip(names, get(value), strict=True))
        for name, write in writers:
            found[name] = write(found[name])
        return found

    return write_all


def _writer(hint: Any) -> Writer | None:
    """Returns the writer of a type; None if its values are JSON already."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is str or hint in _NUMBERS:
        return None
    if origin in (Union, UnionType):
        write = _writer(_only(args))
        return None if write is None else lambda value: None if value is None else write(value)
    if origin is tuple:
        write_one = _writer(args[0])
        return list if write_one is None else lambda value: [write_one(one) for one in value]
    if origin in (dict, Mapping):
        return dict
    if hint is bytes:
        return lambda value: b64encode(value).decode()
    if _is_text(hint):
        return (lambda value: value.value) if issubclass(hint, Enum) else str
    return _object_writer(hint)


# -- types


def _only(args: tuple[Any, ...]) -> Any:
    """Returns the one type of a union with None."""
    (only,) = (one for one in args if one is not NoneType)
    return only


def _is_text(hint: Any) -> bool:
    """Whether a value of this class is written as a text."""
    return isinstance(hint, type) and (issubclass(hint, Enum) or hasattr(hint, "parse"))


def _parser(kind: Any) -> Callable[[str], Any]:
    return cast(Callable[[str], Any], kind if issubclass(kind, Enum) else kind.parse)
