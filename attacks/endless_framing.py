"""Framing without an end: chunk extensions, trailers, heads, lines, and many tiny chunks."""

from attacks.target import Attack, Target
from attacks.wire import basic, connect, fresh_address, send_while_taken

SECONDS = 4.0
MOST = 8 << 20

BODY = b"POST /admin/stats HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
# (what is sent once, what is sent again and again): strangers get none of these for long.
ENDLESS = (
    (BODY + b"1;", b"x" * 65_536),
    (BODY + b"0\r\n", b"X-Trailer: y\r\n" * 4_000),
    (BODY, b"0" * 65_536),
    (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 4_000),
    (b"GET /", b"a" * 65_536),
    (b"", b"\r\n" * 20_000),
    (b"", b"a" * 65_536),
)


def run(target: Target, scale: float) -> int:
    """Sends each until the server hangs up. Raises AssertionError if it takes more than `MOST` bytes."""
    for start, more in ENDLESS:
        with connect(target.port, source=fresh_address()) as sock:
            sock.sendall(start)
            taken = send_while_taken(sock, more, SECONDS * max(scale, 0.25))
        if taken > MOST:
            raise AssertionError(f"the server took {taken:,} bytes after {start[-30:]!r}")
        target.refused += 1
    _tiny_chunks(target, scale)
    return len(ENDLESS) + 1


def _tiny_chunks(target: Target, scale: float) -> None:
    """A source's chunks of one byte each, as fast as the server takes them."""
    login = basic(target.server.source_user, target.server.source_password)
    head = (
        b"PUT /tiny HTTP/1.1\r\nHost: a\r\ncontent-type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n" + login + b"\r\n"
    )
    with connect(target.port) as sock:
        sock.sendall(head + login + b"\r\n")
        send_while_taken(sock, b"1;a=b\r\nx\r\n" * 6_000, SECONDS * scale)


ATTACK = Attack("endless framing", "chunk extensions, trailers, heads and lines without an end", run)
