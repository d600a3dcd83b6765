"""Titles without an end, on a mount whose source says nothing and on one that plays."""

from urllib.parse import quote

from attacks.target import Attack, Target
from attacks.wire import basic, connect, exchange

COUNT = 10_000
LONG = 3_000


def run(target: Target, scale: float) -> int:
    """Sets long titles one after another."""
    login, count = basic(target.server.source_user, target.server.source_password), int(COUNT * scale)
    with connect(target.port) as sock:
        sock.sendall(b"SOURCE /mute ICE/1.0\r\ncontent-type: audio/mpeg\r\n" + login + b"\r\n")
        sock.recv(200)
        for number in range(count):
            song = quote(f"{number} " + "x" * LONG)
            path = f"/admin/metadata?mount=/mute&mode=updinfo&song={song}"
            exchange(target.port, f"GET {path} HTTP/1.0\r\n".encode() + login + b"\r\n")
    return count


ATTACK = Attack("title floods", "titles of 3 kB on a mute mount", run, 15.0, {"limits": {"source_timeout": 60}})
