"""The inputs that cost each format the most, found by hand and by a search for the dearest byte.

Helpers only. `WORST` has for each a content type and a function that makes about as many bytes as it is asked for.
Invariant: they begin as streams of their type do, so that a parser does not give them up at once.
"""

import struct
from collections.abc import Callable

from pycast.formats.comments import MAX_FIELD
from pycast.formats.ogg_chain import MAX_PLAIN
from tests.formats.elements import document, element, head, number, simple_block
from tests.formats.flac_frames import begin as flac_begin
from tests.formats.flac_frames import frame as flac_frame
from tests.formats.flac_frames import header as flac_header
from tests.formats.flac_frames import streaminfo
from tests.formats.mp4_parts import box, movie, track
from tests.formats.ogg_pages import (
    CONTINUED,
    FIRST,
    comments,
    flac_id,
    opus_head,
    opus_tags,
    page,
    spread,
    theora_id,
    vorbis_id,
)

Make = Callable[[int], bytes]

MP3 = b"\xff\xfb\x90\xc4" + bytes(413)
SHORT_MP3 = b"\xff\xe3\x14\xc4" + bytes(20)
ADTS = b"\xff\xf1\x50\x80\x00\xff\xfc"
ID3 = b"ID3\x04\x00\x00"
VOID = b"\xec\x80"
CLUSTER = b"\x1f\x43\xb6\x75\x80"
TIME = b"\xe7\x81\x00"
EBML = b"\x1a\x45\xdf\xa3\x80"

OPUS = page([opus_head()], flags=FIRST) + page([opus_tags()])
FLAC = flac_begin()
MP4 = movie(track(1))
WAV = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8) + b"data\0\0\0\0"
NOT_A_PAGE = struct.pack("<4sBBqIIIB", b"OggS", 0, 0, -1, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 255)
WEBM = document() + head(0x1F43B675, -1) + TIME


