"""Listening sockets that the process has from the one that started it: systemd, or the parent of workers.

systemd passes those of a .socket unit by sd_listen_fds(3): as descriptors from 3 on, their number in LISTEN_FDS. It
keeps them while the service restarts, so that clients wait in their queues and none is refused. A socket is used for
the [[listen]] section that has its port; several for one port are all used.
"""

import logging
import os
from collections.abc import MutableMapping, Sequence
from typing import Self

from gevent import socket

from pycast.net.sockets import inherit

log = logging.getLogger(__name__)

# SD_LISTEN_FDS_START
FIRST = 3


class PassedSockets:
    """The sockets, until they are taken."""

    def __init__(self, descriptors: Sequence[int] = ()) -> None:
        self._left = [inherit(number) for number in descriptors]

    @classmethod
    def from_systemd(cls, environ: MutableMapping[str, str]) -> Self:
        """Takes those of systemd, and removes its variables: child processes have no such sockets."""
        count, process = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
        environ.pop("LISTEN_FDNAMES", "")
        environ.pop("LISTEN_PIDFDID", "")
        if process != str(os.getpid()) or not count.isdecimal():
            return cls()
        return cls(range(FIRST, FIRST + int(count)))

    def take(self, address: str, port: int) -> list[socket.socket]:
        """Returns the sockets that listen on `port`. If there are some for several addresses, only those of `address`:
        "0.0.0.0" in the configuration and "[::]:8000" in a unit mean the same otherwise.
        """
        found = [sock for sock in self._left if _bound(sock)[1] == port]
        if len({_bound(sock)[0] for sock in found}) > 1:
            own = {str(name[0]) for *_, name in socket.getaddrinfo(address, port)}
            found = [sock for sock in found if _bound(sock)[0] in own]
        self._left = [sock for sock in self._left if sock not in found]
        return found

    def close_rest(self) -> None:
        """Closes those that no section of the configuration has taken."""
        for sock in self._left:
            address, port = _bound(sock)
            log.warning("systemd passed a socket for %s port %s, which no [[listen]] section has", address, port)
            sock.close()
        self._left.clear()


def _bound(sock: socket.socket) -> tuple[str, int]:
    """Returns the address and port; port 0 for a socket that is none of TCP."""
    name = sock.getsockname()
    return (str(name[0]), int(name[1])) if sock.family in (socket.AF_INET, socket.AF_INET6) else (str(name), 0)
