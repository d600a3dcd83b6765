"""The ports of all workers, held by the parent as long as it runs.

For each public port the parent opens one listening socket for each worker; all of them share the port, and a worker
inherits its own. So a queue of connections outlives the process that was to accept them, and the worker's next process
goes on with it. No other program takes a port meanwhile, and port 0 is the same free port for all. While a worker does
not serve, the kernel gives new connections to the others, and what waits for a worker that does not come back is
answered 503. The ports for links are only reserved: other nodes must find out at once that a worker is not there.

Sockets that systemd passes are dealt out in turn, or shared if they are fewer than the workers. Their queues are left
to the next start.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

from gevent import socket

from pycast.app.passed_sockets import PassedSockets
from pycast.config.schema import Config, ListenSection
from pycast.config.serving import is_v6_only
from pycast.errors import ConfigError
from pycast.net.farewell import Farewell
from pycast.net.packet_filters import hold_new, steer
from pycast.net.sockets import BACKLOG, PAIR_TRIES, bind_hint, bind_shared, reserve

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

# How long clients that were answered may take to read it and close.
FAREWELL_S = 0.5


class WorkerPort(NamedTuple):
    """A public port."""

    address: str
    number: int
    uses_tls: bool
    passed: tuple[socket.socket, ...]
    """The sockets that systemd passed for it; none if the parent opens them."""
    is_v6_only: bool
    sockets: list[list[socket.socket]]
    """The listening sockets of each worker."""


class WorkerPorts:
    """The ports of the [[listen]] sections, and one for each worker's links. Raises ConfigError if one is in use."""

    def __init__(self, config: Config, count: int, passed: PassedSockets | None = None) -> None:
        self._count = count
        self._passed = passed or PassedSockets()
        self._reserved: list[socket.socket] = []
        self._ports: list[WorkerPort] = []
        try:
            self.public = tuple(self._hold_public(listen, is_v6_only(config, listen)) for listen in config.listen)
            self.link_address = config.listen[0].bind_address if config.cluster.link_port else LOOPBACK
            links = [self._reserve_link(config.cluster.link_port, index) for index in range(count)]
            self._passed.close_rest()
            for port in self._ports:
                self._listen(port)
        except ConfigError:
            self.close()
            raise
        host = _own_host(config) if config.cluster.link_port else LOOPBACK
        self.links = tuple(f"{host}:{port}" for port in links)
        """`host:port` at which other nodes reach each worker."""

    @property
    def from_systemd(self) -> bool:
        """Whether some of the sockets are systemd's."""
        return any(port.passed for port in self._ports)

    @property
    def descriptors(self) -> list[int]:
        """The descriptors of all sockets: those that listen, and those that only hold a port."""
        return [sock.fileno() for sock in self._all]

    def sockets(self, index: int) -> tuple[int, ...]:
        """Returns the descriptors of a worker's listening sockets."""
        return tuple(sock.fileno() for port in self._ports for sock in port.sockets[index])

    def steer(self, serving: Sequence[int]) -> None:
        """Has new connections go to these workers only; to all if there are none or all of them. Never switches."""
        for port in self._ports:
            if not port.passed and not steer(port.sockets[0][0], serving, self._count):
                log.debug("= the kernel cannot choose among the sockets of port %d", port.number)

    def refuse(self, index: int) -> int:
        """Answers 503 to all that wait for a worker, and returns how many. May switch."""
        farewell = Farewell()
        for port in self._ports:
            _refuse(port, index, farewell)
        refused = len(farewell)
        farewell.wait(FAREWELL_S)
        return refused

    def close_worker(self, index: int) -> None:
        """Closes the sockets of a worker that serves no more; those who wait are answered 503. May switch."""
        self.steer([])  # by its own hash the kernel goes on with the sockets that are left
        farewell = Farewell()
        for port in self._ports:
            if not port.passed:
                hold_new(port.sockets[index][0])
                _refuse(port, index, farewell)
                port.sockets[index][0].close()
        farewell.wait(FAREWELL_S)

    def close(self) -> None:
        """Releases the ports. Can be called twice."""
        for sock in self._all:
            sock.close()
        self._reserved.clear()
        self._ports.clear()

    @property
    def _all(self) -> list[socket.socket]:
        listening = [sock for port in self._ports for each in (port.passed, *port.sockets) for sock in each]
        return [*self._reserved, *listening]

    def _hold_public(self, listen: ListenSection, is_v6_only: bool) -> int:
        """Takes the port of a section, and the next one if it is for SHOUTcast. Returns its number."""
        address, number = listen.bind_address, listen.port
        passed = tuple(self._passed.take(address, number))
        if not passed:
            number = self._reserve_public(listen, is_v6_only)
        self._ports.append(WorkerPort(address, number, listen.is_tls_only, passed, is_v6_only, []))
        if listen.shoutcast_mount:
            next_passed = tuple(self._passed.take(address, number + 1)) if passed else ()
            if passed and not next_passed:
                self._reserve(address, number + 1, is_v6_only)
            self._ports.append(WorkerPort(address, number + 1, False, next_passed, is_v6_only, []))
        return number

    def _reserve_public(self, listen: ListenSection, is_v6_only: bool) -> int:
        tries = 1 if listen.port or not listen.shoutcast_mount else PAIR_TRIES
        while True:
            tries -= 1
            number = self._reserve(listen.bind_address, listen.port, is_v6_only)
            try:
                if listen.shoutcast_mount:
                    self._reserve(listen.bind_address, number + 1, is_v6_only)
                return number
            except ConfigError:
                self._reserved.pop().close()
                if not tries:
                    raise

    def _reserve_link(self, first: int, index: int) -> int:
        return self._reserve(self.link_address, first + index if first else 0)

    def _reserve(self, address: str, port: int, is_v6_only: bool = False) -> int:
        """Holds the port, or any free one for 0. Returns its number."""
        try:
            sock = reserve(address, port, is_v6_only=is_v6_only)
        except (OSError, OverflowError) as error:
            raise _in_use(address, port, error) from error
        self._reserved.append(sock)
        bound: int = sock.getsockname()[1]
        return bound

    def _listen(self, port: WorkerPort) -> None:
        """Opens the sockets in the order of the workers, by which `steer` names them."""
        for index in range(self._count):
            if port.passed:
                few = len(port.passed) < self._count
                port.sockets.append(
                    list(port.passed[index % len(port.passed) :: len(port.passed) if few else self._count])
                )
                continue
            try:
                sock = bind_shared(port.address, port.number, is_v6_only=port.is_v6_only)
            except OSError as error:
                raise _in_use(port.address, port.number, error) from error
            sock.setblocking(False)
            port.sockets.append([sock])


def _refuse(port: WorkerPort, index: int, farewell: Farewell) -> None:
    """Takes all connections that wait, and answers them unless they expect TLS. Never switches."""
    from pycast.server.reserve import BUSY  # imported only if needed: the parent starts without the server

    sock = port.sockets[index][0]
    if port.passed or sock.fileno() < 0:
        return
    try:
        for _ in range(BACKLOG + 1):
            farewell.add(sock.accept()[0], b"" if port.uses_tls else BUSY)
    except BlockingIOError:
        return
    except OSError as error:
        log.warning("clients that wait at port %d could not be answered: %s", port.number, error.strerror)


def _in_use(address: str, port: int, error: OSError | OverflowError) -> ConfigError:
    why = error.strerror if isinstance(error, OSError) else "there is no such port"
    hint = bind_hint(error, port) if isinstance(error, OSError) else ""
    return ConfigError([f"listen: cannot listen on {address} port {port}: {why}"], hint)


def _own_host(config: Config) -> str:
    """Returns the host by which other machines reach this one."""
    if config.cluster.advertise:
        return config.cluster.advertise.rpartition(":")[0]
    from pycast.cluster.member import own_host  # imported only if needed: it brings the server

    return own_host(config)
