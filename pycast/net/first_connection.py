"""A connection to the first address of a host that takes one, within a time for all of them.

Each address has its share of what is left: one that takes no notice must not take the time of those behind it. It is
tried after them next time.

Invariant: no socket is left of an attempt that failed.
"""

import time

from gevent import socket

from pycast.net.failed_endpoints import FailedEndpoints


def connect(host: str, port: int, limit_s: float, failed: FailedEndpoints) -> socket.socket:
    """Returns the connection, with `limit_s` as its timeout. Raises OSError. May switch."""
    deadline = time.monotonic() + limit_s
    found = [(int(family), where) for family, *_, where in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)]
    error: OSError = OSError(f"{host} has no address")
    for number, endpoint in enumerate(failed.at_the_end(found)):
        sock = None
        try:
            sock = socket.socket(endpoint[0], socket.SOCK_STREAM)  # an error where the kernel has no IPv6
            sock.settimeout(max(deadline - time.monotonic(), 0.001) / (len(found) - number))
            with failed.unless_answered(endpoint):
                sock.connect(endpoint[1])
            sock.settimeout(limit_s)
            return sock
        except BaseException as raised:
            if sock is not None:
                sock.close()
            if not isinstance(raised, OSError):
                raise
            error = raised
    raise error
