"""HAProxy's agent-check: a port on which each connection gets one line that says how much this node can take.

HAProxy asks every few seconds, and ignores it when nobody answers: the last word counts until the next. It needs no
reserve and no slot: a connection here lives for the time of one write.

The line has words separated by blanks. What HAProxy was once told stays until it is told the opposite: after `drain`
only `ready` brings a server back, after `down` only `up`; so a node that takes listeners says both each time. A text
belongs behind ` #`, with a blank before it: glued to a word it makes an unknown one, and HAProxy leaves the server as
it was. HAProxy 2.6 ignores `weight:`: weights are per cent of the configured one.

A full node says 0 %, not `down` and not `drain`: it is well, and comes back by itself. Its `maxconn` is more than what
it serves by as many connections as it turns away at once: HAProxy lets those beyond `maxconn` wait in silence, and a
player is better off with a 503.
"""

import logging
from collections.abc import Callable
from enum import Enum

import gevent
from gevent import socket

from pycast.errors import ConfigError
from pycast.net.group import Group
from pycast.net.sockets import bind, detach

log = logging.getLogger(__name__)

# After an accept that failed: out of descriptors, for example.
PAUSE_S = 0.5

# A balancer has a handful of processes that ask.
ACCEPTS_AT_ONCE = 32


class HaproxyAgent:
    """Listens on `address` and `port`, says what `reply` returns. Raises ConfigError if the port is taken."""

    def __init__(self, address: str, port: int, reply: Callable[[], bytes]) -> None:
        self._reply = reply
        try:
            self._sock = bind(address, port)
        except OSError as error:
            raise ConfigError(
                [f"balancer.agent_port: cannot listen on {address} port {port}: {error.strerror}"]
            ) from error
        self._sock.setblocking(False)
        self._group = Group()
        self.port: int = self._sock.getsockname()[1]

    def start(self) -> None:
        """Answers from now on."""
        self._group.spawn_forever("agent-check", self._run)

    def stop(self) -> None:
        """Answers no more."""
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
        """Never waits: a new connection takes a line at once."""
        bare = detach(sock)
        try:
            bare.send(self._reply())
            # What the other side has said (`agent-send`) has to be read, or closing would reset the connection.
            bare.recv(4096)
        except OSError:  # it has not said anything, or is gone
            pass
        finally:
            bare.close()


class Standing(Enum):
    """What a node wants of the balancer."""

    SERVES = "serves"
    DRAINS = "drains"
    STOPS = "stops"


def agent_reply(standing: Standing, percent: int, connections: int) -> bytes:
    """The answer. `percent` is the weight, `connections` how many the node takes or turns away at the same time."""
    match standing:
        case Standing.SERVES:
            return b"%d%% maxconn:%d up ready\n" % (min(max(percent, 0), 100), max(connections, 1))
        case Standing.DRAINS:
            return b"drain\n"
        case Standing.STOPS:
            return b"down #stopping\n"
