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

# Descriptors that clients never get: the connections of the reserve, listening sockets, logs, epoll, dumps, programs
# that are started, certificate reads, links to other nodes; then those of each mirror (the old connection and the new
# one while it changes over), and a part of the whole as slack.
OWN_FILES, FILES_OF_A_MIRROR, SLACK = 200, 2, 0.05


class Slot(Enum):
    """What a new connection may have."""

    CLIENT = "full service"
    RESERVED = "health checks only"


class Admission:
    """Counts open connections against `clients` and the limit of open files."""

    def __init__(self, clients: int, open_files: int) -> None:
        self.open_files = open_files
        """As many the process may open."""
        self.open = 0
        self.limit = 0
        self._clients = clients
        self._mirrors = 0
        self.set_clients(clients)

    def set_clients(self, clients: int) -> None:
        """Sets the limit to `clients`, or to what the limit of open files leaves if that is less."""
        self._clients = clients
        self._set_limit()
        if clients > self.limit:
            log.warning(
                "limits.clients is %d, but the process may open %d files: %d clients are taken; raise ulimit -n",
                clients,
                self.open_files,
                self.limit,
            )

    def set_mirrors(self, count: int) -> None:
        """So many mounts are pulled from other nodes."""
        self._mirrors = count
        self._set_limit()

    def enter(self) -> Slot:
        """Counts a new connection; each `enter` is followed by one `leave`."""
        self.open += 1
        return Slot.CLIENT if self.open <= self.limit else Slot.RESERVED

    def leave(self) -> None:
        """A connection is closed."""
        self.open -= 1

    def _set_limit(self) -> None:
        kept = OWN_FILES + FILES_OF_A_MIRROR * self._mirrors + int(SLACK * self.open_files)
        self.limit = min(self._clients, max(self.open_files - kept, 1))
