"""HAProxy's agent-check: a port on which each connection gets one line that says how much this node can take.

HAProxy connects every few seconds. If nothing answers, it keeps the last line it got. A connection here takes no slot
and needs no reserve, because it is open for one write only.

The line has words separated by blanks. HAProxy keeps a state until it gets the opposite word: after `drain` only
`ready` brings a server back, after `down` only `up`. So a node that takes listeners sends both each time. A comment
follows ` #`, with a blank before it: without the blank HAProxy reads an unknown word and leaves the server's state as
it was. HAProxy 2.6 ignores `weight:`, so the weight is sent as a percentage of the configured one.

A full node sends 0 %, neither `down` nor `drain`: it works, and takes listeners again as soon as some leave. Its
`maxconn` is the number of connections that it serves plus the number that it can refuse at once: HAProxy makes
connections beyond `maxconn` wait without an answer, and a player is better off with a 503.
"""

import logging
from collections.abc import Callable
from enum import Enum

import gevent
from gevent import socket

from pycast.errors import ConfigError
from pycast.net.group import Group
from pycast.net.sockets import bind, bind_hint, detach

log = logging.getLogger(__name__)

# The pause after an accept that failed, for example for lack of descriptors.
PAUSE_S = 0.5

# Connections answered before other greenlets run. A balancer has a handful of processes that connect.
ACCEPTS_AT_ONCE = 32


class HaproxyAgent:
    """The agent-check's port: each connection gets what `reply` returns. Raises ConfigError if the port is taken."""

    def __init__(self, address: str, port: int, reply: Callable[[], bytes]) -> None:
        self._reply = reply
        try:
            self._sock = bind(address, port)
        except OSError as error:
            raise ConfigError(
                [f"balancer.agent_port: cannot listen on {address} port {port}: {error.strerror}"],
                bind_hint(error, port),
            ) from error
        self._sock.setblocking(False)
        self._group = Group()
        self.port: int = self._sock.getsockname()[1]

    def start(self) -> None:
        self._group.spawn_forever("agent-check", self._run)

    def stop(self) -> None:
        """Closes the port. May switch."""
        self._group.kill()
        self._sock.close()

    def _run(self) -> None:
        while True:
            try:
                socket.wait_read(self._sock.fileno())
                for _ in range(ACCEPTS_AT_ONCE):
                    self._answer(self._sock.accept()[0])
            except BlockingIOError:
                pass
            except OSError as error:
                log.debug("! agent-check: %s", error)
                gevent.sleep(PAUSE_S)
            gevent.sleep(0)

    def _answer(self, sock: socket.socket) -> None:
        """Sends the line and closes. Never switches: a new connection has room for one line."""
        bare = detach(sock)
        try:
            bare.send(self._reply())
            # HAProxy may have sent something (`agent-send`). Closing with unread bytes would reset the connection.
            bare.recv(4096)
        except OSError:  # it has sent nothing, or is gone
            pass
        finally:
            bare.close()


class Standing(Enum):
    """The state that a node announces to the balancer."""

    SERVES = "serves"
    DRAINS = "drains"
    STOPS = "stops"


def agent_reply(standing: Standing, percent: int, connections: int) -> bytes:
    """Returns the line. `percent` is the weight, `connections` how many the node serves and can refuse at once."""
    match standing:
        case Standing.SERVES:
            return b"%d%% maxconn:%d up ready\n" % (min(max(percent, 0), 100), max(connections, 1))
        case Standing.DRAINS:
            return b"drain\n"
        case Standing.STOPS:
            return b"down #stopping\n"
