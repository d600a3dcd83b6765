"""The connections on the reserve: those that came when all client slots were taken.

They are read only to find the health checks among them; `check_room` refuses all others. Whoever sits there without
asking must not keep a health check out, so when the reserve is full its oldest connection gives way: it gets a 503
without having been read.
"""

import logging

from gevent import socket

from pycast.balance.admission import RESERVE, Slot
from pycast.errors import Refused
from pycast.net.sockets import detach
from pycast.server.connection import Connection
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

# How long a refused client should wait; less than a listener's patience, more than a storm lasts.
RETRY_AFTER = ("Retry-After", "5")

# Written without reading the request.
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: Close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


class Reserve:
    """Connections in the order they came."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._held: dict[Connection, None] = {}

    def hold(self, connection: Connection) -> None:
        """Takes a new one in, and turns the oldest away if there is no room."""
        if len(self._held) >= RESERVE:
            oldest = next(iter(self._held))
            del self._held[oldest]
            self._counters.refused_connections += 1
            log.info("! %s: turned away unheard, the server is full", oldest.ip)
            # Its greenlet finds the socket closed and ends.
            oldest.sock.close() if oldest.tls else say_busy(oldest.sock)
        self._held[connection] = None

    def release(self, connection: Connection) -> None:
        """It has been served."""
        self._held.pop(connection, None)


def check_room(counters: Counters, slot: Slot) -> None:
    """Raises Refused for a connection on the reserve: the node is full."""
    if slot is not Slot.CLIENT:
        counters.refused_connections += 1
        raise Refused(
            "Icecast connection limit reached", status=503, cause="all client slots are taken", headers=(RETRY_AFTER,)
        )


def say_busy(sock: socket.socket) -> None:
    """Answers 503 and closes, without waiting for anything."""
    # gevent closes a socket of its own a turn later, when its descriptor is needed for the next client.
    bare = detach(sock)
    try:
        bare.send(BUSY)
        # What the client sent has to be read, or closing would send a reset that overtakes the answer.
        bare.recv(65_536)
    except OSError:
        return
    finally:
        bare.close()
