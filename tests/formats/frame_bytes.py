"""Builds MPEG audio and ADTS frames for tests.

Helpers only. Invariant: frames are full of zeros but for their header, so that no sync word occurs inside them.
"""

import struct

MPEG_HEAD = 0xFFFB9000
"""MPEG-1 layer III, 128 kbit/s, 44,100 Hz, stereo, no padding: 417 bytes."""


def mpeg(head: int = MPEG_HEAD, length: int = 417) -> bytes:
    return struct.pack(">I", head).ljust(length, b"\0")


def adts(length: int = 100, samplerate_index: int = 4, channels: int = 2, blocks: int = 1) -> bytes:
    head = 0xFFF1 << 40 | 1 << 38 | samplerate_index << 34 | channels << 30 | length << 13 | 0x7FF << 2 | (blocks - 1)
    return head.to_bytes(7, "big").ljust(length, b"\0")


def id3(size: int, filler: bytes = b"\xff\xfb\x90\x00") -> bytes:
    """Returns an ID3v2 tag with `size` bytes of content that looks like frame headers."""
    sized = bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    return b"ID3\x04\x00\x00" + sized + (filler * (size // len(filler) + 1))[:size]
