"""Both ends of a TLS connection in one process."""

import ssl

import gevent
from gevent import socket
from gevent import ssl as gssl

from pycast.net.tls import Certificate


def connect_tls(certificate: Certificate) -> tuple[gssl.SSLSocket, gssl.SSLSocket]:
    """Returns the server's end and the client's, both open."""
    ours, theirs = socket.socketpair()
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = gevent.spawn(context.wrap_socket, theirs)  # noqa: TID251  # a test's own greenlet
    server = certificate.context()
    assert server is not None
    with gevent.Timeout(10):
        return server.wrap_socket(ours, server_side=True), client.get()
