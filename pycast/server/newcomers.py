"""New connections, until the first bytes of their requests are here: without a greenlet for each.

Most clients send their request at once, so it is read when they are accepted, or a moment later when the kernel reports
it: one epoll object has all who have sent nothing yet, and the hub watches only its descriptor, as in
`net/hangups.py`. Who has sent nothing after `MOMENT_S` gets a greenlet, and waits there with a deadline.

On a port that takes TLS, the handshake comes before: `read` goes on with it (`server/tls_ports.py`).

Invariant: a connection taken is passed on exactly once, unless it was closed meanwhile.
"""

import select
import socket
import time
from collections.abc import Callable
from itertools import islice

from gevent import monkey
from gevent.hub import get_hub

from pycast.net.sweeper import Sweeper
from pycast.server.connection import READ_SIZE, Connection

# A round trip around the world. Nearly all requests are sent with the connection's third packet, or right after it. In
# the middle of a handshake it is longer: while thousands connect, a client waits for this server and for its own crowd,
# and a greenlet for each of those, and its whole way to the stream, would make all wait longer still.
MOMENT_S, HANDSHAKE_MOMENT_S = 0.25, 5.0

# Connections read before other greenlets run, for how long, and how many of them get a greenlet: in a storm they come
# on top of those that the acceptor lets on in the same turn, and who plays already waits for all of them.
MOST_AT_ONCE, READ_S, GREENLETS_AT_ONCE = 512, 0.005, 16

# Of those who stay silent, how many get a greenlet in each half of that moment.
MOST_SILENT = 256

Read = Callable[[Connection], bytes]
"""Returns what has arrived of a request. Raises BlockingIOError and other errors of recv(2). Never switches."""

PassOn = Callable[[Connection, bytes], bool]
"""Takes a connection and its first bytes; no bytes if there are none yet, or it has ended. Returns whether it got a
greenlet. Never switches."""


def read_arrived(connection: Connection) -> bytes:
    """Reads as a port without TLS does."""
    return connection.sock.recv(READ_SIZE)


def arrived(connection: Connection) -> bytes:
    """Returns what has arrived on a connection without TLS; no bytes if there are none yet, or it has ended."""
    try:
        return read_arrived(connection)
    except OSError:
        return b""


def has_ended(connection: Connection) -> bool:
    """Whether a connection from which there is nothing to read is over."""
    try:
        return not connection.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


class Newcomers:
    """The connections of a port that have sent nothing yet."""

    def __init__(self, pass_on: PassOn, read: Read = read_arrived, most_s: Callable[[], float] | None = None) -> None:
        """`most_s` returns for how long a client may take: nobody waits here for longer than that."""
        self._pass_on = pass_on
        self._read = read
        self._most_s = most_s
        # gevent removes `epoll` from the patched module, because waiting on it blocks. This one is only polled.
        self._epoll = monkey.get_original("select", "epoll")()
        self._waiting: dict[int, tuple[Connection, float]] = {}
        self._is_running = self._is_over = False
        self._sweeper = Sweeper(MOMENT_S / 2, self._sweep)

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, connection: Connection) -> None:
        """Passes the connection on if it has sent something, else waits for it. Never switches."""
        try:
            data = self._read(connection)
        except BlockingIOError:
            fd = connection.sock.fileno()
            self._waiting[fd] = connection, time.monotonic()
            self._epoll.register(fd, select.EPOLLIN | select.EPOLLRDHUP)
            self._sweeper.begin()
        except OSError:
            self._pass_on(connection, b"")
        else:
            self._pass_on(connection, data)

    def run(self) -> None:
        """Passes on, for ever. May switch."""
        hub = get_hub()
        watcher = hub.loop.io(self._epoll.fileno(), 1)
        self._is_running = True
        try:
            while True:
                hub.wait(watcher)
                if self._is_over:
                    return
                self._read_some()
        finally:
            watcher.stop()
            watcher.close()
            self._is_running = False
            self._close_epoll()

    def close(self) -> None:
        """Passes on all who are left, and has `run` end. Never switches."""
        for fd in list(self._waiting):
            self._on_bytes(fd, is_last=True)
        self._sweeper.close()
        self._is_over = True
        self._close_epoll()

    def _read_some(self) -> None:
        until, greenlets = time.monotonic() + READ_S, 0
        for fd, _ in self._epoll.poll(0, MOST_AT_ONCE):
            if greenlets >= GREENLETS_AT_ONCE or time.monotonic() >= until:  # the others are reported again
                break
            greenlets += self._on_bytes(fd)

    def _close_epoll(self) -> None:
        # libev aborts the process if a descriptor is closed that it still watches, which it does until `run` has ended.
        if self._is_over and not self._is_running:
            self._epoll.close()

    def _on_bytes(self, fd: int, *, is_last: bool = False) -> bool:
        """Passes on who has sent something; with `is_last`, also who has not."""
        connection, _ = self._waiting[fd]
        if connection.sock.fileno() != fd:  # it was closed, which also removed it from the epoll
            del self._waiting[fd]
            return False
        try:
            data = self._read(connection)
        except BlockingIOError:
            if not is_last:  # more has to come
                return False
            data = b""
        except OSError:
            data = b""
        return self._let_go(fd, connection, data)

    def _sweep(self) -> int:
        now = time.monotonic()
        handshake_s = min(HANDSHAKE_MOMENT_S, self._most_s()) if self._most_s else HANDSHAKE_MOMENT_S
        for fd, (connection, since) in list(islice(self._waiting.items(), MOST_SILENT)):
            if since > now - MOMENT_S:  # the others came later
                break
            if connection.session is None:
                self._on_bytes(fd, is_last=True)
            elif since <= now - handshake_s:
                self._let_go(fd, connection, b"")  # the step that may be due is made by its greenlet
        return len(self._waiting)

    def _let_go(self, fd: int, connection: Connection, data: bytes) -> bool:
        del self._waiting[fd]
        if connection.sock.fileno() != fd:
            return False
        self._epoll.unregister(fd)
        return self._pass_on(connection, data)
