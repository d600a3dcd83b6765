"""Connections in storms: that say nothing, half of a request, or hang up at once, by a reset too."""

import socket
import struct
from contextlib import suppress

from attacks.target import Attack, Target
from attacks.wire import connect, fresh_address

COUNT = 30_000
AT_ONCE = 400

WORDS = (
    b"",
    b"G",
    b"GET / HTTP/1.1\r\nHost:",
    b"SOURCE /x ICE/1.0\r\n",
    b"GET /witness.mp3 HTTP/1.0\r\n\r\n",
    b"\x16\x03\x01",
)


def run(target: Target, scale: float) -> int:
    """Keeps up to `AT_ONCE` open."""
    held: list[socket.socket] = []
    count = int(COUNT * scale)
    for number in range(count):
        sock = connect(target.port, source=fresh_address())
        with suppress(OSError):
            sock.sendall(WORDS[number % len(WORDS)])
        if number % 2:  # a reset instead of an orderly end
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        held.append(sock)
        if len(held) >= AT_ONCE:
            for one in held:
                one.close()
            held.clear()
    for one in held:
        one.close()
    return count


ATTACK = Attack("connection storms", "silent, half and reset connections", run)
