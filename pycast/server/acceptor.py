"""A listening port: accepts, admits, gives each connection a greenlet, closes what nobody took.

Accept errors back off and double; running out of descriptors does not kill the server: a spare one is given up to
accept the next client, tell it 503, and close.
"""

import errno
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import FileIO
from typing import TYPE_CHECKING

import gevent
from gevent import socket

from pycast.balance.admission import RESERVE, Slot
from pycast.errors import ConfigError, RequestError
from pycast.net.group import Group, Task
from pycast.net.sockets import PAIR_TRIES, bind, bind_shared, peer_ip
from pycast.server.connection import Connection, time_limit
from pycast.server.context import ServerContext
from pycast.server.handler import serve_http
from pycast.server.reserve import say_busy

if TYPE_CHECKING:  # loaded with the configuration of a port that needs them
    from pycast.net.tls import Certificate
    from pycast.server.proxies import Proxies

log = logging.getLogger(__name__)

FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.01, 1.0

# Connections taken from the backlog before the others get a turn: in a storm, accepted players must get their burst
# meanwhile.
ACCEPTS_AT_ONCE = RESERVE // 2

# With a limit on accepted connections, how long the next turn waits.
RATE_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen. `mount` is the SHOUTcast source's mount on a port for such sources, else empty."""

    address: str
    port: int
    mount: str = ""
    certificate: "Certificate | None" = None
    proxies: "Proxies | None" = None
    """None if clients connect directly: then nothing is done for proxies."""
    is_shared: bool = False
    """Whether other workers listen there too."""


