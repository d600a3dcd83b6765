"""Builds native FLAC for tests: metadata blocks and frames whose headers are right and whose audio is noise.

Helpers only, written from RFC 9639 and independent of the parser. Invariant: no frame has a sync word in its audio.
"""

from random import Random

from tests.formats.ogg_pages import comments

RATE = 44100


def crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x107) if crc & 0x80 else crc << 1
    return crc


def block(kind: int, content: bytes, *, is_last: bool = False) -> bytes:
    return bytes([kind | 0x80 * is_last]) + len(content).to_bytes(3, "big") + content


def streaminfo(rate: int = RATE, channels: int = 2, total: int = 123456, *, is_last: bool = False) -> bytes:
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | total
    content = b"\x10\0\x10\0" + bytes(6) + packed.to_bytes(8, "big") + b"digest of audio!"
    return block(0, content, is_last=is_last)


def begin(*fields: str, rate: int = RATE) -> bytes:
    """Returns `fLaC` and the blocks that most encoders send."""
    return b"fLaC" + streaminfo(rate) + block(4, comments(*fields), is_last=True)


def written(number: int) -> bytes:
    """Returns a number as it is written in a frame's header."""
    if number < 0x80:
        return bytes([number])
    width = next(width for width in range(2, 8) if number < 1 << (5 * width + 1))
    tail = [0x80 | number >> 6 * at & 0x3F for at in range(width - 1)]
    return bytes([0xFF << (8 - width) & 0xFF | number >> 6 * (width - 1), *reversed(tail)])


def header(number: int, *, is_variable: bool = False, sizes: int = 0xC9, extra: bytes = b"") -> bytes:
    """Returns the header of a frame; `sizes` are the codes of 4,096 samples and 44,100 Hz unless others are given."""
    head = bytes([0xFF, 0xF9 if is_variable else 0xF8, sizes, 0x18]) + written(number) + extra
    return head + bytes([crc8(head)])


def frame(number: int, size: int = 300, **how: object) -> bytes:
    noise = Random(number).randbytes(size).replace(b"\xff", b"\xfe").replace(b"f", b"g")
    return header(number, **how) + noise  # type: ignore[arg-type]
