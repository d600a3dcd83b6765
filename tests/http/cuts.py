"""Ways to cut bytes: a parser must give the same result for each of them."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st

QUICK = settings(deadline=None, max_examples=100)


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Returns `data` in pieces, cut at `places` (any numbers, taken modulo its length)."""
    edges = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:stop] for start, stop in pairwise(edges)]


PLACES = st.lists(st.integers(min_value=0, max_value=1 << 16), max_size=8)
