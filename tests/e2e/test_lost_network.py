"""A listener whose network is gone, without a FIN or a reset, as when a set-top box loses its power.

Its own socket refuses all that comes to it, before the kernel could acknowledge it. That needs no rights, unlike a
network namespace whose link is taken down or a packet filter: it works in any container.
"""

import socket
import time

import pytest

from pycast.testing import Server
from tests.e2e.steady import SteadyStream
from tests.e2e.wire import listen

IP_MINTTL = 21  # <linux/in.h>; Python has no name for it

# TCP_USER_TIMEOUT is 20 s from the first byte that is not acknowledged; the batch before it may be half a second old.
SOONEST_S, LATEST_S = 15.0, 25.0


def lose_network(sock: socket.socket) -> None:
    """Makes the kernel drop packets to `sock`: a host of this network would have to send with a TTL of 255."""
    sock.setsockopt(socket.IPPROTO_IP, IP_MINTTL, 255)


@pytest.mark.pycast(queue_size="16M")  # so that it is not dropped for being too slow
def test_lb_02_listener_that_acknowledges_nothing_for_20_s_is_dropped(pycast_server: Server) -> None:
    with SteadyStream(pycast_server.port, pycast_server.source_password) as stream:
        listener, _ = listen(pycast_server.port, "/steady.mp3")
        with listener:
            pycast_server.wait_for_listeners("/steady.mp3", 2)
            lose_network(listener.sock)
            began = time.monotonic()
            pycast_server.wait_for_listeners("/steady.mp3", 1, LATEST_S)
            assert time.monotonic() - began >= SOONEST_S
        stream.verify()
