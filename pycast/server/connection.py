"""One connection: a socket with a deadline, bytes counted, closed once.

It knows no protocol. Whoever serves it reads and writes through it, or takes the socket away for good (`give_away`),
after which the connection counts as handed over and is not closed here.
"""

import time
from contextlib import suppress

import gevent
from gevent import socket
from gevent.ssl import SSLSocket

from pycast.http.addresses import Networks

READ_SIZE = 65_536

# After an answer the peer gets this long to take it and close: closing at once would let a reset overtake the answer.
LINGER_S = 2.0

# What a peer may still send into a connection that is being closed.
LINGER_BYTES = 1 << 20


class Connection:
    """A client's connection. Every wait has a deadline; a `TimeoutError` or another OSError means the peer is gone."""

    def __init__(self, sock: socket.socket, ip: str, tls: bool) -> None:
        self.sock = sock
        self.ip = ip
        self.tls = tls
        self.proxies: Networks | None = None
        """Set if whoever is at `ip` is a proxy whose word for its clients' addresses is taken."""
        self.is_check = False
        """A balancer's own connection: that it goes without a word is not worth a line in the log."""
        self.accepted = time.time()
        self.bytes_sent = 0
        self.given_away = False

    def read(self, deadline: float) -> bytes:
        """What has come, or the next bytes; none when the peer has finished. Raises TimeoutError at `deadline`
        (monotonic). May switch.
        """
        if self.tls:
            return self._read_records(deadline)
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        return self.sock.recv(READ_SIZE)

    def peek(self, deadline: float) -> bytes:
        """As `read`, but leaves the bytes where they are. May switch."""
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        return self.sock.recv(READ_SIZE, socket.MSG_PEEK)

    def take(self, size: int) -> bytes:
        """Reads `size` of the bytes that `peek` has shown."""
        return self.sock.recv(size, socket.MSG_WAITALL)

    def write(self, data: bytes, timeout: float) -> None:
        """Sends all of `data`. Raises TimeoutError. May switch."""
        with time_limit(timeout):
            self.sock.settimeout(None)
            self.sock.sendall(data)
        self.bytes_sent += len(data)

    def give_away(self) -> socket.socket | SSLSocket:
        """The socket, which somebody else closes from now on."""
        self.given_away = True
        return self.sock

    def linger(self) -> None:
        """Lets the peer take what was sent: says end, then reads what it still sends until it closes. May switch."""
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

    def _read_records(self, deadline: float) -> bytes:
        """As `read`. One `recv` gives one record at most, and records are as small as the peer's writes: a source that
        is read ten times a second would fall behind its own encoder.
        """
        with time_limit(deadline - time.monotonic()):
            self.sock.settimeout(None)
            data = self.sock.recv(READ_SIZE)
        self.sock.settimeout(0.0)
        with suppress(OSError):  # there is no more now, or it has failed: then the next read fails, too
            while 0 < len(data) < READ_SIZE and (more := self.sock.recv(READ_SIZE - len(data))):
                data += more
        return data


def time_limit(seconds: float) -> gevent.Timeout:
    """Raises TimeoutError in what takes longer. A socket's own timeout begins anew with each part of a TLS record, so a
    peer that sends byte by byte would never meet it.
    """
    return gevent.Timeout(max(seconds, 0.001), TimeoutError("timed out"))