class Acceptor:
    """One listening socket and the connections that came in on it. `port` is the port as bound."""

    def __init__(self, context: ServerContext, endpoint: Endpoint) -> None:
        self._context = context
        self._endpoint = endpoint
        self._connections = Group()
        self._rate = AcceptRate()
        self._serve_protocol = _protocol(endpoint)
        try:
            self._sock = (bind_shared if endpoint.is_shared else bind)(endpoint.address, endpoint.port)
        except OSError as error:
            raise ConfigError(
                [f"listen: cannot listen on {endpoint.address} port {endpoint.port}: {error.strerror}"]
            ) from error
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self._spare: FileIO | None = FileIO(os.devnull)
        self._accepting: Task | None = None
        self._is_closed = False

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, as configured."""
        return self._endpoint

    def start(self) -> None:
        """Accepts from now on."""
        self._accepting = self._context.group.spawn_forever(f"accept on {self.port}", self._run)

    def close(self) -> None:
        """Takes no more connections. Can be called twice. Never switches."""
        self._is_closed = True
        if self._accepting is not None:
            self._accepting.kill(block=False)
        self._sock.close()
        self._drop_spare()

    def stop(self) -> None:
        """Ends the connections that are not listeners."""
        self._connections.kill()

    def _run(self) -> None:
        back_off = FIRST_BACK_OFF_S
        while not self._is_closed:
            try:
                socket.wait_read(self._sock.fileno())
                self._accept(self._take)
                back_off = FIRST_BACK_OFF_S
                gevent.sleep(RATE_PAUSE_S if self._context.settings.now.limits.accept_rate else 0)
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue  # the client left before it was accepted (ECONNABORTED and the like, accept(2))
                log.error("cannot accept on port %d: %s", self.port, error.strerror)
                self._turn_away()
                gevent.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_S)

    def _take(self, sock: socket.socket, address: tuple[str, int]) -> None:
        context = self._context
        context.counters.connections += 1
        slot = context.admission.enter()
        connection = Connection(sock, peer_ip(address), self._endpoint.certificate is not None)
        if slot is Slot.RESERVED:
            context.reserve.hold(connection)
        self._connections.spawn("connection", self._serve, connection, slot)

    def _serve(self, connection: Connection, slot: Slot) -> None:
        endpoint, first = self._endpoint, b""
        try:
            if endpoint.proxies is not None:
                from pycast.server.proxies import read_proxy_header

                first = read_proxy_header(
                    connection, endpoint.proxies, self._context.settings.now.limits.header_timeout
                )
            if endpoint.certificate is not None:
                self._shake_hands(connection, endpoint.certificate)
            self._serve_protocol(self._context, connection, slot, first)
        except (OSError, RequestError) as error:
            level = logging.DEBUG if connection.is_check else logging.INFO
            log.log(level, "! %s: connection failed: %s", connection.ip, error)
        finally:
            if slot is Slot.RESERVED:
                self._context.reserve.release(connection)
            if not connection.given_away:
                connection.close()
                self._context.admission.leave()

    def _shake_hands(self, connection: Connection, certificate: "Certificate") -> None:
        connection.sock.settimeout(None)
        # First the socket, then the handshake: the connection may be closed in the middle of it.
        sock = certificate.context().wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
        connection.sock = sock
        with time_limit(self._context.settings.now.limits.header_timeout):
            sock.do_handshake()

    def _accept(self, take: Callable[[socket.socket, tuple[str, int]], None]) -> None:
        """Gives `take` the connections that wait, up to a turn's number and the rate's. Never switches."""
        allowed = self._rate.take(time.monotonic(), self._context.settings.now.limits.accept_rate, ACCEPTS_AT_ONCE)
        for number in range(allowed):
            try:
                accepted = self._sock.accept()
            except BlockingIOError:
                self._rate.give_back(allowed - number)
                return
            take(*accepted)

    def _turn_away(self) -> None:
        """With the descriptor kept for this: tells those who wait that there is no room.

        (A FileIO, because gevent's `os.close` closes a turn later.)
        """
        self._drop_spare()
        try:
            self._accept(self._refuse)
            self._spare = FileIO(os.devnull)
        except OSError as error:
            log.debug("! nobody could be turned away: %s", error)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _refuse(self, sock: socket.socket, address: tuple[str, int]) -> None:
        self._context.counters.refused_connections += 1
        say_busy(sock)


class AcceptRate:
    """`limits.accept_rate`: how many connections are accepted in a second. A bucket with a tenth of a second's credit.

    The others wait in the kernel. Without a limit a reconnect storm is served as fast as the machine can; where each
    connection costs more, as with TLS, a limit keeps present listeners from waiting behind handshakes.
    """

    def __init__(self) -> None:
        self._credit = 0.0
        self._last = 0.0

    def take(self, now: float, rate: int, most: int) -> int:
        """How many may be accepted now, at most `most`; `rate` is per second, 0 for no limit."""
        if not rate:
            return most
        self._credit = min(self._credit + (now - self._last) * rate, max(rate / 10, 1.0))
        self._last = now
        allowed = min(int(self._credit), most)
        self._credit -= allowed
        return allowed

    def give_back(self, count: int) -> None:
        """So many of those did not come."""
        self._credit += count


def _protocol(endpoint: Endpoint) -> Callable[[ServerContext, Connection, Slot, bytes], None]:
    """Returns what serves the port's connections. What SHOUTcast's sources need is loaded only for a port of theirs."""
    if not endpoint.mount:
        return serve_http
    from pycast.server.shoutcast_source import serve_shoutcast

    return lambda context, connection, slot, first: serve_shoutcast(context, connection, slot, endpoint.mount, first)


def listen_on_pair(context: ServerContext, first: Endpoint, second: Endpoint) -> list[Acceptor]:
    """Listens on `first`, and with `second` on the port after it, where encoders that know one port look for the other.

    If `first` takes any port, one is chosen whose neighbour is free as well. Raises ConfigError.
    """
    tries = 1 if first.port else PAIR_TRIES
    while True:
        tries -= 1
        listening = Acceptor(context, first)
        try:
            return [listening, Acceptor(context, replace(second, port=listening.port + 1))]
        except ConfigError:
            listening.close()
            if not tries:
                raise
