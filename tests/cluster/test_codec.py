"""Dataclasses as JSON: values are read as they were written, bad ones refused, and all is bounded."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest

from pycast.cluster import codec
from pycast.cluster.codec import Bounds, Matching, Within, decode, encode
from pycast.cluster.registry.epoch import Epoch


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    text: str
    number: int
    part: float
    is_so: bool
    colour: Colour
    epoch: Epoch
    inner: Inner
    maybe: int | None
    names: tuple[str, ...]
    inners: tuple[Inner, ...] = ()
    stats: Mapping[str, str] = field(default_factory=dict)
    latest: Epoch | None = None


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


@dataclass(frozen=True, slots=True)
class Short:
    text: Annotated[str, Bounds(text=3)] = ""
    names: Annotated[tuple[str, ...], Bounds(text=2, items=2)] = ()
    inner: Annotated[Inner | None, Bounds(text=4)] = None
    stats: Annotated[Mapping[str, str], Bounds(text=2, items=1)] = field(default_factory=dict)


WHOLE = Whole(
    "Tïtle",
    -7,
    0.5,
    True,
    Colour.BLUE,
    Epoch(1, 2, 3, "a.b"),
    Inner("x"),
    None,
    ("a", ""),
    (Inner("y"),),
    {"bitrate": "128"},
    Epoch(0, 1, 0, "c"),
)
JSON = {
    "text": "Tïtle",
    "number": -7,
    "part": 0.5,
    "is_so": True,
    "colour": "blue",
    "epoch": "1.2.3.a.b",
    "inner": {"name": "x"},
    "maybe": None,
    "names": ["a", ""],
    "inners": [{"name": "y"}],
    "stats": {"bitrate": "128"},
    "latest": "0.1.0.c",
}


def test_a_value_is_written_as_plain_json_and_read_back() -> None:
    written = encode(WHOLE)
    assert written == JSON
    assert type(written["colour"]) is str
    assert decode(Whole, json.loads(json.dumps(written))) == WHOLE


@pytest.mark.parametrize("value", [Nothing(), Inner("alone")])
def test_a_class_with_no_field_or_one_works_as_well(value: Any) -> None:
    assert decode(type(value), encode(value)) == value


def test_an_unknown_field_is_ignored_and_a_missing_one_has_its_default() -> None:
    few = {name: value for name, value in JSON.items() if name not in ("inners", "stats", "latest")}
    read = decode(Whole, few | {"size": 5})
    assert (read.inners, read.stats, read.latest) == ((), {}, None)


@pytest.mark.parametrize("name", ["text", "epoch", "maybe", "names"])
def test_a_missing_field_without_a_default_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"no {name}"):
        decode(Whole, {key: value for key, value in JSON.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 5),
        ("text", None),
        ("text", ["x"]),
        ("text", "x" * (Bounds().text + 1)),
        ("number", True),
        ("number", 1.0),
        ("number", "1"),
        ("number", 1 << 63),
        ("number", -(1 << 70)),
        ("part", "0.5"),
        ("part", False),
        ("part", 10**400),
        ("part", float("inf")),
        ("part", float("nan")),
        ("part", -1.0),
        ("part", 1e300),
        ("is_so", 1),
        ("is_so", None),
        ("colour", "green"),
        ("colour", 0),
        ("epoch", "1.2"),
        ("epoch", "a.b.c.d"),
        ("epoch", {}),
        ("inner", "x"),
        ("inner", None),
        ("inner", {}),
        ("inner", {"name": 1}),
        ("maybe", "none"),
        ("names", "ab"),
        ("names", {"a": 1}),
        ("names", [None]),
        ("inners", [{"name": "y"}, {"name": 2}]),
        ("stats", []),
        ("stats", {"a": 1}),
        ("latest", 0),
    ],
)
def test_a_field_of_another_type_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        decode(Whole, JSON | {name: value})


@pytest.mark.parametrize("value", [None, True, 5, "x", [], [[]]])
def test_a_value_that_is_no_object_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="an object"):
        decode(Whole, value)


def test_a_whole_number_is_a_float() -> None:
    read = decode(Whole, JSON | {"part": 12})
    assert read.part == 12.0 and type(read.part) is float


@pytest.mark.parametrize(
    "value",
    [
        {"text": "abcd"},
        {"names": ["a", "b", "c"]},
        {"names": ["abc"]},
        {"inner": {"name": "abcde"}},
        {"stats": {"a": "b", "c": "d"}},
        {"stats": {"abc": "d"}},
        {"stats": {"a": "bcd"}},
    ],
)
def test_bounds_hold_for_a_field_and_everything_in_it(value: object) -> None:
    with pytest.raises(ValueError):
        decode(Short, value)


def test_a_value_at_its_bounds_is_accepted() -> None:
    value = Short("abc", ("ab", "cd"), Inner("abcd"), {"ab": "cd"})
    assert decode(Short, encode(value)) == value
    assert decode(Inner, {"name": "x" * Bounds().text}) == Inner("x" * Bounds().text)


def test_a_list_of_more_than_the_default_is_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        decode(Whole, JSON | {"names": [""] * (Bounds().items + 1)})


def test_an_error_shows_little_of_what_it_refuses() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    for value in ("x" * 100_000, deep, ["x"] * 100_000, 10**4000):
        with pytest.raises(ValueError) as caught:
            decode(Inner, {"name": value})
        assert len(str(caught.value)) < 200


def test_a_class_with_a_type_that_has_no_json_is_an_error() -> None:
    @dataclass(frozen=True, slots=True)
    class Raw:
        data: complex

    with pytest.raises(TypeError, match="complex"):
        decode(Raw, {})


@dataclass(frozen=True, slots=True)
class Bounded:
    port: Annotated[int, Within(1, 65535)] = 1
    part: Annotated[float, Within(0, 1)] = 0.0
    word: Annotated[str, Matching(str.isalpha, "a word")] = "a"
    data: Annotated[bytes, Bounds(text=8)] = b""
    maybe: Annotated[int, Within(0, 9)] | None = None


@pytest.mark.parametrize("value", [Bounded(), Bounded(65535, 1.0, "word", b"\x00\xff", 9)])
def test_values_within_their_bounds_are_read_as_they_were_written(value: Bounded) -> None:
    assert decode(Bounded, json.loads(json.dumps(encode(value)))) == value


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", 0, "from 1 to 65535"),
        ("port", 65536, "from 1 to 65535"),
        ("part", 1.5, "from 0 to 1"),
        ("word", "two words", "a word"),
        ("word", 5, "a text"),
        ("data", "AA", ""),
        ("data", "A?==", ""),
        ("data", "Ä===", ""),
        ("data", "AAAAAAAAAAAA", "at most 8"),
        ("maybe", 10, "from 0 to 9"),
    ],
)
def test_a_value_out_of_its_bounds_is_refused(name: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*{expected}"):
        decode(Bounded, {name: value})


def test_the_types_of_a_class_are_read_once() -> None:
    decode(Whole, JSON)
    before = codec._object_reader.cache_info()
    decode(Whole, JSON)
    after = codec._object_reader.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)
