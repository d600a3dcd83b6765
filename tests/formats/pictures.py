"""Puts cover pictures into the headers of real Ogg streams.

Helpers only. Invariant: what comes out is a valid stream with the same audio, its pages numbered anew.
"""

from pycast.formats.ogg_page import Page, PageReader, write_pages
from tests.formats.ogg_pages import comments, page


def with_picture(data: bytes, size: int) -> bytes:
    """Returns the Ogg stream `data` (Opus, Vorbis or FLAC) with a picture of `size` bytes among its comments."""
    first, *rest = PageReader().feed(data)
    packets, at = _headers(first, rest)
    fields = ("ARTIST=Artist", "TITLE=Tïtle", "METADATA_BLOCK_PICTURE=" + "p" * size)
    if first.data[first.body :].startswith(b"OpusHead"):
        packets = [b"OpusTags" + comments(*fields)]
    elif first.data[first.body :].startswith(b"\x01vorbis"):
        packets = [b"\x03vorbis" + comments(*fields) + b"\x01", packets[1]]
    else:
        blocks = ((0x04, comments(*fields[:2])), (0x86, bytes(size)))
        packets = [bytes([kind]) + len(block).to_bytes(3, "big") + block for kind, block in blocks]
    headers = b"".join(write_pages(packets, first.serial, 1))
    sequence = 1 + len(PageReader().feed(headers))
    return first.data + headers + b"".join(_numbered(rest[at:], sequence))


def _headers(first: Page, rest: list[Page]) -> tuple[list[bytes], int]:
    """Returns the header packets after the first one, and how many pages they take."""
    wanted = 2 if first.data[first.body :].startswith(b"\x01vorbis") else 1
    packets, parts = [], b""
    for at, one in enumerate(rest):
        for piece, is_end in one.pieces():
            parts += piece
            if is_end:
                packets.append(parts)
                parts = b""
        if len(packets) >= wanted:
            return packets, at + 1
    raise AssertionError("no end of the headers")


def _numbered(pages: list[Page], sequence: int) -> list[bytes]:
    out = []
    for number, one in enumerate(pages):
        pieces = one.pieces()
        is_complete = not pieces or pieces[-1][1]
        packets = [piece for piece, _ in pieces]
        numbers = (one.serial, one.granule, one.data[5])
        out.append(page(packets, *numbers, sequence=sequence + number, is_last_complete=is_complete))
    return out
