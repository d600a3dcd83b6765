"""One connection: a socket with a deadline, bytes counted, closed once.

It knows no protocol. Its handler reads and writes through it, or takes the socket for good (`give_away`); the socket is
not closed here then. However fast its peer sends, it is read once in a turn of the loop, and no longer than until the
deadline.
"""

import _socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import gevent
from gevent import socket

from pycast.config.values import SERVED
from pycast.http.addresses import Networks
from pycast.http.request import Request
from pycast.net.sockets import attach, is_bare
from pycast.net.turns import next_turn

if TYPE_CHECKING:  # loaded with the configuration of a port that needs it
    from pycast.net.tls_session import TlsSession, TlsStream

READ_SIZE = 65_536

# What is written at once over TLS: all of a page, not all of a large answer, as each byte is in memory twice then.
_TLS_WRITE = 65_536

# The time that the peer has after an answer to read it and close. Closing at once could send a reset, which would
# discard what the peer has not read yet.
LINGER_S = 2.0

# The most that is read and discarded of a connection that is being closed.
LINGER_BYTES = 1 << 20

EVERYTHING = frozenset(SERVED)

Upgrade = Callable[["Connection", Request, bytes], None]
"""Goes over to TLS if the request of a connection without asks for it; the bytes are what came behind the request."""


class Connection:
    """A client's connection. Every wait has a deadline; a `TimeoutError` or another OSError means the peer is gone."""

    def __init__(self, sock: socket.socket | _socket.socket, ip: str, tls: bool) -> None:
        # A bare one before `attach`.
        self.sock = cast(socket.socket, sock)
        self.peer = self.ip = ip
        """The address of the connection, and that of the client as far as it is known: see `client_ip`."""
        self.named = ""
        """The address in its PROXY header."""
        self.tls = tls
        """Whether its client speaks TLS, or has to."""
        self.session: TlsSession | None = None
        """Its TLS, from the first byte on. All that is read and written here goes through it."""
        self.proxies: Networks | None = None
        """The trusted proxies, if `ip` is one of them; its X-Forwarded-For is believed then."""
        self.serves = EVERYTHING
        """What its port answers: words of `listen.serves`."""
        self.is_health_check = False
        """Whether this is a balancer's health check, which closes without a request: that is not logged."""
        self.upgrade: Upgrade | None = None
        """What its first request may ask for; None on a port without TLS."""
        self.begun = time.monotonic()
        """When it was accepted; its request may take `limits.header_timeout`, with all that comes before it."""
        self.bytes_sent = 0
        self.given_away = False
        self._turn = -1
        """The turn of the loop in which it was read last."""

    def attach(self) -> None:
        """Makes a bare socket one of gevent's, so that a greenlet can wait for it."""
        if is_bare(self.sock):
            self.sock = attach(self.sock)

    def read(self, deadline: float) -> bytes:
        """Returns received bytes, and waits for them if there are none yet; returns no bytes at the end of the stream.
        Raises TimeoutError at `deadline` (monotonic), also if there are bytes. May switch.
        """
        left = self._next_turn(deadline)
        if self.session is not None:
            return self._read_tls(self.session, deadline, left)
        self.sock.settimeout(left)
        return self.sock.recv(READ_SIZE)

    def read_late(self, deadline: float) -> bytes:
        """Returns what `read` does, but raises TimeoutError only if there are no bytes: after a standstill of this
        process, the deadline may be noticed before the bytes that have come meanwhile. May switch.
        """
        try:
            return self.read(deadline)
        except TimeoutError:
            if data := self.read_now():
                return data
            raise

    def read_now(self) -> bytes:
        """Returns what has arrived, as `read` does, and no bytes if there is nothing. Never switches."""
        if self.session is None:
            return self._arrived()
        data = self.session.read(READ_SIZE)
        if not data and not self.session.is_behind and (arrived := self._arrived()):
            self.session.feed(arrived)
            data = self.session.read(READ_SIZE)
        return data

    def peek(self, deadline: float) -> bytes:
        """Returns what `read` would without TLS, and leaves the bytes in the socket. May switch."""
        self.sock.settimeout(self._next_turn(deadline))
        return self.sock.recv(READ_SIZE, socket.MSG_PEEK)

    def take(self, size: int) -> bytes:
        """Reads `size` bytes, no more than `peek` has returned."""
        return self.sock.recv(size, socket.MSG_WAITALL)

    def write(self, data: bytes, timeout: float) -> None:
        """Sends all of `data`. Raises TimeoutError. May switch."""
        with time_limit(timeout):
            self.sock.settimeout(None)
            if self.session is None:
                self.sock.sendall(data)
            else:
                for at in range(0, len(data), _TLS_WRITE):
                    self.sock.sendall(self.session.encrypt(memoryview(data)[at : at + _TLS_WRITE]))
        self.bytes_sent += len(data)

    def give_away(self) -> socket.socket:
        """Returns the socket, to which `session` belongs. The caller has to close it; `close` no longer does."""
        self.given_away = True
        return self.sock

    @property
    def stream(self) -> "socket.socket | TlsStream":
        """The connection as a socket, for who reads and writes by itself."""
        return self.sock if self.session is None else self.session.stream(self.sock)

    def linger(self) -> None:
        """Ends the sending side, then reads and discards until the peer closes, so that it can read what was sent. May
        switch.
        """
        try:
            session, self.session = self.session, None  # what comes now is discarded as it comes
            if session is not None:
                self.sock.settimeout(LINGER_S)
                self.sock.sendall(session.end())
            self.sock.shutdown(socket.SHUT_WR)
            deadline, left = time.monotonic() + LINGER_S, LINGER_BYTES
            while left > 0 and time.monotonic() < deadline and (data := self.read(deadline)):
                left -= len(data)
        except OSError:
            return

    def close(self) -> None:
        """Closes the socket unless it was given away."""
        if not self.given_away:
            self.sock.close()

    def _next_turn(self, deadline: float) -> float:
        """Waits for another turn of the loop than that of the last read; returns the seconds that are left then. Raises
        TimeoutError.
        """
        self._turn = next_turn(self._turn)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def _read_tls(self, session: "TlsSession", deadline: float, left: float) -> bytes:
        """Returns what `read` does, over TLS. A peer that sends a record byte by byte does not prolong it."""
        data = session.read(READ_SIZE)
        while not data and not session.is_over:
            if not session.is_behind:
                self.sock.settimeout(left)
                arrived = self.sock.recv(READ_SIZE)
                if not arrived:
                    break
                session.feed(arrived)
            data = session.read(READ_SIZE)
            if not data:
                left = self._next_turn(deadline)
        return data

    def _arrived(self) -> bytes:
        self.sock.settimeout(0.0)
        try:
            return self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return b""


def time_limit(seconds: float) -> gevent.Timeout:
    """Returns a context manager that raises TimeoutError if its block takes longer than `seconds`.

    A socket's own timeout starts again with each part of what is sent, so a peer that reads byte by byte would never
    reach it.
    """
    return gevent.Timeout(max(seconds, 0.001), TimeoutError("timed out"))
