"""How many connections the node accepts: `limits.clients`, the process's limit of open files, and the reserve.

Every open connection counts as a client: listeners, sources, requests. Beyond the limit, connections are accepted on a
reserve of `RESERVE` connections, and for a moment of more, if there are descriptors: one of those is answered if it is
a health check, a drain command or a link between nodes, and gets 503 with `Retry-After` otherwise. So a full node still
tells its balancer that it is alive, and does not run out of descriptors in `accept`.
"""

import logging
from enum import Enum

log = logging.getLogger(__name__)

# Connections beyond the limit that are held at the same time. Health checks need a handful; the rest is for clients
# that are answered 503.
RESERVE = 64

# The most on the reserve in a storm, for the moment that each has to send its request: 2,000 a second, half a second
# long. Each costs some 10 kB meanwhile.
MOST_RESERVED = 1024

# Descriptors that clients never get. OWN_FILES: the connections of the reserve, listening sockets, logs, epoll, dumps,
# programs that are started, certificate files, links to other nodes. FILES_OF_A_MIRROR: the old and the new connection
# while a mirror changes its parent. SLACK: a share of all descriptors.
OWN_FILES, FILES_OF_A_MIRROR, SLACK = 200, 2, 0.05


class Slot(Enum):
    """What a new connection is accepted for."""

    CLIENT = "full service"
    RESERVED = "health checks only"


class Admission:
    """Counts open connections against `clients` and the limit of open files."""

    def __init__(self, clients: int, open_files: int) -> None:
        self.open_files = open_files
        """The process's limit of open files."""
        self.open = 0
        self.limit = 0
        self._clients = clients
        self._mirrors = 0
        self._relays = 0
        self._kept = 0
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
        """Sets how many mounts are pulled from other nodes, which lowers the limit."""
        self._mirrors = count
        self._set_limit()

    def set_relays(self, count: int) -> None:
        """Sets how many streams are fetched from other servers, which lowers the limit as mirrors do."""
        self._relays = count
        self._set_limit()

    @property
    def reserve(self) -> int:
        """How many connections may be held beyond the limit: `RESERVE`, and more if descriptors are left over."""
        return max(RESERVE, min(MOST_RESERVED, RESERVE + self.open_files - self._kept - self.limit))

    @property
    def is_full(self) -> bool:
        """Whether a new connection gets no client's slot."""
        return self.open >= self.limit

    def enter(self) -> Slot:
        """Counts a new connection and returns its slot. `leave` has to be called once for each."""
        self.open += 1
        return Slot.CLIENT if self.open <= self.limit else Slot.RESERVED

    def leave(self) -> None:
        """Counts a closed connection."""
        self.open -= 1

    def _set_limit(self) -> None:
        self._kept = OWN_FILES + FILES_OF_A_MIRROR * (self._mirrors + self._relays) + int(SLACK * self.open_files)
        self.limit = min(self._clients, max(self.open_files - self._kept, 1))