def again(begin: bytes, unit: bytes) -> Make:
    """Returns a function that makes `begin`, and then `unit` again and again."""
    return lambda size: begin + unit * max((size - len(begin)) // len(unit), 1)


def one_element(begin: bytes, element_id: int, part: bytes) -> Make:
    """Returns a function that makes one element full of small ones."""
    return lambda size: begin + element(element_id, part * ((size - len(begin)) // len(part)))


def many_comments(size: int) -> bytes:
    """Returns an Opus stream with one block of comments of two bytes."""
    block = b"OpusTags" + comments(*["a="] * (size // 6))
    pieces = [block[at : at + 255 * 255] for at in range(0, len(block), 255 * 255)]
    pages = [
        page([piece], flags=CONTINUED if at else 0, sequence=1 + at, is_last_complete=at + 1 == len(pieces))
        for at, piece in enumerate(pieces)
    ]
    return page([opus_head()], flags=FIRST) + b"".join(pages)


def many_titles(size: int) -> bytes:
    """Returns an Ogg stream whose chains have a title each, and nothing else."""
    one = page([opus_head()], flags=FIRST)
    return b"".join(one + page([opus_tags(f"title={number}")]) for number in range(size // 150))


def picture(head: bytes, begin: bytes, unit: bytes = b"\xff" * 255) -> Make:
    """Returns a function that makes a stream whose second header begins with `begin`, claims 16 MB, and goes on with
    `unit`s."""
    return lambda size: head + b"".join(spread([begin + unit * (size // len(unit))]))


def chains_with_pictures(size: int) -> bytes:
    """Returns an Ogg stream of chains, each with a picture that is just too large to be sent on."""
    tags = opus_tags("METADATA_BLOCK_PICTURE=" + "p" * MAX_PLAIN)
    one = page([opus_head()], flags=FIRST) + b"".join(spread([tags])) + page([b"\xfc" + bytes(99)], sequence=9)
    return one * max(size // len(one), 1)


OPUS_PICTURE = b"OpusTags" + struct.pack("<I4sII", 4, b"test", 1, 16_000_000)
OPUS_FIELDS = b"OpusTags" + struct.pack("<I4sI", 4, b"test", 0xFFFFFFFF)
FLAC_PICTURE = b"\x06\xff\xff\xff"

WORST: dict[str, tuple[str, Make]] = {
    "mpeg: a run of the byte 255": ("audio/mpeg", again(MP3 * 3, b"\xff")),
    "mpeg: heads that no frame follows": ("audio/mpeg", again(MP3 * 3 + b"x", b"\xff\xfb\x90\x00")),
    "mpeg: the same, three bytes each": ("audio/mpeg", again(MP3 * 3 + b"x", b"\xff\xfb\x10")),
    "mpeg: shortest frames": ("audio/mpeg", again(b"", SHORT_MP3)),
    "mpeg: frames and junk in turn": ("audio/mpeg", again(b"", SHORT_MP3 * 2 + b"x")),
    "mpeg: kinds in turn": ("audio/mpeg", again(b"", SHORT_MP3 + b"\xff\xe3\x18\xc4" + bytes(32))),
    "mpeg: empty ID3 tags": ("audio/mpeg", again(MP3 * 3, ID3 + bytes(4))),
    "mpeg: broken ID3 tags": ("audio/mpeg", again(MP3 * 3, ID3 + b"\xff" * 4)),
    "adts: heads that no frame follows": ("audio/aac", again(ADTS * 3 + b"x", b"\xff\xf1\x50")),
    "adts: a run of sync words": ("audio/aac", again(ADTS * 3, b"\xff\xf1")),
    "adts: shortest frames": ("audio/aac", again(b"", ADTS)),
    "adts: kinds in turn": ("audio/aac", again(b"", ADTS + b"\xff\xf1\x54\x80\x00\xff\xfc")),
    "opaque": ("text/plain", again(b"", b"x")),
    "ogg: pages without a byte": ("application/ogg", again(OPUS, page([b""]))),
    "ogg: pages of 255 empty packets": ("application/ogg", again(OPUS, page([b""] * 255))),
    "ogg: the first page again and again": ("application/ogg", again(b"", page([opus_head()], flags=FIRST))),
    "ogg: chains without audio": ("application/ogg", again(b"", OPUS)),
    "ogg: chains of other codecs": (
        "application/ogg",
        again(b"", page([vorbis_id()], 2, flags=FIRST) + page([theora_id()], 3, flags=FIRST)),
    ),
    "ogg: titles": ("application/ogg", many_titles),
    "ogg: comments of two bytes": ("application/ogg", many_comments),
    "ogg: one header on short pages": (
        "application/ogg",
        again(
            page([opus_head()], flags=FIRST) + page([b"OpusTags" + bytes(247)], is_last_complete=False),
            page([bytes(255)], flags=CONTINUED, is_last_complete=False),
        ),
    ),
    "ogg: pages within pages": ("application/ogg", again(OPUS, NOT_A_PAGE)),
    "ogg: pages within pages, and whole ones": ("application/ogg", again(OPUS, NOT_A_PAGE * 30 + page([b""]))),
    "ogg: a picture": ("audio/ogg", picture(page([opus_head()], flags=FIRST), OPUS_PICTURE)),
    "ogg: a picture of FLAC": ("audio/ogg", picture(page([flac_id()], flags=FIRST), FLAC_PICTURE)),
    "ogg: empty comments": ("audio/ogg", picture(page([opus_head()], flags=FIRST), OPUS_FIELDS, b"\0" * 255)),
    "ogg: comments that are not kept": (
        "audio/ogg",
        picture(page([opus_head()], flags=FIRST), OPUS_FIELDS, struct.pack("<I", MAX_FIELD + 1) + bytes(MAX_FIELD + 1)),
    ),
    "ogg: chains with pictures": ("audio/ogg", chains_with_pictures),
    "ogg: headers that are never complete": (
        "audio/ogg",
        again(b"", page([opus_head()], flags=FIRST) + page([b"\xfc"], sequence=1)),
    ),
    "ogg: junk and pages in turn": ("audio/ogg", again(OPUS, b"OggS" * 5 + page([b"\xfc"]))),
    "ogg: strays": ("application/ogg", again(OPUS, page([b""], 9) * 1000 + page([b""]))),
    "webm: a block group of two-byte elements": ("audio/webm", one_element(WEBM, 0xA0, VOID)),
    "webm: tracks of two-byte elements": ("audio/webm", one_element(document(), 0x1654AE6B, VOID)),
    "webm: a track of two-byte elements": (
        "audio/webm",
        lambda size: document() + element(0x1654AE6B, element(0xAE, VOID * (size // 2))),
    ),
    "webm: groups as large as they may be": (
        "audio/webm",
        again(WEBM, element(0xA0, number(0xA1, 0x81 << 56 | 1) + VOID * 4000)),
    ),
    "webm: tracks as large as they may be": (
        "audio/webm",
        again(document(), element(0x1654AE6B, element(0xAE, VOID * 4000))),
    ),
    "webm: two-byte elements": ("audio/webm", again(WEBM, VOID)),
    "webm: empty clusters": ("audio/webm", again(WEBM, CLUSTER)),
    "webm: clusters without blocks": ("audio/webm", again(WEBM, CLUSTER + TIME)),
    "webm: empty documents": ("audio/webm", again(WEBM, EBML)),
    "webm: documents with an empty cluster": ("audio/webm", again(WEBM, EBML + CLUSTER + TIME)),
    "webm: shortest blocks": ("audio/webm", again(WEBM, b"\xa3\x84\x81\x00\x00\x80")),
    "webm: shortest groups": ("audio/webm", again(WEBM, b"\xa0\x86\xa1\x84\x81\x00\x00\x80")),
    "webm: junk": ("audio/webm", again(WEBM, b"\r\n")),
    "webm: clusters and junk in turn": ("audio/webm", again(WEBM, CLUSTER + TIME + b"\r")),
    "webm: documents and junk in turn": ("audio/webm", again(b"", EBML + b"\r")),
    "webm: heads that are nearly those of clusters": ("audio/webm", again(WEBM + b"\r", b"\x1f\x43\xb6")),
    "webm: documents within blocks within documents": (
        "audio/webm",
        again(b"", document()[:23] + CLUSTER + head(0xA3, (4 << 20) - 9)),
    ),
    "webm: attachments": ("audio/webm", again(document(), element(0x1941A469, bytes(300_000)))),
    "flac: headers that none follows": ("audio/flac", again(FLAC, flac_header(9))),
    "flac: sync words": ("audio/flac", again(FLAC + flac_frame(0), b"\xff\xf8\xc9\x18")),
    "flac: headers that each begin anew": (
        "audio/flac",
        lambda size: FLAC + b"".join(flac_header(2 * at) + flac_header(2 * at + 1) for at in range(size // 14)),
    ),
    "flac: frames of seven bytes": (
        "audio/flac",
        lambda size: FLAC + b"".join(flac_header(at) + bytes(9) for at in range(size // 16)),
    ),
    "flac: files without frames": ("audio/flac", again(b"", FLAC)),
    "flac: empty blocks": ("audio/flac", again(b"fLaC" + streaminfo(), b"\x01\0\0\0")),
    "flac: a picture": ("audio/flac", again(b"fLaC" + streaminfo() + b"\x06\xff\xff\xff", bytes(255))),
    "mp4: empty boxes": ("audio/mp4", again(MP4, b"\0\0\0\x08free")),
    "mp4: fragments without samples": ("audio/mp4", again(MP4, b"\0\0\0\x08moof\0\0\0\x08mdat")),
    "mp4: boxes before a fragment": ("audio/mp4", again(MP4, b"\0\0\0\x08styp")),
    "mp4: a fragment of empty boxes": ("audio/mp4", lambda size: MP4 + box(b"moof", b"\0\0\0\x08free" * (size // 8))),
    "mp4: fragments as large as they may be": ("audio/mp4", again(MP4, box(b"moof", b"\0\0\0\x08free" * 4000))),
    "mp4: headers again and again": ("audio/mp4", again(b"", MP4)),
    "mp4: junk": ("audio/mp4", again(MP4, b"\0\0\0\x08moo")),
    "wav: samples of a byte": ("audio/wav", again(WAV, b"x")),
    "wav: files without samples": ("audio/wav", again(b"", WAV)),
    "wav: empty chunks": ("audio/wav", again(WAV[:12], b"LIST\0\0\0\0")),
    "wav: nothing but its name": ("audio/wav", again(b"x", b"RIFF")),
    "webm: one large block": ("audio/webm", lambda size: WEBM + simple_block(size=size)),
}

# Those that hold much in one element, which is worked on in one piece: they show what they do only when they are large.
AT_ONCE = (
    "mp4: a fragment of empty boxes",
    "ogg: a picture",
    "ogg: a picture of FLAC",
    "ogg: comments that are not kept",
    "ogg: chains with pictures",
    "webm: attachments",
    "ogg: comments of two bytes",
    "webm: a block group of two-byte elements",
    "webm: tracks of two-byte elements",
    "webm: a track of two-byte elements",
)
