"""What a port with a certificate does with a new connection: the TLS handshake, or an answer to a client without TLS.

The first byte tells the two apart: a TLS handshake begins with 0x16, and no request does. So one port can take both
(`tls = "auto"`, as icecast-kh and Icecast 2.5 do). A port for TLS only answers a browser, player or encoder whose URL
begins with http:// in words that it can show: a handshake would end the connection without one, and OpenSSL's words in
the log would be "wrong version number".

A client that has begun without TLS may ask for it (RFC 2817): on a port for both, and on one that asks it to upgrade.
Its request is answered after the handshake.

Most handshakes are made without a greenlet: `read` goes on with one as far as bytes are here, and is called again when
more have come (`server/newcomers.py`). Whatever is not as usual is left to `enter`, which goes on where `read` was: a
client that is slow or says it in many small records, a socket that takes nothing, an error, a proxy's header before.

Invariant: no byte is taken from the socket before it is known whether it is TLS.
"""

import ssl
import time
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from gevent import socket

from pycast.errors import Refused, RequestError
from pycast.http.request import TLS_HANDSHAKE, Request
from pycast.http.response import Response, error_response, render
from pycast.net.tls import Certificate
from pycast.net.tls_session import TlsSession
from pycast.net.turns import next_turn
from pycast.server.connection import READ_SIZE, Connection
from pycast.server.context import ServerContext
from pycast.web.routes import is_for_shared_page

_TEXT = "This port takes TLS only: the URL should begin with https://"
# RFC 9110, 15.5.22: what to upgrade to. Icecast 2.5 says it in this way.
_UPGRADE = (("Upgrade", "TLS/1.0, HTTP/1.1"), ("Connection", "Upgrade"))

_SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1\r\n\r\n"
_UPGRADE_LINE = b"\r\nupgrade:"

_FIRST_OF_TLS = bytes((TLS_HANDSHAKE,))


class TlsPort(NamedTuple):
    """How a port takes TLS."""

    certificate: Certificate
    takes_plain: bool = False
    """Whether it takes connections without TLS as well."""
    asks_to_upgrade: bool = False
    """Whether it answers a client without TLS 426 instead of 400 (`tls = "auto_no_plain"`)."""

    def read(self, connection: Connection) -> bytes:
        """Returns what a new client has sent of its request. No bytes if it has ended, or is for `enter`. Raises
        BlockingIOError while more has to come, and other errors of recv(2). Never switches on a bare socket.
        """
        session = connection.session
        if session is None:
            if connection.sock.recv(1, socket.MSG_PEEK) != _FIRST_OF_TLS:
                return connection.sock.recv(READ_SIZE) if self.takes_plain else b""
            session = self._begin(connection)
            if session is None:
                return b""
        arrived = connection.sock.recv(READ_SIZE)
        session.feed(arrived)
        try:
            data = session.read(READ_SIZE)
        except OSError:  # `enter` raises it again, when the client has been told
            return b""
        # What is unsent after a whole handshake, a ticket, goes out with the answer: one packet less.
        if data or not arrived or session.is_over or session.is_behind or not _send_now(connection, session):
            return data
        raise BlockingIOError

    def enter(self, context: ServerContext, connection: Connection, first: bytes, *, is_http: bool = True) -> None:
        """Makes the handshake if the client begins one. Else returns if the client may go on, or may ask for TLS in its
        request; or answers and raises RequestError. `first` are bytes of the client that were read already, decrypted.
        Raises OSError, also after `header_timeout`. May switch.
        """
        connection.upgrade = partial(self.upgrade, context)
        if first and (self.takes_plain or connection.session is not None):
            return
        deadline = connection.begun + context.settings.now.limits.header_timeout
        if connection.session is None:
            begin = connection.peek(deadline)
            if self.takes_plain and not begin.startswith(_FIRST_OF_TLS):
                return
            if begin and not begin.startswith(_FIRST_OF_TLS):
                connection.tls = False
                if self.asks_to_upgrade and is_http:
                    return
                self._refuse_plain(context, connection)
        self._handshake(connection, deadline)

    def upgrade(self, context: ServerContext, connection: Connection, request: Request, rest: bytes) -> None:
        """Makes the handshake if a request without TLS asks for it. Raises Refused if it does not and has to,
        RequestError if more than the request has come, which would be taken for what TLS protects. May switch.
        """
        if connection.tls:
            return
        if not _asks_for_tls(request) or self.certificate.context() is None:
            if not self.takes_plain:
                raise Refused(_TEXT, status=426, cause="plain HTTP on a port of TLS", headers=_UPGRADE)
            return
        if rest:
            raise RequestError("the request asks for TLS, and does not wait for it")
        limits = context.settings.now.limits
        connection.write(_SWITCHING, limits.client_timeout)
        self._handshake(connection, connection.begun + limits.header_timeout)

    def _begin(self, connection: Connection) -> TlsSession | None:
        """Begins the connection's TLS; returns None if there is no usable certificate."""
        tls = self.certificate.context()
        if tls is not None:
            connection.tls = True
            connection.session = TlsSession(tls)
        return connection.session

    def _handshake(self, connection: Connection, deadline: float) -> None:
        session = connection.session or self._begin(connection)
        if session is None:
            raise RequestError("TLS", cause="a client of TLS, but the certificate cannot be used")
        _finish(connection, session, deadline)

    def _refuse_plain(self, context: ServerContext, connection: Connection) -> None:
        context.counters.bad_requests += 1
        config = context.settings.now
        response = self._refusal()
        connection.write(
            render(response, server=config.server.server_id, now=time.time()), config.limits.client_timeout
        )
        connection.linger()
        raise RequestError("plain HTTP", cause=f"plain HTTP on a port of TLS; answered {response.status}")

    def _refusal(self) -> Response:
        return error_response(426, _TEXT, _UPGRADE) if self.asks_to_upgrade else error_response(400, _TEXT)


def _asks_for_tls(request: Request) -> bool:
    headers = request.headers
    options = [word.strip().lower() for word in headers.get("connection").split(",")]
    wanted = [word.strip().lower() for word in headers.get("upgrade").split(",")]
    return "upgrade" in options and any(word.startswith("tls/1.") for word in wanted)


def is_for_page(head: bytes) -> bool:
    """Whether these are the bytes of a request for a shared page which does not ask for anything else first."""
    return is_for_shared_page(head) and _UPGRADE_LINE not in head.lower()


def _send_now(connection: Connection, session: TlsSession) -> bool:
    """Sends what the handshake has to say, as far as the socket takes it. Returns whether that was all."""
    if session.unsent:
        try:
            session.unsent = session.unsent[connection.sock.send(session.unsent) :]
        except BlockingIOError:
            return False
    return not session.unsent


def _finish(connection: Connection, session: TlsSession, deadline: float) -> None:
    """Goes on with a handshake to its end. May switch."""
    turn, sock = -1, connection.sock
    try:
        while True:
            data = session.read(READ_SIZE)
            if session.unsent:
                sock.settimeout(_left(deadline))
                unsent, session.unsent = session.unsent, b""
                sock.sendall(unsent)
            if session.is_ready:
                session.put_back(data)
                return
            turn = next_turn(turn)
            left = _left(deadline)
            if session.is_behind:
                continue
            sock.settimeout(left)
            arrived = sock.recv(READ_SIZE)
            if not arrived:
                raise ConnectionAbortedError("it closed in the middle of the TLS handshake")
            session.feed(arrived)
    except ssl.SSLError:
        sock.settimeout(0.0)
        with suppress(OSError):
            sock.send(session.unsent)
        raise


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left
