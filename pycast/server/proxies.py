"""The proxies in front of a listening port: reads their PROXY header, and decides whose X-Forwarded-For is believed.

The PROXY header comes before everything else, also before TLS. So the bytes are peeked at first, and only the header is
taken from the socket: what follows belongs to TLS and has to stay there. A port without proxies never calls this.

A balancer's health check opens a connection, sends LOCAL or nothing, and resets it, every second or two. It sets
`is_health_check`, which keeps it out of the log.
"""

import time
from dataclasses import dataclass

from pycast.config.schema import ListenSection
from pycast.errors import RequestError
from pycast.http.addresses import Networks
from pycast.http.forwarded import client_ip
from pycast.http.proxy_protocol import Local, NoHeader, Proxied, ProxyHeader, ProxyReader
from pycast.server.connection import Connection

# The header is in a connection's first segment. This leaves time for the segment to be lost and sent again twice (RFC
# 6298: after 1 s and 2 s more).
PROXY_HEADER_S = 5.0


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies of a port. If `requires_proxy_header`, a connection without a PROXY header is closed."""

    trusted: Networks
    requires_proxy_header: bool


def proxies_before(listen: ListenSection) -> Proxies | None:
    """Returns the proxies that the configuration names for a port, None if clients connect to it directly."""
    if not listen.proxy_protocol and not listen.trusted_proxies:
        return None
    return Proxies(Networks(listen.trusted_proxies), listen.proxy_protocol)


def read_proxy_header(connection: Connection, proxies: Proxies, timeout: float) -> bytes:
    """Reads the PROXY header, if there may or must be one, and sets the connection's `ip` and `proxies`.

    Returns bytes of the client that were taken from the socket with it. Raises RequestError if the connection has to be
    closed without an answer, OSError if it has failed. May switch.
    """
    rest = b""
    # With a list of proxies, only those may connect to a port that requires the header.
    is_trusted = proxies.trusted.cover(connection.ip)
    if proxies.requires_proxy_header and proxies.trusted and not is_trusted:
        raise RequestError("it is none of listen.trusted_proxies, and nobody else may send a PROXY header")
    if proxies.requires_proxy_header or is_trusted:
        # PROXY replaces the address, LOCAL keeps it, and no header is an error only where one is required.
        header, rest = _read_header(connection, min(connection.begun + timeout, time.monotonic() + PROXY_HEADER_S))
        if isinstance(header, Proxied):
            connection.named = header.ip
        elif proxies.requires_proxy_header and not isinstance(header, Local):
            raise RequestError("it did not begin with a PROXY header, as listen.proxy_protocol demands")
        # Bytes that were taken cannot go back to the socket, where TLS would look for them.
        if rest and connection.tls:
            raise RequestError("it began neither with a PROXY header nor with TLS")
    connection.ip = client_ip(connection.peer, connection.named, None, proxies.trusted)
    # The address may be another one now. If that is a trusted proxy as well, its X-Forwarded-For is believed.
    if proxies.trusted.cover(connection.ip):
        connection.proxies = proxies.trusted
    return rest


def _read_header(connection: Connection, deadline: float) -> tuple[ProxyHeader | None, bytes]:
    """Returns the header, None if the connection ends or the deadline passes before it is complete; and the bytes that
    were taken from the socket although they are no header's: at most the few that a header could begin with.
    """
    reader, taken = ProxyReader(), b""
    # A connection that ends before its first byte is a health check.
    connection.is_health_check = True
    while True:
        # Look at what has arrived. The end of the stream and the deadline both end the search.
        try:
            data = connection.peek(deadline)
        except TimeoutError:
            data, connection.is_health_check = b"", False
        if not data:
            return None, taken
        connection.is_health_check = False
        # Without a header, what was only peeked at stays in the socket for TLS or HTTP.
        header = reader.feed(data)
        if isinstance(header, NoHeader):
            return header, taken
        # Take the bytes of the header: all of them while it is incomplete, else those before `rest`.
        taken += connection.take(len(data) - (len(reader.rest) if header else 0))
        if header:
            connection.is_health_check = isinstance(header, Local)
            return header, b""
