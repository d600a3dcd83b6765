"""Opens the ports of a node: those of its configuration, and a worker's port for links.

They are open, and nobody is accepted yet, when `open_ports` returns. Invariant: if one cannot be opened, none is left
open.
"""

import time
from typing import TYPE_CHECKING, NamedTuple

from pycast.app.passed_sockets import PassedSockets
from pycast.config.schema import Config, ListenSection
from pycast.config.serving import is_v6_only
from pycast.errors import ConfigError
from pycast.server.acceptor import Acceptor
from pycast.server.context import ServerContext
from pycast.server.endpoint import Endpoint
from pycast.server.port_pair import listen_on_pair

if TYPE_CHECKING:
    from pycast.app.worker_spec import WorkerPlace
    from pycast.net.tls import Certificate
    from pycast.server.tls_ports import TlsPort


class NodePorts(NamedTuple):
    """The open ports."""

    acceptors: tuple[Acceptor, ...] = ()
    """All of them."""
    link: Acceptor | None = None
    """A worker's port for links."""
    certificate: "Certificate | None" = None
    """That of all ports, if one takes TLS."""

    @property
    def public(self) -> list[Acceptor]:
        """Those that the configuration names."""
        return [one for one in self.acceptors if one is not self.link]


def open_ports(context: ServerContext, passed: PassedSockets, worker: "WorkerPlace | None") -> NodePorts:
    """Opens all ports, with the sockets that were passed for them. Raises ConfigError if one is in use or the
    certificate cannot be used.
    """
    opened: list[Acceptor] = []
    try:
        return _open_ports(context, passed, worker, opened)
    except ConfigError:
        for acceptor in opened:
            acceptor.close()
        raise


def _open_ports(
    context: ServerContext, passed: PassedSockets, worker: "WorkerPlace | None", opened: list[Acceptor]
) -> NodePorts:
    config = context.settings.now
    certificate = _certificate(config, worker)
    for listen in config.listen:
        proxies = None
        if listen.proxy_protocol or listen.trusted_proxies:
            from pycast.server.proxies import proxies_before  # the same for TLS: only for a port that needs it

            proxies = proxies_before(listen)
        tls = _tls_port(certificate, listen) if certificate and listen.tls else None
        first = Endpoint(listen.bind_address, listen.port, "", tls, proxies)
        first = first._replace(serves=frozenset(listen.serves), is_v6_only=is_v6_only(config, listen))
        second = first._replace(mount=listen.shoutcast_mount, tls=None)
        opened += _acceptors_of(context, passed, first, second)
    passed.close_rest()
    link = _link_port(context, worker, certificate) if worker else None
    return NodePorts((*opened, link) if link else tuple(opened), link, certificate)


def _certificate(config: Config, worker: "WorkerPlace | None") -> "Certificate | None":
    link_needs_it = bool(worker) and config.cluster.tls
    if not link_needs_it and not any(listen.tls for listen in config.listen):
        return None
    from pycast.net.tls import Certificate

    is_needed = link_needs_it or any(listen.is_tls_only for listen in config.listen)
    return Certificate(config.tls.certificate, config.tls.private_key, time.monotonic, is_needed=is_needed)


def _tls_port(certificate: "Certificate", listen: ListenSection) -> "TlsPort":
    from pycast.server.tls_ports import TlsPort

    return TlsPort(certificate, listen.tls == "auto", listen.tls == "auto_no_plain")


def _acceptors_of(context: ServerContext, passed: PassedSockets, first: Endpoint, second: Endpoint) -> list[Acceptor]:
    """Listens on `first` and, if it is for SHOUTcast sources, on `second`, with the sockets that were passed."""
    sockets = passed.take(first.address, first.port)
    if not sockets:
        return listen_on_pair(context, first, second) if second.mount else [Acceptor(context, first)]
    acceptors = [Acceptor(context, first, sock) for sock in sockets]
    if second.mount:
        second = second._replace(port=first.port + 1)
        acceptors += [Acceptor(context, second, sock) for sock in passed.take(second.address, second.port) or (None,)]
    return acceptors


def _link_port(context: ServerContext, worker: "WorkerPlace", certificate: "Certificate | None") -> Acceptor:
    tls = None
    if certificate and context.settings.now.cluster.tls:
        from pycast.server.tls_ports import TlsPort

        tls = TlsPort(certificate)
    link = Endpoint(worker.link_address, worker.link_port, "", tls, is_shared=True, serves=frozenset())
    return Acceptor(context, link)
