"""Builds boxes of fragmented MP4 for tests.

Helpers only, written from ISO/IEC 14496-12 and independent of the parser. Invariant: sizes are right unless a test cuts
or fakes them.
"""

import struct

AUDIO, VIDEO = 1, 2
KEY, INTER = 0x02000000, 0x01010000


def box(kind: bytes, *parts: bytes, is_wide: bool = False) -> bytes:
    content = b"".join(parts)
    if is_wide:
        return struct.pack(">I4sQ", 1, kind, 16 + len(content)) + content
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def numbers(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def track(number: int, scale: int = 1000, *, is_wide: bool = False) -> bytes:
    """Returns the description of a track of sound (48 kHz, stereo) or, if its number is VIDEO, of pictures."""
    times = struct.pack(">QQ", 0, 0) if is_wide else numbers(0, 0)
    if number == VIDEO:
        handler, entry = b"vide", box(b"avc1", bytes(24) + struct.pack(">HH", 640, 480) + bytes(50))
    else:
        handler, entry = b"soun", box(b"mp4a", bytes(16) + struct.pack(">6H", 2, 16, 0, 0, 48000, 0))
    return box(
        b"trak",
        full(b"tkhd", times, numbers(number, 0), version=is_wide),
        box(
            b"mdia",
            full(b"mdhd", times, numbers(scale, 0), version=is_wide),
            full(b"hdlr", numbers(0), handler, bytes(12)),
            box(b"minf", box(b"stbl", full(b"stsd", numbers(1), entry))),
        ),
    )


def movie(*tracks: bytes, is_fragmented: bool = True, defaults: int = 0) -> bytes:
    """Returns `ftyp` and `moov`."""
    extends = [full(b"trex", numbers(number, 1, 0, 0, defaults)) for number in (AUDIO, VIDEO)]
    parts = [*tracks, box(b"mvex", *extends)] if is_fragmented else tracks
    return box(b"ftyp", b"iso5", numbers(0), b"iso5mp41") + box(b"moov", full(b"mvhd", bytes(96)), *parts)


def part(number: int, ticks: int | None = 0, flags: int | None = None, where: str = "run") -> bytes:
    """Returns the part of a fragment for a track. The first sample's `flags` are said where `where` says."""
    head, run = (0x020000, b""), (0x000001, numbers(100))
    if flags is not None and where == "head":
        head = 0x020020, numbers(flags)
    elif flags is not None and where == "samples":
        run = 0x000601, numbers(100, 20, flags)
    elif flags is not None:
        run = 0x000005, numbers(100, flags)
    time = full(b"tfdt", struct.pack(">Q", ticks), version=1) if ticks is not None else b""
    return box(
        b"traf",
        full(b"tfhd", numbers(number), head[1], flags=head[0]),
        time,
        full(b"trun", numbers(1), run[1], flags=run[0]),
    )


def fragment(*parts: bytes, size: int = 200, before: bytes = b"") -> bytes:
    """Returns a fragment, its samples, and what stands before it."""
    return before + box(b"moof", full(b"mfhd", numbers(1)), *parts) + box(b"mdat", b"s" * size)
