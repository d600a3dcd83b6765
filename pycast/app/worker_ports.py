"""The ports that all workers share, held by the parent as long as it runs.

So port 0 becomes the same free port for all of them, and no other program takes a port while a worker is restarted. The
parent never listens on them: if no worker is running, a client is refused at once.
"""

from gevent import socket

from pycast.config.schema import Config, ListenSection
from pycast.errors import ConfigError
from pycast.net.sockets import PAIR_TRIES, bind_hint, reserve

LOOPBACK = "127.0.0.1"


class WorkerPorts:
    """The ports of the [[listen]] sections, and one for each worker's links. Raises ConfigError if one is in use."""

    def __init__(self, config: Config, count: int) -> None:
        self._held: list[socket.socket] = []
        try:
            self.public = tuple(self._hold_public(listen) for listen in config.listen)
            self.link_address = config.listen[0].bind_address if config.cluster.link_port else LOOPBACK
            links = [self._hold_link(config.cluster.link_port, index) for index in range(count)]
        except ConfigError:
            self.close()
            raise
        host = _own_host(config) if config.cluster.link_port else LOOPBACK
        self.links = tuple(f"{host}:{port}" for port in links)
        """`host:port` at which other nodes reach each worker."""

    def close(self) -> None:
        """Releases the ports. Can be called twice."""
        for sock in self._held:
            sock.close()
        self._held.clear()

    def _hold_public(self, listen: ListenSection) -> int:
        if not listen.shoutcast_mount:
            return self._hold(listen.bind_address, listen.port)
        tries = 1 if listen.port else PAIR_TRIES
        while True:
            tries -= 1
            port = self._hold(listen.bind_address, listen.port)
            try:
                self._hold(listen.bind_address, port + 1)
                return port
            except ConfigError:
                self._held.pop().close()
                if not tries:
                    raise

    def _hold_link(self, first: int, index: int) -> int:
        return self._hold(self.link_address, first + index if first else 0)

    def _hold(self, address: str, port: int) -> int:
        """Holds the port, or any free one for 0. Returns its number."""
        try:
            sock = reserve(address, port)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "there is no such port"
            hint = bind_hint(error, port) if isinstance(error, OSError) else ""
            raise ConfigError([f"listen: cannot listen on {address} port {port}: {why}"], hint) from error
        self._held.append(sock)
        bound: int = sock.getsockname()[1]
        return bound


def _own_host(config: Config) -> str:
    """Returns the host by which other machines reach this one."""
    if config.cluster.advertise:
        return config.cluster.advertise.rpartition(":")[0]
    from pycast.cluster.member import own_host  # imported only if needed: it brings the server

    return own_host(config)
