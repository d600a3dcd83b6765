"""How many connections the node takes, and what it keeps back.

`clients` counts every open connection: listeners, sources, requests. Behind that limit, and behind the process's limit
of open files, lies a reserve: a connection from the reserve is read, and answered if it is a health check; all others
get 503 with `Retry-After`. So a full node still tells its balancer that it is alive, and never runs out of descriptors
in `accept`.
"""

import logging
from enum import Enum

log = logging.getLogger(__name__)

# Connections beyond the limit that are held at the same time. A balancer checks with a handful; the rest is for those
# that get a 503.
RESERVE = 64

# Descriptors that are no connections: listening sockets, logs, epoll, dumps, programs that are started, certificate
# reads, and slack.
OWN_FILES = 64


class Ticket(Enum):
    """What a new connection may have."""

    FULL_SERVICE = "full service"
    HEALTH_ONLY = "health checks only"


class Admission:
    """Counts open connections against `clients` and the limit of open files."""

    def __init__(self, clients: int, open_files: int) -> None:
        self._open_files = open_files
        self.open = 0
        self.limit = 0
        self.set_clients(clients)

    def set_clients(self, clients: int) -> None:
        """Sets the limit to `clients`, or to what the limit of open files leaves if that is less."""
        room = max(self._open_files - OWN_FILES - RESERVE, 1)
        if clients > room:
            log.warning(
                "limits.clients is %d, but the process may open %d files: %d clients are taken; raise ulimit -n",
                clients,
                self._open_files,
                room,
            )
        self.limit = min(clients, room)

    @property
    def is_full(self) -> bool:
        """Whether new listeners are refused."""
        return self.open >= self.limit

    def enter(self) -> Ticket:
        """Counts a new connection; each `enter` is followed by one `leave`."""
        self.open += 1
        return Ticket.FULL_SERVICE if self.open <= self.limit else Ticket.HEALTH_ONLY

    def leave(self) -> None:
        """A connection is closed."""
        self.open -= 1
