"""Tests of pycast.config.section: keys, defaults, what was given, and that nothing changes."""

from typing import Annotated, Literal

import pytest

from pycast.config.section import UNSET, Section, key
from pycast.config.values import Seconds, Text, Whole


class Inner(Section):
    """A section for these tests."""

    size: Whole = key(5, "A size.", ge=1, lt=9)
    word: Text = key("a", "A word.", restart=True)
    which: Literal["one", "two", "three"] = key("one", "One of three.", icecast=("other", "older"))


class Effective(Section):
    """What has every key of `Inner` effectively."""

    size: Whole = key(UNSET, "A size.", inherits="inner.size", ge=1)
    wait: Seconds = key(1.0, "A time.")


class Part(Section, some_of=Effective):
    """Some keys of the one above, and one of its own."""

    name: Text = key("x", "A name.")


class Outer(Section):
    """Sections in a section."""

    inner: Inner = key(Inner())
    inners: tuple[Inner, ...] = key(())
    plain: Annotated[int, int] = key(0, "A number.")


def test_key_that_is_not_given_has_its_default() -> None:
    section = Inner(size=7)
    assert (section.size, section.word, section.which) == (7, "a", "one")
    assert section.given == {"size": 7}


def test_sections_with_equal_values_are_equal_whether_given_or_not() -> None:
    assert Inner(size=5) == Inner()
    assert Inner(size=6) != Inner()
    assert Inner() != Part()


def test_nothing_of_a_section_can_be_changed() -> None:
    section = Inner(size=7)
    with pytest.raises(AttributeError):
        setattr(section, "size", 8)  # noqa: B010  # a type checker would refuse the plain way
    with pytest.raises(AttributeError):
        delattr(section, "size")
    assert section.size == 7


def test_replacing_makes_another_section_and_keeps_what_was_given() -> None:
    before = Inner(size=7)
    after = before.replace(word="b")
    assert (before.given, after.given) == ({"size": 7}, {"size": 7, "word": "b"})


def test_unknown_key_is_a_bug_of_the_caller() -> None:
    with pytest.raises(TypeError, match="Inner has no key colour"):
        Inner(colour=1)  # type: ignore[call-arg]


def test_section_of_some_keys_has_none_where_nothing_is_given() -> None:
    assert list(Part.KEYS) == ["name", "size", "wait"]
    part = Part()
    assert [getattr(part, name) for name in Part.KEYS] == ["x", None, None]
    assert not hasattr(Effective(), "size")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("size", 0, "expected 1 or more"),
        ("size", 9, "expected less than 9"),
        ("size", "x", "expected a whole number"),
        ("which", "four", 'expected "one", "two" or "three"'),
        ("which", ["one"], 'expected "one", "two" or "three"'),
    ],
)
def test_value_that_a_key_does_not_accept_is_a_value_error(name: str, value: object, expected: str) -> None:
    with pytest.raises(ValueError) as caught:
        Inner.KEYS[name].read(value)
    assert str(caught.value) == expected


def test_value_is_read_into_its_final_form() -> None:
    assert Inner.KEYS["size"].read("8") == 8
    assert Part.KEYS["wait"].read("2m") == 120.0
    assert Inner.KEYS["which"].read("two") == "two"


def test_key_knows_the_section_under_it() -> None:
    assert [(key.section, key.is_array) for key in Outer.KEYS.values()] == [
        (Inner, False),
        (Inner, True),
        (None, False),
    ]


def test_key_becomes_the_element_of_its_name_or_those_that_it_names() -> None:
    assert Part.KEYS["wait"].elements() == ("wait",)
    assert Inner.KEYS["which"].elements() == ("other", "older")
    assert key(0, icecast=()).elements() == ()


def test_section_shows_what_it_was_given() -> None:
    assert repr(Inner(size=7)) == "Inner(size=7)"
