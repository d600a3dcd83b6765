"""The path that a relayed stream has come: a header by which a server finds that a relay would lead back to itself.

A server that gives a stream to another server names itself and its mount in `icy-relay-path`, behind what the stream's
own source named there: `4f1c/live.mp3, 90aa/radio.mp3`. It is an `icy-` header so that an Icecast in between, which
knows nothing of it, passes it on like a station's name. Players do not get it.

The one invariant: a path that is too long counts as a loop, so no header grows for ever.
"""

import re
from urllib.parse import quote

from pycast.http.headers import Headers
from pycast.patterns import pattern

HEADER = "icy-relay-path"

MOST_HOPS = 16
"""Servers between encoder and listener: networks have two or three."""

# "Icecast 2.4.4", "pycast/0.1.0"; "IcecastPlayer/2.0" is a player.
_SERVER = pattern(r"(?:pycast|icecast)(?:[ /]v?\d.*)?", re.IGNORECASE)


def is_server(headers: Headers) -> bool:
    """Whether another streaming server asks, which may relay what it gets."""
    return _SERVER.fullmatch(headers.get("user-agent")) is not None


def path_line(source_headers: Headers, server: str, mount: str) -> bytes:
    """Returns the line of the response head for another server: the path so far, and this `server` and mount."""
    return f"{HEADER}:{', '.join([*path_of(source_headers), hop(server, mount)])}\r\n".encode()


def leads_back(headers: Headers, server: str, mount: str) -> bool:
    """Whether the stream with these headers has come from that mount of `server`, or by too many servers to tell."""
    path = path_of(headers)
    return hop(server, mount) in path or len(path) >= MOST_HOPS


def path_of(headers: Headers) -> list[str]:
    """Returns the servers and mounts by which a stream has come, the first one first."""
    return [part.strip() for part in headers.get(HEADER).split(",") if part.strip()]


def hop(server: str, mount: str) -> str:
    """Returns one part of a path."""
    return server + quote(mount, safe="/.-_~", errors="replace")
