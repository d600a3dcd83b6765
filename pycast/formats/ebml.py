"""EBML: the binary elements that WebM and Matroska are made of (RFC 8794).

Pure functions over a buffer: heads of elements, and the children of a complete one. Knows no element names. The one
invariant: nothing here reads past the buffer or loops without moving on; broken bytes raise FormatError.
"""

from collections.abc import Iterator
from struct import unpack
from typing import NamedTuple

from pycast.errors import FormatError

MAX_ID_SIZE = 4
"""EBMLMaxIDLength of every Matroska file (RFC 9559 section 5.1)."""

MAX_PARTS = 4096
"""Elements that are read inside of one, at all depths. A file with a hundred tracks has some three thousand; a block
group, a handful. An element of 4 MB could have two million, and reading them would take seconds."""


class Element(NamedTuple):
    """The head of an element: its id with the marker bits, where its content begins, and how long that is (None: not
    known)."""

    id: int
    content: int
    size: int | None


def read_element(buf: bytes, pos: int) -> Element | None:
    """Returns the head of the element at `pos`; None if it is not complete. Raises FormatError."""
    available = len(buf) - pos
    if available < 2:
        return None
    id_size = 9 - buf[pos].bit_length()
    if id_size > MAX_ID_SIZE:
        raise FormatError("no EBML element where one must begin")
    if available <= id_size:
        return None
    size_pos = pos + id_size
    size_size = 9 - buf[size_pos].bit_length()
    if size_size > 8:
        raise FormatError("an EBML element with a broken size")
    if available < id_size + size_size:
        return None
    value = int.from_bytes(buf[size_pos : size_pos + size_size])
    mask = (1 << 7 * size_size) - 1
    size = value & mask
    return Element(int.from_bytes(buf[pos:size_pos]), size_pos + size_size, None if size == mask else size)


class Parts:
    """The count of elements read inside of one: `left` more may come."""

    __slots__ = ("left",)

    def __init__(self, left: int = MAX_PARTS) -> None:
        self.left = left


def children(buf: bytes, start: int, end: int, parts: Parts) -> Iterator[tuple[int, bytes]]:
    """Yields the ids and contents of the elements in `buf` from `start` to `end`, and counts them. Raises
    FormatError.
    """
    pos = start
    while pos < end:
        parts.left -= 1
        if parts.left < 0:
            raise FormatError("an EBML element of too many parts")
        element = read_element(buf, pos)
        if element is None or element.size is None or element.content + element.size > end:
            raise FormatError("an EBML element that is larger than the one around it")
        pos = element.content + element.size
        yield element.id, buf[element.content : pos]


def read_vint(buf: bytes, pos: int) -> tuple[int, int]:
    """Returns a number of variable size and the position after it. Raises FormatError."""
    size = 9 - buf[pos].bit_length() if pos < len(buf) else 9
    if pos + size > len(buf) or size > 8:
        raise FormatError("a broken number in an EBML element")
    return int.from_bytes(buf[pos : pos + size]) & ((1 << 7 * size) - 1), pos + size


def unsigned(content: bytes) -> int:
    """Returns the value of an unsigned integer element; bytes after the eighth, which are not allowed, are ignored."""
    return int.from_bytes(content[:8])


def floating(content: bytes) -> float:
    """Returns the value of a float element of 4 or 8 bytes; 0.0 for any other size."""
    if len(content) == 4:
        return float(unpack(">f", content)[0])
    return float(unpack(">d", content)[0]) if len(content) == 8 else 0.0


def void(size: int) -> bytes:
    """Returns an element of `size` bytes, two at least, that says nothing."""
    width = 1 if size < 1 + 1 + 127 else 8
    content = size - 1 - width
    return b"\xec" + (content | 1 << 7 * width).to_bytes(width) + bytes(content)


def with_unknown_size(head: bytes, size_pos: int) -> bytes:
    """Returns `head` with the element's size, which begins at `size_pos`, replaced by "not known" of the same width."""
    width = len(head) - size_pos
    return head[:size_pos] + bytes([0xFF >> (width - 1)]) + b"\xff" * (width - 1)
