"""Metadata blocks of FLAC: what is kept, what is left out, and which one is marked as the last."""

import tracemalloc

import pytest

from pycast.formats.flac_metadata import MAX_BLOCKS, MOST_BLOCKS, FlacMetadata
from tests.formats.feeding import every
from tests.formats.flac_frames import block, streaminfo
from tests.formats.ogg_pages import comments

INFO, COMMENTS = streaminfo(), block(4, comments("ARTIST=A", "TITLE=T"))
LAST_COMMENTS = b"\x84" + COMMENTS[1:]


def read(*blocks: bytes, size: int = 1400) -> FlacMetadata:
    metadata = FlacMetadata()
    for piece in every(b"fLaC" + b"".join(blocks), size):
        assert metadata.feed(piece) == b""
    return metadata


@pytest.mark.parametrize("size", [1, 3, 1400])
def test_small_blocks_are_kept_as_they_are(size: int) -> None:
    blocks = [INFO, block(1, bytes(100)), COMMENTS, block(6, b"picture", is_last=True)]
    metadata = read(*blocks, size=size)
    assert metadata.is_complete
    assert metadata.blocks() == b"fLaC" + b"".join(blocks)
    assert (metadata.rate, metadata.channels, metadata.tags) == (44100, 2, ("A", "T"))


def test_listeners_that_come_later_get_neither_length_nor_digest_nor_padding() -> None:
    header = read(INFO, block(1, bytes(100)), block(3, bytes(18)), LAST_COMMENTS).header()
    info = streaminfo(total=0)
    assert header == b"fLaC" + info[:-16] + bytes(16) + LAST_COMMENTS


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 6])
def test_a_large_block_is_left_out_and_the_last_of_the_others_is_marked(kind: int) -> None:
    large = block(kind, bytes(MAX_BLOCKS), is_last=True)
    assert read(INFO, COMMENTS, large).blocks() == b"fLaC" + INFO + LAST_COMMENTS
    assert read(INFO, block(kind, bytes(MAX_BLOCKS)), LAST_COMMENTS).blocks() == b"fLaC" + INFO + LAST_COMMENTS


def test_large_comments_are_made_small() -> None:
    large = block(4, comments("ARTIST=A", "X=" + "x" * MAX_BLOCKS, "TITLE=T"), is_last=True)
    metadata = read(INFO, large)
    assert metadata.blocks() == b"fLaC" + INFO + LAST_COMMENTS
    assert metadata.tags == ("A", "T")


def test_metadata_of_one_block_are_complete() -> None:
    assert read(streaminfo(is_last=True)).is_complete


@pytest.mark.parametrize(
    "broken", [COMMENTS, INFO + INFO, INFO + b"\x7f\0\0\x01", INFO + b"\x07\0\0\x01", streaminfo(rate=0)]
)
def test_what_is_no_block_breaks_them_off(broken: bytes) -> None:
    metadata = FlacMetadata()
    rest = metadata.feed(b"fLaC" + broken + b"rest")
    assert (metadata.is_broken, metadata.is_complete) == (True, False)
    assert rest.endswith(b"rest")


def test_however_many_blocks_are_sent_and_however_large_they_claim_to_be_few_bytes_are_kept() -> None:
    metadata = read(INFO, *[block(1, b"")] * 2 * MOST_BLOCKS, LAST_COMMENTS)
    assert len(metadata.blocks()) <= 4 * MOST_BLOCKS + 200
    metadata = read(INFO, b"\x06\xff\xff\xff")
    tracemalloc.start()
    for _ in range(200):
        metadata.feed(bytes(1 << 16))
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 1 << 17
