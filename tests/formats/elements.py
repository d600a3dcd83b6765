"""Builds Matroska elements for tests.

Helpers only. Invariant: `element` and `head` write sizes eight bytes wide, as live encoders do, unless another width is
given.
"""

import struct

UNKNOWN = -1


def head(element_id: int, size: int, width: int = 8) -> bytes:
    """Returns the head of an element; `size` may be UNKNOWN."""
    value = (1 << 7 * width) - 1 if size == UNKNOWN else size
    return element_id.to_bytes((element_id.bit_length() + 7) // 8, "big") + (value | 1 << 7 * width).to_bytes(
        width, "big"
    )


def element(element_id: int, content: bytes, width: int = 8) -> bytes:
    return head(element_id, len(content), width) + content


def number(element_id: int, value: int) -> bytes:
    return element(element_id, value.to_bytes(8, "big"), 1)


def simple_block(track: int = 1, ticks: int = 0, *, is_key: bool = True, size: int = 20) -> bytes:
    return element(0xA3, bytes([0x80 | track]) + struct.pack(">hB", ticks, 0x80 if is_key else 0) + b"d" * size)


def block_group(track: int = 1, ticks: int = 0, *, is_key: bool = True) -> bytes:
    block = element(0xA1, bytes([0x80 | track]) + struct.pack(">hB", ticks, 0) + b"d" * 9)
    return element(0xA0, block if is_key else block + number(0xFB, 1))


def audio_track(track: int = 1, rate: float = 48000.0, channels: int = 2) -> bytes:
    audio = element(0xE1, element(0xB5, struct.pack(">d", rate)) + number(0x9F, channels))
    return element(0xAE, number(0xD7, track) + number(0x83, 2) + audio)


def video_track(track: int = 2) -> bytes:
    video = element(0xE0, number(0xB0, 640) + number(0xBA, 480))
    return element(0xAE, number(0xD7, track) + number(0x83, 1) + video)


def document(*tracks: bytes, segment_size: int = UNKNOWN, tick_ns: int = 1_000_000) -> bytes:
    """Returns all that comes before the first cluster."""
    info = element(0x1549A966, number(0x2AD7B1, tick_ns))
    return (
        element(0x1A45DFA3, number(0x4286, 1))
        + head(0x18538067, segment_size)
        + info
        + element(0x1654AE6B, b"".join(tracks))
    )


def cluster(ticks: int, *blocks: bytes, is_sized: bool = False) -> bytes:
    content = number(0xE7, ticks) + b"".join(blocks)
    return head(0x1F43B675, len(content) if is_sized else UNKNOWN) + content
