"""One connection: a socket with a deadline, bytes counted, closed once.

It knows no protocol. Whoever serves it reads and writes through it, or takes the socket away for good (`give_away`),
after which the connection counts as handed over and is not closed here.
"""

import time

from gevent import socket
from gevent.ssl import SSLSocket

from pycast.errors import BodyError, RequestError
from pycast.http.body import Body
from pycast.http.request import HeadReader, Request

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
        self.accepted = time.time()
        self.bytes_sent = 0
        self.given_away = False

    def read(self, deadline: float) -> bytes:
        """The next bytes; none when the peer has finished. Raises TimeoutError at `deadline` (monotonic). May
        switch.
        """
        self.sock.settimeout(max(deadline - time.monotonic(), 0.001))
        return self.sock.recv(READ_SIZE)

    def write(self, data: bytes, timeout: float) -> None:
        """Sends all of `data`. Raises TimeoutError. May switch."""
        self.sock.settimeout(timeout)
        self.sock.sendall(data)
        self.bytes_sent += len(data)

    def read_head(self, reader: HeadReader, deadline: float, first: bytes = b"") -> Request | None:
        """The request head; None if the peer closed without sending one. Raises RequestError, TimeoutError. May
        switch.
        """
        data = first or self.read(deadline)
        begun = bool(data)
        while data:
            request = reader.feed(data)
            if request is not None:
                return request
            data = self.read(deadline)
        if begun:
            raise RequestError("the request ends in the middle of its head")
        return None

    def read_body(self, body: Body, first: bytes, limit: int, deadline: float) -> bytes:
        """A request's body, of which `first` has come already. Raises BodyError if it is longer than `limit`. May
        switch.
        """
        found, data = b"", first
        while True:
            found += body.feed(data)
            if len(found) > limit:
                raise BodyError("the request's body is too long", status=413)
            if body.done:
                return found
            data = self.read(deadline)
            if not data:
                raise BodyError("the request ends in the middle of its body")

    def give_away(self) -> socket.socket | SSLSocket:
        """The socket, which somebody else closes from now on."""
        self.given_away = True
        return self.sock

    def linger(self) -> None:
        """Lets the peer take what was sent: says end, then reads what it still sends until it closes. May switch."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + LINGER_S
            for _ in range(LINGER_BYTES // READ_SIZE):
                if not self.read(deadline):
                    return
        except OSError:
            return

    def close(self) -> None:
        """Closes the socket unless it was given away."""
        if not self.given_away:
            self.sock.close()
