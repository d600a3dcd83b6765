"""What a sealer was given comes out of the opener whole and in order; anything else that comes in is an error."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.seal import MAX_PIECE, Opener, Sealer

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
HEAD_SIZE = 20


def sealed(*texts: bytes, key: bytes = KEY) -> list[bytes]:
    sealer = Sealer(key)
    return [sealer.seal(text) for text in texts]


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(0, 2**32))
def test_it_opens_what_was_sealed_however_it_is_cut(texts: list[bytes], seed: int) -> None:
    data, rng, opener, found = b"".join(sealed(*texts)), random.Random(seed), Opener(KEY), b""
    while data:
        cut = rng.randint(1, 30)
        found += opener.feed(data[:cut])
        data = data[cut:]
    assert found == b"".join(texts)


def test_more_than_a_piece_holds_is_sealed_in_several() -> None:
    data = random.Random(1).randbytes(2 * MAX_PIECE + 7)
    pieces = Sealer(KEY).seal(data)
    assert len(pieces) == len(data) + 3 * HEAD_SIZE
    assert Opener(KEY).feed(pieces) == data


@pytest.mark.parametrize(
    ("what", "pieces"),
    [
        ("repeated", lambda one, two, three: [one, one]),
        ("repeated later", lambda one, two, three: [one, two, one]),
        ("left out", lambda one, two, three: [one, three]),
        ("left out at the beginning", lambda one, two, three: [two]),
        ("exchanged", lambda one, two, three: [two, one, three]),
        ("sealed with another key", lambda one, two, three: [*sealed(b"x", key=OTHER_KEY)]),
        ("not sealed", lambda one, two, three: [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"]),
        ("empty, and not sealed", lambda one, two, three: [b"\0" * HEAD_SIZE]),
        ("larger than a piece", lambda one, two, three: [b"\xff" * HEAD_SIZE]),
        ("cut short, and filled up", lambda one, two, three: [one[:-1], two]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_was_not_sealed_for_this_place_is_an_error(what: str, pieces: object) -> None:
    assert callable(pieces)
    opener = Opener(KEY)
    with pytest.raises(LinkError):
        for piece in pieces(*sealed(b"one", b"two", b"three")):
            opener.feed(piece)


@given(st.integers(0, 8 * (HEAD_SIZE + 5) - 1))
def test_a_single_changed_bit_is_never_opened(bit: int) -> None:
    (piece,) = sealed(b"audio")
    changed = bytearray(piece)
    changed[bit // 8] ^= 1 << bit % 8
    opener = Opener(KEY)
    try:
        found = opener.feed(bytes(changed))
    except LinkError:
        return
    assert found == b""  # a length that is longer now: it waits for the rest


def test_what_is_kept_unchecked_is_bounded() -> None:
    opener = Opener(KEY)
    with pytest.raises(LinkError):
        opener.feed((MAX_PIECE + 1).to_bytes(4, "big") + b"\0" * 16)
