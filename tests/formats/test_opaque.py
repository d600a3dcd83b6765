"""Opaque streams pass through untouched, and any byte is a place to start."""

from hypothesis import given
from hypothesis import strategies as st

from pycast.formats.marks import Join
from pycast.formats.opaque import Opaque


@given(st.lists(st.binary(max_size=50)), st.integers(0, 1 << 40))
def test_every_piece_passes_at_once_with_a_join_at_its_first_byte(pieces: list[bytes], base: int) -> None:
    stream = Opaque(base)
    offset = base
    for piece in pieces:
        out, marks = stream.feed(piece)
        assert out == piece
        assert marks == ([Join(offset, None)] if piece else [])
        offset += len(piece)


def test_an_opaque_stream_has_no_warning() -> None:
    assert (Opaque().warning, Opaque().family) == ("", "generic")
