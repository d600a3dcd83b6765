"""EBML elements are read whole or not at all, and nothing is read past the end."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.ebml import (
    Element,
    Parts,
    children,
    floating,
    read_element,
    read_vint,
    unsigned,
    void,
    with_unknown_size,
)
from tests.formats.elements import UNKNOWN, element, head


@pytest.mark.parametrize("element_id", [0xA3, 0x4286, 0x2AD7B1, 0x1A45DFA3])
@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [0, 100, UNKNOWN])
def test_the_head_of_an_element_is_read_once_it_is_complete(element_id: int, width: int, size: int) -> None:
    data = head(element_id, size, width)
    expected = Element(element_id, 3 + len(data), None if size == UNKNOWN else size)
    assert read_element(b"xyz" + data, 3) == expected
    for end in range(len(data)):
        assert read_element(b"xyz" + data[:end], 3) is None


@pytest.mark.parametrize("data", [b"\x08\x80\0\0\0\0", b"\x00\x80", b"\xa3\x00", b"\x42\x86\x00"])
def test_what_cannot_be_an_element_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_element(data, 0)


def test_children_come_in_order() -> None:
    data = element(0xA3, b"one") + element(0xEC, b"") + element(0xA3, b"two", 1)
    assert list(children(b"x" + data, 1, 1 + len(data), Parts())) == [(0xA3, b"one"), (0xEC, b""), (0xA3, b"two")]


@pytest.mark.parametrize("data", [element(0xA3, b"x")[:-1], head(0xA3, UNKNOWN), b"\xa3", element(0xA3, b"") + b"\x40"])
def test_a_child_larger_than_its_parent_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(children(data, 0, len(data), Parts()))


@given(st.binary(max_size=60))
def test_any_bytes_have_children_or_are_refused(data: bytes) -> None:
    try:
        found = list(children(data, 0, len(data), Parts()))
    except FormatError:
        return
    assert sum(len(content) for _, content in found) <= len(data)


@pytest.mark.parametrize(
    ("data", "value"), [(b"\x81", (1, 1)), (b"\x40\x02z", (2, 2)), (b"\x01" + b"\0" * 6 + b"\x05", (5, 8))]
)
def test_numbers_of_variable_size(data: bytes, value: tuple[int, int]) -> None:
    assert read_vint(data, 0) == value


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x40"])
def test_a_broken_number_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_vint(data, 0)


def test_plain_values() -> None:
    assert (unsigned(b""), unsigned(b"\x01\x00")) == (0, 256)
    assert (floating(struct.pack(">f", 0.5)), floating(struct.pack(">d", 0.25)), floating(b"x")) == (0.5, 0.25, 0.0)


@pytest.mark.parametrize("width", [1, 2, 5, 8])
def test_a_known_size_becomes_unknown_in_the_same_room(width: int) -> None:
    data = with_unknown_size(head(0x18538067, 100, width), 4)
    assert data == head(0x18538067, UNKNOWN, width)


def test_an_element_with_too_many_parts_is_refused_after_so_many() -> None:
    void = b"\xec\x80"
    data = void * 11
    assert len(list(children(data, 0, 20, Parts(10)))) == 10
    with pytest.raises(FormatError, match="too many"):
        list(children(data, 0, 22, Parts(10)))
    outer, inner = Parts(5), 0
    with pytest.raises(FormatError, match="too many"):  # those of all depths count together
        for _, content in children(element(0xAE, void * 3) * 2, 0, 2 * (9 + 6), outer):
            inner += len(list(children(content, 0, len(content), outer)))
    assert inner == 3


@pytest.mark.parametrize("size", [2, 3, 127, 128, 129, 130, 5000])
def test_an_element_that_says_nothing_has_the_size_that_is_asked_for(size: int) -> None:
    data = void(size)
    head = read_element(data, 0)
    assert head is not None
    assert (head.id, len(data), head.size) == (0xEC, size, size - head.content)
