"""A listening port: accepts, admits, gives each connection a greenlet, closes what nobody took.

Accept errors back off and double; running out of descriptors does not kill the server: a spare one is given up to
accept the next client, tell it 503, and close.
"""

import errno
import logging
import os
from dataclasses import dataclass

import gevent
from gevent import socket

from pycast.errors import ConfigError
from pycast.net.group import Group
from pycast.net.sockets import bind, peer_ip
from pycast.net.tls import Certificate
from pycast.server.admission import Ticket
from pycast.server.connection import Connection
from pycast.server.handler import serve_http
from pycast.server.service import Service
from pycast.server.shoutcast import serve_shoutcast

log = logging.getLogger(__name__)

FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.01, 1.0

# Written without reading the request, when not even its head can be read any more.
BUSY = b"HTTP/1.0 503 Service Unavailable\r\nConnection: Close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"

# Connections taken from the backlog before the others get a turn: in a storm, accepted players must get their burst
# meanwhile.
ACCEPTS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen. `mount` is the SHOUTcast source's mount on a port for such sources, else empty."""

    address: str
    port: int
    mount: str = ""
    certificate: Certificate | None = None


class Listening:
    """One listening socket and the connections that came in on it. `port` is the port as bound."""

    def __init__(self, service: Service, endpoint: Endpoint) -> None:
        self._service = service
        self._endpoint = endpoint
        self._connections = Group()
        try:
            self._sock = bind(endpoint.address, endpoint.port)
        except OSError as error:
            raise ConfigError(
                [f"listen: cannot listen on {endpoint.address} port {endpoint.port}: {error.strerror}"]
            ) from error
        self.port: int = self._sock.getsockname()[1]
        self._spare = os.open(os.devnull, os.O_RDONLY)

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens, as configured."""
        return self._endpoint

    def start(self) -> None:
        """Accepts from now on."""
        self._service.group.spawn(f"accept on {self.port}", self._run)

    def close(self) -> None:
        """Takes no more connections."""
        self._sock.close()
        os.close(self._spare)

    def stop(self) -> None:
        """Ends the connections that are not listeners."""
        self._connections.kill()

    def _run(self) -> None:
        back_off = FIRST_BACK_OFF_S
        while True:
            try:
                for _ in range(ACCEPTS_AT_ONCE):
                    self._take(*self._sock.accept())
                gevent.sleep(0)
                back_off = FIRST_BACK_OFF_S
            except OSError as error:
                if self._service.is_stopping:
                    return
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    continue  # the client left before it was accepted (ECONNABORTED and the like, accept(2))
                log.error("cannot accept on port %d: %s", self.port, error.strerror)
                self._turn_one_away()
                gevent.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_S)

    def _take(self, sock: socket.socket, address: tuple[str, int]) -> None:
        service = self._service
        service.counters.connections += 1
        ticket = service.admission.enter()
        if ticket is Ticket.NOTHING:
            service.counters.refused_connections += 1
            service.admission.leave()
            _say_busy(sock)
            return
        connection = Connection(sock, peer_ip(address), self._endpoint.certificate is not None)
        self._connections.spawn("connection", self._serve, connection, ticket)

    def _serve(self, connection: Connection, ticket: Ticket) -> None:
        try:
            if self._endpoint.certificate is not None:
                connection.sock = self._handshake(connection, self._endpoint.certificate)
            if self._endpoint.mount:
                serve_shoutcast(self._service, connection, ticket, self._endpoint.mount)
            else:
                serve_http(self._service, connection, ticket)
        except OSError as error:
            log.info("! %s: connection failed: %s", connection.ip, error)
        finally:
            if not connection.given_away:
                connection.close()
                self._service.admission.leave()

    def _handshake(self, connection: Connection, certificate: Certificate) -> socket.socket:
        connection.sock.settimeout(self._service.config.limits.header_timeout)
        return certificate.context().wrap_socket(connection.sock, server_side=True)

    def _turn_one_away(self) -> None:
        os.close(self._spare)
        try:
            sock, _ = self._sock.accept()
            self._service.counters.refused_connections += 1
            _say_busy(sock)
        except OSError:
            return
        finally:
            self._spare = os.open(os.devnull, os.O_RDONLY)


def _say_busy(sock: socket.socket) -> None:
    try:
        sock.setblocking(False)
        sock.send(BUSY)
        # What the client sent has to be read, or closing would send a reset that overtakes the answer.
        sock.recv(65_536)
    except OSError:
        return
    finally:
        sock.close()
