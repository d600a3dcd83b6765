"""An address to listen on, and how connections to it begin. It knows no sockets that listen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pycast.balance.admission import Slot
from pycast.server.connection import EVERYTHING, Connection
from pycast.server.context import ServerContext
from pycast.server.handler import serve_http
from pycast.server.newcomers import Read, read_arrived
from pycast.web.routes import is_for_shared_page

if TYPE_CHECKING:  # loaded with the configuration of a port that needs them
    from pycast.server.proxies import Proxies
    from pycast.server.tls_ports import TlsPort

Protocol = Callable[[ServerContext, Connection, Slot, bytes], None]
"""Serves a connection; the bytes are those that were read already. May switch."""


class Endpoint(NamedTuple):
    """An address to listen on. `mount` is the mount of SHOUTcast sources on a port for them, else empty."""

    address: str
    port: int
    mount: str = ""
    tls: "TlsPort | None" = None
    """None for a port without TLS."""
    proxies: "Proxies | None" = None
    """None if clients connect directly."""
    is_shared: bool = False
    """Whether other workers listen on the same port."""
    serves: frozenset[str] = EVERYTHING
    """What it answers: words of `listen.serves`, none for a port that only other nodes use."""
    is_v6_only: bool = False
    """Whether another section of the configuration has the port for IPv4."""

    @property
    def is_tls_only(self) -> bool:
        """Whether it takes no connection without TLS."""
        return self.tls is not None and not self.tls.takes_plain

    @property
    def is_direct(self) -> bool:
        """Whether clients connect directly, with requests."""
        return self.proxies is None and not self.mount

    def protocol(self) -> Protocol:
        """Returns the function that serves the port's connections. SHOUTcast's module is loaded only for a port that
        needs it.
        """
        if not self.mount:
            return serve_http
        from pycast.server.shoutcast_source import serve_shoutcast

        return lambda context, connection, slot, first: serve_shoutcast(context, connection, slot, self.mount, first)

    def reader(self) -> Read:
        """Returns the function that reads what new clients of the port send first."""
        return read_arrived if self.tls is None else self.tls.read

    def page_test(self) -> Callable[[bytes], bool]:
        """Returns the function that tells requests for shared pages."""
        if self.tls is None:
            return is_for_shared_page
        from pycast.server.tls_ports import is_for_page

        return is_for_page
