"""The connections on the reserve: those that were accepted when all client slots were taken.

They are read only to find health checks, drain commands and links between nodes among them; `check_room` refuses all
others. A connection that sends no request must not keep a health check out. So when the reserve is full, its oldest
connection is answered 503 without being read, and closed. But each gets a moment first: a health check's request comes
a round trip after its connection, and in a storm others connect meanwhile. Only when there is no room at all, because
descriptors are short, does the oldest go at once.
"""

import _socket
import logging
import time
from collections.abc import Callable

from gevent import socket

from pycast.balance.admission import RESERVE, Slot
from pycast.errors import Refused
from pycast.net.sockets import detach
from pycast.server.connection import Connection
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

# How long a connection may take to send its request before a newer one may take its place: round trips around the
# world, and a balancer that is slow.
MOMENT_S = 0.5

# How many are refused for a new one at most: after a storm the reserve shrinks, without a long turn of the loop.
_MOST_FOR_ONE = 2

# How long a refused client should wait: less than a listener's patience, longer than a storm.
RETRY_AFTER = ("Retry-After", "5")

# The answer to a client whose request is not read.
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: Close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"


class Reserve:
    """The connections on the reserve, oldest first."""

    def __init__(self, counters: Counters, room: Callable[[], int]) -> None:
        """`room` returns how many may be held in a storm, `RESERVE` at least."""
        self._counters = counters
        self._room = room
        self._held: dict[Connection, float] = {}

    def hold(self, connection: Connection) -> None:
        """Adds a connection, and refuses the oldest if there is no room. Never switches."""
        now = time.monotonic()
        for _ in range(_MOST_FOR_ONE):
            if len(self._held) < RESERVE:
                break
            oldest, since = next(iter(self._held.items()))
            if now - since < MOMENT_S and len(self._held) < self._room():
                break
            self._refuse(oldest)
        self._held[connection] = now

    def release(self, connection: Connection) -> None:
        """Removes a connection that is served or over; one that is not held is ignored."""
        self._held.pop(connection, None)

    def _refuse(self, connection: Connection) -> None:
        del self._held[connection]
        self._counters.refused_connections += 1
        log.info("! %s: refused before its request was read, the server is full", connection.ip)
        # Its greenlet finds the socket closed and ends.
        connection.sock.close() if connection.tls else send_busy(connection.sock)


def check_room(counters: Counters, slot: Slot) -> None:
    """Raises Refused, and counts it, for a connection on the reserve: the node is full."""
    if slot is not Slot.CLIENT:
        counters.refused_connections += 1
        raise Refused(
            "Icecast connection limit reached", status=503, cause="all client slots are taken", headers=(RETRY_AFTER,)
        )


def send_busy(sock: socket.socket | _socket.socket) -> None:
    """Sends 503 and closes the socket. Never switches."""
    # gevent closes a socket of its own a turn later, when its descriptor is needed for the next client.
    bare = detach(sock)
    try:
        bare.send(BUSY)
        # Closing with unread bytes sends a reset, which could reach the client before the answer.
        bare.recv(65_536)
    except OSError:
        return
    finally:
        bare.close()
