"""Builds Ogg pages and codec packets for tests.

Helpers only, written from the specifications and independent of the parser (its checksum too). Invariant: what `page`
returns is a valid page for any arguments.
"""

import struct
from collections.abc import Sequence

FIRST, LAST, CONTINUED = 2, 4, 1
NO_GRANULE = -1


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
        table.append(crc & 0xFFFFFFFF)
    return table


_TABLE = _crc_table()


def crc(data: bytes) -> int:
    """Returns the checksum of RFC 3533, computed byte by byte."""
    value = 0
    for byte in data:
        value = (value << 8) & 0xFFFFFFFF ^ _TABLE[value >> 24 ^ byte]
    return value


def lacing_of(packets: Sequence[bytes], is_last_complete: bool = True) -> bytes:
    """Returns the segment table of a page that holds `packets`."""
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    return lacing if is_last_complete else lacing[:-1]


def page(
    packets: Sequence[bytes],
    serial: int = 1,
    granule: int = 0,
    flags: int = 0,
    *,
    sequence: int = 0,
    is_last_complete: bool = True,
) -> bytes:
    """Returns a page with `packets`; if the last one is not complete, its size must be a multiple of 255."""
    body = b"".join(packets)
    assert is_last_complete or len(packets[-1]) % 255 == 0
    lacing = lacing_of(packets, is_last_complete)
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, serial, sequence, 0, len(lacing)) + lacing
    data = head + body
    return data[:22] + struct.pack("<I", crc(data)) + data[26:]


def spread(packets: Sequence[bytes], serial: int = 1, sequence: int = 1, size: int = 255) -> list[bytes]:
    """Returns pages numbered from `sequence` on with `packets`, each on pages of its own of `size` segments."""
    pages: list[bytes] = []
    for packet in packets:
        pieces = [packet[at : at + 255 * size] for at in range(0, len(packet), 255 * size)]
        for number, piece in enumerate(pieces):
            is_end, flags = number + 1 == len(pieces), CONTINUED if number else 0
            granule = 0 if is_end else NO_GRANULE
            pages.append(page([piece], serial, granule, flags, sequence=sequence + len(pages), is_last_complete=is_end))
    return pages


def comments(*fields: str) -> bytes:
    """Returns a Vorbis comment block without framing bit."""
    encoded = [field.encode() for field in fields]
    block = struct.pack("<I", 4) + b"test" + struct.pack("<I", len(encoded))
    return block + b"".join(struct.pack("<I", len(field)) + field for field in encoded)


def vorbis_id(rate: int = 44100, channels: int = 2, nominal: int = 128000) -> bytes:
    return b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, channels, rate, 0, nominal, 0, 0xB8, 1)


def vorbis_comment(*fields: str) -> bytes:
    return b"\x03vorbis" + comments(*fields) + b"\x01"


VORBIS_SETUP = b"\x05vorbis" + b"s" * 50
VORBIS_AUDIO = b"\x00" + b"a" * 20


def opus_head(channels: int = 2, pre_skip: int = 312) -> bytes:
    return b"OpusHead" + struct.pack("<BBHIhB", 1, channels, pre_skip, 44100, 0, 0)


def opus_tags(*fields: str) -> bytes:
    return b"OpusTags" + comments(*fields)


def flac_id(rate: int = 44100, channels: int = 2) -> bytes:
    streaminfo = struct.pack(">HH", 4096, 4096) + bytes(6)
    streaminfo += struct.pack(">Q", rate << 44 | (channels - 1) << 41 | 15 << 36) + bytes(16)
    return b"\x7fFLAC\x01\x00\x00\x00fLaC" + struct.pack(">I", 34) + streaminfo


def flac_comment(*fields: str, is_last: bool = True) -> bytes:
    block = comments(*fields)
    return struct.pack(">I", (0x84 if is_last else 0x04) << 24 | len(block)) + block


def flac_link(serial: int, frames: int, *fields: str) -> list[bytes]:
    """Returns the pages of a FLAC stream as butt makes them: four frames each, and a last one with fewer."""
    heads = page([flac_id()], serial, flags=FIRST) + page([flac_comment(*fields)], serial, sequence=1)
    made = [heads]
    for begin in range(0, frames, 4):
        end = min(begin + 4, frames)
        content = [bytes.fromhex("fff8c91800") + bytes([serial, one]) for one in range(begin, end)]
        made.append(page(content, serial, 4096 * end, LAST * (end == frames), sequence=len(made) + 1))
    return made


FLAC_AUDIO = b"\xff\xf8" + b"f" * 30


def speex_head(rate: int = 16000, channels: int = 1, bitrate: int = -1, extra: int = 0) -> bytes:
    numbers = struct.pack("<IIIIIiiIIIIII", 1, 80, rate, 1, 4, channels, bitrate, 320, 0, 1, extra, 0, 0)
    return b"Speex   " + b"1.2".ljust(20, b"\0") + numbers


def theora_id(frame_rate: tuple[int, int] = (25, 1), shift: int = 6) -> bytes:
    size = (640).to_bytes(3, "big") + (480).to_bytes(3, "big")
    head = b"\x80theora\x03\x02\x01" + struct.pack(">HH", 40, 30) + size + b"\0\0"
    head += struct.pack(">II", *frame_rate) + bytes(6) + b"\0" + (200_000).to_bytes(3, "big")
    return head + struct.pack(">H", 32 << 10 | shift << 5)


THEORA_HEADERS = [b"\x81theora" + comments(), b"\x82theora" + b"t" * 40]
KEY_FRAME = b"\x00" + b"k" * 40
INTER_FRAME = b"\x40" + b"i" * 20
SKELETON_ID = b"fishead\0" + bytes(56)
FISBONE = b"fisbone\0" + bytes(44)


def vorbis_headers(serial: int = 1, *fields: str) -> list[bytes]:
    """Returns the header pages of a Vorbis stream."""
    return [page([vorbis_id()], serial, flags=FIRST), page([vorbis_comment(*fields), VORBIS_SETUP], serial)]


def vorbis_audio(serial: int, granules: Sequence[int], flags: int = 0) -> list[bytes]:
    """Returns audio pages that end at `granules`."""
    return [page([VORBIS_AUDIO] * 3, serial, granule, flags) for granule in granules]
