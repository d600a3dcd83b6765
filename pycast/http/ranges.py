"""Parts of a file: which a client asks for, and how several of them are sent (RFC 9110, 14).

A `Range` that cannot be read, is of another unit or is unreasonable (too many parts, or parts that together are longer
than the whole) is ignored, which the RFC allows: the answer is the whole file. A range whose parts all lie behind the
end cannot be satisfied.

Pure: a header and a size in, parts and the lines between them out.
"""

import re
from typing import NamedTuple

from pycast.patterns import pattern

# More than a reader of a document with pictures asks for at once; each part costs an own head.
MOST_PARTS = 16

_RANGE = pattern(r"bytes[ \t]*=(.*)\Z", re.IGNORECASE | re.DOTALL)
_PART = pattern(r"([0-9]*)[ \t]*-[ \t]*([0-9]*)\Z")
_MOST_DIGITS = 18
_HUGE = "9" * _MOST_DIGITS


class Part(NamedTuple):
    """`length` bytes from `start` on; never empty."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """Returns the value of its Content-Range in a file of `size` bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


class Unsatisfiable(NamedTuple):
    """The parts that were asked for all lie behind the end."""


def parts_of(header: str, size: int) -> tuple[Part, ...] | Unsatisfiable:
    """Returns the parts of a file of `size` bytes that a Range asks for; none if it is to be ignored."""
    match = _RANGE.match(header)
    if match is None:
        return ()
    given = [one for one in (part.strip(" \t") for part in match[1].split(",")) if one]
    if not given or len(given) > MOST_PARTS:
        return ()
    parts: list[Part] = []
    for one in given:
        found = _PART.match(one)
        if found is None or not (found[1] or found[2]) or len(found[1]) > _MOST_DIGITS:
            return ()
        # Clients that want all the rest say the largest number that they know.
        part = _part(found[1], found[2] if len(found[2]) <= _MOST_DIGITS else _HUGE, size)
        if part is None:
            return ()
        parts += [part] if part.length else []
    if not parts:
        return Unsatisfiable()
    return tuple(parts) if len(parts) == 1 or sum(one.length for one in parts) <= size else ()


def _part(first: str, last: str, size: int) -> Part | None:
    """Returns the part, with a length of 0 if it lies behind the end; None if it is none."""
    if not first:  # the last bytes
        length = min(int(last), size)
        return Part(size - length, length)
    start = int(first)
    if last and int(last) < start:
        return None
    end = min(int(last) + 1 if last else size, size)
    return Part(start, max(0, end - start))


def part_head(part: Part, size: int, content_type: str, boundary: str) -> bytes:
    """Returns what stands before a part of several (multipart/byteranges, 14.6)."""
    lines = f"\r\n--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: {part.content_range(size)}\r\n\r\n"
    return lines.encode("utf-8", "replace")


def last_line(boundary: str) -> bytes:
    """Returns what stands after the last part."""
    return f"\r\n--{boundary}--\r\n".encode()
