"""The port for HAProxy's agent-check: each connection gets one line, which says how much this node can take.

HAProxy asks every few seconds, and ignores it when nobody answers: the last word counts until the next. It needs no
reserve and no slot: a connection here lives for the time of one write.
"""

import logging
from collections.abc import Callable

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


class Agent:
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
        self._group.keep("agent-check", self._run)

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
