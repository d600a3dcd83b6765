"""Feeds formats in pieces and compares: the promise that every parser of this package makes is written here once.

Helpers only. Invariant: `assert_same_in_pieces` fails whenever the place of a cut changes what a format returns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import strategies as st

from pycast.errors import FormatError
from pycast.formats.marks import Format, Header, Join, Mark

Make = Callable[[], Format]

CUTS = st.lists(st.integers(0, 4000), max_size=8)


@dataclass(slots=True)
class Result:
    """All that came out of a format, and whether it gave up. `held` is the most it kept back after any piece."""

    out: bytes = b""
    marks: list[Mark] = field(default_factory=list)
    is_refused: bool = False
    held: int = 0

    @property
    def joins(self) -> list[Join]:
        return [mark for mark in self.marks if isinstance(mark, Join)]

    @property
    def headers(self) -> list[Header]:
        return [mark for mark in self.marks if isinstance(mark, Header)]

    def of(self, kind: type[Mark]) -> list[Mark]:
        """Returns the marks of one kind."""
        return [mark for mark in self.marks if isinstance(mark, kind)]

    @property
    def heard(self) -> bytes:
        """What a listener gets that starts at the first byte of a stream with base 0."""
        return self.heard_from(Join(0, None))

    def heard_from(self, join: Join) -> bytes:
        """Returns what a listener gets that starts at `join` of a stream with base 0."""
        header = b""
        for mark in self.headers:
            if mark.offset <= join.offset:
                header = mark.data
        return header + self.out[join.offset :]


def run(stream: Format, pieces: Iterable[bytes]) -> Result:
    """Feeds `pieces` to `stream` until they end or it refuses them."""
    result = Result()
    out = []
    taken = given = 0
    for piece in pieces:
        try:
            data, marks = stream.feed(piece)
        except FormatError:
            result.is_refused = True
            break
        taken += len(piece)
        given += len(data)
        result.held = max(result.held, taken - given - stream.dropped)
        out.append(data)
        result.marks += marks
    result.out = b"".join(out)
    return result


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Returns `data` in pieces, cut at `places` (taken modulo its size)."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def every(data: bytes, size: int) -> list[bytes]:
    """Returns `data` in pieces of `size` bytes."""
    return [data[start : start + size] for start in range(0, len(data), size)]


def assert_same_in_pieces(make: Make, data: bytes, places: Sequence[int], most_held: int) -> Result:
    """Asserts that `data` gives the same whole, byte by byte and cut at `places`, with at most `most_held` bytes kept.

    But for joins of a stream that goes on as an opaque one: those are at the first byte of each piece.
    """
    stream = make()
    whole = run(stream, [data])
    for pieces in (every(data, 1), cut(data, places)):
        other = make()
        result = run(other, pieces)
        assert result.is_refused == whole.is_refused
        assert result.held <= most_held
        if not whole.is_refused:
            assert other.warning == stream.warning
            assert result.out == whole.out
            is_opaque = stream.family == "generic" and stream.warning
            assert is_opaque or result.marks == whole.marks
    return whole
