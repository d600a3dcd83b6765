"""What a port with a certificate does with a new connection: the TLS handshake, or an answer to a client without TLS.

The first byte tells the two apart: a TLS handshake begins with 0x16, and no request does. So one port can take both
(`tls = "auto"`, as icecast-kh and Icecast 2.5 do). A port for TLS only answers a browser, player or encoder whose URL
begins with http:// in words that it can show: a handshake would end the connection without one, and OpenSSL's words in
the log would be "wrong version number".

Invariant: no byte is taken from the socket before it is known which of the two it is, since TLS reads there.
"""

import _socket
import time
from typing import NamedTuple

from gevent import socket

from pycast.errors import RequestError
from pycast.http.request import TLS_HANDSHAKE
from pycast.http.response import Response, error_response, render
from pycast.net.tls import Certificate
from pycast.server.connection import READ_SIZE, Connection, time_limit
from pycast.server.context import ServerContext

_TEXT = "This port takes TLS only: the URL should begin with https://"
# RFC 9110, 15.5.22: what to upgrade to. Icecast 2.5 says it in this way.
_UPGRADE = (("Upgrade", "TLS/1.0, HTTP/1.1"), ("Connection", "Upgrade"))

_FIRST_OF_TLS = bytes((TLS_HANDSHAKE,))


class TlsPort(NamedTuple):
    """How a port takes TLS."""

    certificate: Certificate
    takes_plain: bool = False
    """Whether it takes connections without TLS as well."""
    asks_to_upgrade: bool = False
    """Whether it answers a client without TLS 426 instead of 400 (`tls = "auto_no_plain"`)."""

    def enter(self, context: ServerContext, connection: Connection, first: bytes) -> None:
        """Makes the handshake if the client begins one. Else returns on a port that takes both, and on another one
        answers and raises RequestError. `first` are bytes of the client that were read already; they are none of TLS.
        Raises OSError, also after `header_timeout`. May switch.
        """
        if first and self.takes_plain:
            return
        deadline = time.monotonic() + context.settings.now.limits.header_timeout
        begin = connection.peek(deadline)
        if self.takes_plain and not begin.startswith(_FIRST_OF_TLS):
            return
        if begin and not begin.startswith(_FIRST_OF_TLS):
            self._refuse_plain(context, connection)
        self._handshake(connection, deadline)

    def _handshake(self, connection: Connection, deadline: float) -> None:
        tls = self.certificate.context()
        if tls is None:
            raise RequestError("TLS", cause="a client of TLS, but the certificate cannot be used")
        connection.tls = True
        connection.sock.settimeout(None)
        # The connection gets the TLS socket before the handshake, so that closing it in the middle closes this socket.
        sock = tls.wrap_socket(connection.sock, server_side=True, do_handshake_on_connect=False)
        connection.sock = sock
        with time_limit(deadline - time.monotonic()):
            sock.do_handshake()

    def _refuse_plain(self, context: ServerContext, connection: Connection) -> None:
        context.counters.bad_requests += 1
        connection.tls = False
        config = context.settings.now
        response = self._refusal()
        connection.write(
            render(response, server=config.server.server_id, now=time.time()), config.limits.client_timeout
        )
        connection.linger()
        raise RequestError("plain HTTP", cause=f"plain HTTP on a port of TLS; answered {response.status}")

    def _refusal(self) -> Response:
        return error_response(426, _TEXT, _UPGRADE) if self.asks_to_upgrade else error_response(400, _TEXT)


def read_unless_tls(sock: _socket.socket | socket.socket) -> bytes:
    """Returns what has arrived, as `recv` does; no bytes if it is a TLS handshake, which stays in the socket. Raises
    BlockingIOError and other errors of recv(2). Never switches on a bare socket.
    """
    return b"" if sock.recv(1, socket.MSG_PEEK) == _FIRST_OF_TLS else sock.recv(READ_SIZE)
