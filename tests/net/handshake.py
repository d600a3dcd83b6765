"""Both ends of a TLS connection in one process."""

import ssl

import gevent
from gevent import socket
from gevent import ssl as gssl

from pycast.net.tls import Certificate
from pycast.net.tls_session import TlsSession


def connect_tls(certificate: Certificate) -> tuple[socket.socket, TlsSession, gssl.SSLSocket]:
    """Returns the server's end, a socket with its TLS, and the client's, both open."""
    ours, theirs = socket.socketpair()
    context = gssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = gevent.spawn(context.wrap_socket, theirs)  # noqa: TID251  # a test's own greenlet
    server = certificate.context()
    assert server is not None
    session = TlsSession(server)
    with gevent.Timeout(10):
        while not session.is_ready:
            session.feed(ours.recv(65_536))
            assert session.read(65_536) == b""
            unsent, session.unsent = session.unsent, b""
            ours.sendall(unsent)
        return ours, session, client.get()
