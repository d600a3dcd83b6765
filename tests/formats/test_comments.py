"""Comments are read in pieces: texts are kept, pictures pass by, and what is only claimed takes no memory."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pycast.formats.comments import MAX_FIELD, MAX_FIELDS, MAX_KEPT, CommentReader, with_song
from pycast.formats.tags import artist_and_title
from tests.formats.feeding import CUTS, cut, every
from tests.formats.ogg_pages import comments


def read(*pieces: bytes) -> bytes:
    reader = CommentReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.block()


def test_small_comments_come_out_as_they_are() -> None:
    block = comments("ARTIST=A", "TITLE=T", "", "LYRICS=" + "la" * 5000)
    assert read(block + b"\x01") == block


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("ARTIST=A", "TITLE=T"), ("ARTIST=B", "TITLE=U")),
        (("artist=A", "title=T", "encoder=x"), ("artist=B", "title=U", "encoder=x")),
        (("encoder=x", "title=T"), ("artist=B", "title=U", "encoder=x")),
        (("encoder=x",), ("ARTIST=B", "TITLE=U", "encoder=x")),
    ],
)
def test_another_song_has_names_like_those_of_the_encoder(before: tuple[str, ...], after: tuple[str, ...]) -> None:
    """ffmpeg writes small letters, butt large ones. To a script of liquidsoap these are two names."""
    assert with_song(comments(*before), "B", "U") == comments(*after)


@pytest.mark.parametrize("size", [MAX_FIELD, 2_500_000, 22_000_000])
def test_a_picture_is_left_out_and_what_stands_behind_it_is_kept(size: int) -> None:
    picture = "METADATA_BLOCK_PICTURE=" + "p" * size
    block = read(*every(comments("ARTIST=A", picture, "TITLE=T"), 1 << 16))
    assert block == comments("ARTIST=A", "TITLE=T")
    assert artist_and_title(block) == ("A", "T")


def test_what_is_kept_is_bounded_in_bytes_and_in_number() -> None:
    assert len(read(comments(*["X=" + "x" * (MAX_FIELD - 2)] * 100))) <= MAX_KEPT + 100
    assert read(comments(*["a="] * (MAX_FIELDS + 50))) == comments(*["a="] * MAX_FIELDS)


def test_a_comment_that_is_claimed_and_never_comes_costs_nothing() -> None:
    head = struct.pack("<I4sII", 4, b"test", 1, 0xFFFFFFFF)
    reader = CommentReader()
    reader.feed(head)
    tracemalloc.start()
    for _ in range(300):
        reader.feed(bytes(1 << 16))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 1 << 17
    assert reader.block() == comments()


def test_a_name_of_the_encoder_that_is_too_long_is_left_out() -> None:
    block = struct.pack("<I", MAX_FIELD + 1) + bytes(MAX_FIELD + 1) + comments("TITLE=T")[8:]
    assert read(block) == struct.pack("<I", 0) + comments("TITLE=T")[8:]


@given(st.binary(max_size=300) | st.just(comments("A=1", "B=" + "b" * 200, "C=3")), CUTS)
def test_any_bytes_cut_anywhere_give_the_same_block(data: bytes, places: list[int]) -> None:
    assert read(data) == read(*cut(data, places)) == read(*every(data, 1))
    assert isinstance(artist_and_title(read(data)), tuple)
