"""Pages asked for by thousands at once, read by nobody."""

import socket

from attacks.target import Attack, Target
from attacks.wire import connect, exchange, fresh_address

MOUNTS = 100
UNREAD = 5_000
READ = 2_000
PATHS = ("/", "/status-json.xsl", "/status.xsl", "/metrics", "/witness.mp3.m3u")


def run(target: Target, scale: float) -> int:
    """Asks without reading, then asks and reads, all with names of hosts of their own."""
    held: list[socket.socket] = []
    unread, read = int(UNREAD * scale), int(READ * scale)
    try:
        for number in range(unread):
            sock = connect(target.port, source=fresh_address())
            path = PATHS[number % len(PATHS)]
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: host-{number}.example\r\n\r\n".encode())
            held.append(sock)
        grown = target.grown_mb()
        if grown > target.memory_mb:
            raise AssertionError(f"{unread} unread answers take {grown:.0f} MB")
        for number in range(read):
            answer = exchange(target.port, f"GET {PATHS[number % 3]} HTTP/1.0\r\n\r\n".encode(), source=fresh_address())
            target.refused += b" 503 " in answer[:20]
    finally:
        for one in held:
            one.close()
    return unread + read


ATTACK = Attack("page floods", "pages asked for by thousands, and not read", run, 60.0, {"limits": {"clients": 8_000}})
