"""Every combination of credentials, paths and methods, and as many guesses of a password as fit into the time."""

import base64
import itertools
import time

from attacks.target import Attack, Target
from attacks.wire import basic, exchange, fresh_address

GUESSING_S = 10.0

METHODS = ("GET", "POST", "HEAD", "PUT", "SOURCE")
PATHS = (
    *("/admin/", "/admin/stats", "/admin/listmounts", "/admin/listclients?mount=/witness.mp3", "/admin/cluster"),
    *(
        "/admin/killsource?mount=/witness.mp3",
        "/admin/killclient?mount=/witness.mp3&id=1",
        "/admin/drain",
        "/admin/stats.xsl",
    ),
    *("/admin/metadata?mount=/witness.mp3&mode=updinfo&song=x", "/admin/moveclients?mount=/witness.mp3&destination=/x"),
    *(
        "/admin//stats",
        "/admin/./stats",
        "/%61dmin/stats",
        "//admin/stats",
        "/ADMIN/stats",
        "/admin.cgi?pass=x&mode=updinfo&song=x",
    ),
)


def credentials(target: Target) -> tuple[bytes, ...]:
    """Returns lines that must not open anything: the source's password is no admin's."""
    server = target.server
    return (
        b"",
        b"Authorization:\r\n",
        b"Authorization: Basic\r\n",
        b"Authorization: Basic !!!!\r\n",
        b"Authorization: Bearer x\r\n",
        b"Authorization: Basic " + base64.b64encode(b"admin") + b"\r\n",
        b"Authorization: Basic " + base64.b64encode(b"\xff\xfe:\0") + b"\r\n",
        basic("admin", ""),
        basic("admin", "x" * 3_000),
        basic("", server.admin_password),
        basic("ADMIN", server.admin_password),
        basic(server.source_user, server.admin_password),
        basic("admin", server.source_password),
        basic("relay", "wrong"),
    )


def run(target: Target, scale: float) -> int:
    """Tries all combinations from addresses of their own, then guesses from one."""
    tried = 0
    for method, path, line in itertools.product(METHODS, PATHS, credentials(target)):
        request = f"{method} {path} HTTP/1.0\r\n".encode() + line + b"\r\n"
        answer = exchange(target.port, request, source=fresh_address())
        tried += 1
        if answer[:15].split(b" ")[1:2] in ([b"200"], [b"302"], [b"500"]):
            raise AssertionError(f"{request!r} was answered with {answer[:100]!r}")
        target.refused += 1
    end = time.monotonic() + GUESSING_S * scale
    source = fresh_address()
    while time.monotonic() < end:
        request = b"GET /admin/stats HTTP/1.0\r\n" + basic("admin", f"guess {tried}") + b"\r\n"
        exchange(target.port, request, source=source)
        tried += 1
    own = exchange(
        target.port, b"GET /admin/stats HTTP/1.0\r\n" + basic("admin", target.server.admin_password) + b"\r\n"
    )
    if not own.startswith(b"HTTP/1.0 200"):
        raise AssertionError(f"the admin cannot log in from an address of its own: {own[:100]!r}")
    return tried


ATTACK = Attack("credentials", "wrong logins on every path, and guesses", run)
