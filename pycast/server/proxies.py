"""What stands before a listening port: reads a balancer's PROXY header, and tells whose word on a client is taken.

The header comes before everything else, TLS too, so it is looked at before it is taken from the socket: what belongs to
TLS has to stay there. Nothing here runs for a port without proxies.

A balancer's health check opens a connection, says LOCAL or nothing, and resets it, every second or two: that is no
news, so `is_check` keeps it out of the log.
"""

import time
from dataclasses import dataclass

from pycast.config.schema import ListenSection
from pycast.errors import RequestError
from pycast.http.addresses import Networks
from pycast.http.proxy_protocol import Local, NoHeader, Proxied, ProxyHeader, ProxyReader
from pycast.server.connection import Connection

# The header is in a connection's first segment; there is time for one to be lost and sent again (RFC 6298: 1 + 2 s).
PROXY_HEADER_S = 5.0


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies before a port. If `requires_proxy_header`, a connection without a PROXY header is none of theirs."""

    trusted: Networks
    requires_proxy_header: bool


def proxies_before(listen: ListenSection) -> Proxies | None:
    """What the configuration says of a port; None if clients connect to it directly."""
    if not listen.proxy_protocol and not listen.trusted_proxies:
        return None
    return Proxies(Networks(listen.trusted_proxies), listen.proxy_protocol)


def read_proxy_header(connection: Connection, proxies: Proxies, timeout: float) -> bytes:
    """Reads the PROXY header, if one may or must come, and sets the connection's `ip` and `proxies` accordingly.

    Returns bytes of the client that had to be taken from the socket. Raises RequestError if the connection is to be
    closed without an answer, OSError if it is gone. May switch.
    """
    rest = b""
    is_trusted = proxies.trusted.cover(connection.ip)
    if proxies.requires_proxy_header and proxies.trusted and not is_trusted:
        raise RequestError("it is none of listen.trusted_proxies, and nobody else may send a PROXY header")
    if proxies.requires_proxy_header or is_trusted:
        greeting, rest = _read_header(connection, time.monotonic() + min(timeout, PROXY_HEADER_S))
        if isinstance(greeting, Proxied):
            connection.ip = greeting.ip
        elif proxies.requires_proxy_header and not isinstance(greeting, Local):
            raise RequestError("it did not begin with a PROXY header, as listen.proxy_protocol demands")
        if rest and connection.tls:
            raise RequestError("it began neither with a PROXY header nor with TLS")
    # Who is named by a PROXY header writes its own X-Forwarded-For, and is believed if it is a trusted proxy itself.
    if proxies.trusted.cover(connection.ip):
        connection.proxies = proxies.trusted
    return rest


def _read_header(connection: Connection, deadline: float) -> tuple[ProxyHeader | None, bytes]:
    """What the connection begins with, None if it ends or is silent before that is known; and the bytes that were taken
    although they are no header's: at most the few that a header could begin with.
    """
    reader, taken = ProxyReader(), b""
    connection.is_check = True  # unless it says something
    while True:
        try:
            data = connection.peek(deadline)
        except TimeoutError:
            data, connection.is_check = b"", False
        if not data:
            return None, taken
        connection.is_check = False
        greeting = reader.feed(data)
        if isinstance(greeting, NoHeader):
            return greeting, taken
        taken += connection.take(len(data) - (len(reader.rest) if greeting else 0))
        if greeting:
            connection.is_check = isinstance(greeting, Local)
            return greeting, b""
