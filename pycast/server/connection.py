"""One connection: a socket with a deadline, bytes counted, closed once.

It knows no protocol. Its handler reads and writes through it, or takes the socket for good (`give_away`); the socket is
not closed here then. However fast its peer sends, it is read once in a turn of the loop, and no longer than until the
deadline.
"""

import _socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import gevent
from gevent import socket
from gevent.ssl import SSLSocket

from pycast.config.values import SERVED
from pycast.http.addresses import Networks
from pycast.http.request import Request
from pycast.net.sockets import attach, is_bare
from pycast.net.turns import next_turn

READ_SIZE = 65_536

# TLS records that one read takes at most. An encoder writes some 40 times a second, and is read ten times a second.
RECORDS_AT_ONCE = 128

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
        self.sock = cast(socket.socket | SSLSocket, sock)
        self.peer = self.ip = ip
        """The address of the connection, and that of the client as far as it is known: see `client_ip`."""
        self.named = ""
        """The address in its PROXY header."""
        self.tls = tls
        self.proxies: Networks | None = None
        """The trusted proxies, if `ip` is one of them; its X-Forwarded-For is believed then."""
        self.serves = EVERYTHING
        """What its port answers: words of `listen.serves`."""
        self.is_health_check = False
        """Whether this is a balancer's health check, which closes without a request: that is not logged."""
        self.upgrade: Upgrade | None = None
        """What its first request may ask for; None on a port without TLS."""
        self.accepted = time.time()
        self.begun = time.monotonic()
        """From when on its request may take `limits.header_timeout`, with all that comes before it."""
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
        if self.tls:
            return self._read_records(left)
        self.sock.settimeout(left)
        return self.sock.recv(READ_SIZE)

    def read_now(self) -> bytes:
        """Returns what has arrived, as `read` does, and no bytes if there is nothing. Never switches."""
        self.sock.settimeout(0.0)
        try:
            return self._arrived(b"") if self.tls else self.sock.recv(READ_SIZE)
        except BlockingIOError:
            return b""

    def peek(self, deadline: float) -> bytes:
        """Returns what `read` would, and leaves the bytes in the socket. May switch."""
        self.sock.settimeout(self._next_turn(deadline))
        return self.sock.recv(READ_SIZE, socket.MSG_PEEK)

    def take(self, size: int) -> bytes:
        """Reads `size` bytes, no more than `peek` has returned."""
        return self.sock.recv(size, socket.MSG_WAITALL)

    def write(self, data: bytes, timeout: float) -> None:
        """Sends all of `data`. Raises TimeoutError. May switch."""
        with time_limit(timeout):
            self.sock.settimeout(None)
            self.sock.sendall(data)
        self.bytes_sent += len(data)

    def give_away(self) -> socket.socket | SSLSocket:
        """Returns the socket. The caller has to close it; `close` no longer does."""
        self.given_away = True
        return self.sock

    def linger(self) -> None:
        """Ends the sending side, then reads and discards until the peer closes, so that it can read what was sent. May
        switch.
        """
        try:
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

    def _read_records(self, seconds: float) -> bytes:
        """Returns what `read` does, over TLS: the records that have arrived.

        One `recv` returns one record at most, and a record may be as small as one write of the peer. A source of which
        ten records are read in a second would fall behind its encoder.
        """
        with time_limit(seconds):
            self.sock.settimeout(None)
            data = self.sock.recv(READ_SIZE)
        self.sock.settimeout(0.0)
        return self._arrived(data) if data else data

    def _arrived(self, first: bytes) -> bytes:
        """Returns `first` and the TLS records that have arrived after it."""
        records, left = [first], READ_SIZE - len(first)
        with suppress(OSError):  # no more records now, or an error, which the next read raises again
            while left > 0 and len(records) < RECORDS_AT_ONCE and (more := self.sock.recv(left)):
                records.append(more)
                left -= len(more)
        return b"".join(records)


def time_limit(seconds: float) -> gevent.Timeout:
    """Returns a context manager that raises TimeoutError if its block takes longer than `seconds`.

    A socket's own timeout starts again with each part of a TLS record, so a peer that sends byte by byte would never
    reach it.
    """
    return gevent.Timeout(max(seconds, 0.001), TimeoutError("timed out"))
