"""The server's end of TLS without its socket: takes the bytes that a client sends, gives those that have to go to it.

So the socket is read and written as one without TLS, by whoever has the connection: the epoll that has all newcomers, a
greenlet, the fan-out. Where OpenSSL reads and writes the socket itself, it takes two reads for each record and a write
for each 16 KiB.

All sessions share two buffers of OpenSSL's, which are empty between two calls: those of a session's own would keep the
size of its largest write, a burst. For the same reason OpenSSL gets whole records only, else it would hold a buffer for
the rest of one.

Invariants: what has to go to the client is returned, or is in `unsent` and goes out before what is returned next. What
a session has left in the shared buffers is discarded with it.
"""

import _socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

from gevent import socket

# The most bytes in a TLS record (RFC 8446, 5.1).
RECORD = 16_384

# Records that one read takes at most. An encoder writes some 40 times a second, and is read ten times a second.
RECORDS_AT_ONCE = 128

# What is encrypted before it is sent: a larger write saves little, and what a full socket refuses of it is in memory.
SLICE = 2 * RECORD

# The most that may wait to go to a client that only sends: it may ask for new keys, and each time gets an answer. The
# server's part of the handshake is a tenth of it.
MOST_UNSENT = 65_536

# What stands before a record, and the longest that may follow it (TLS 1.2; in 1.3 it is less).
_HEADER, _LONGEST = 5, RECORD + 2048

_incoming, _outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()


class TlsSession:
    """One connection's TLS. Never switches. Its errors are `ssl.SSLError`, which is an OSError."""

    __slots__ = ("_ahead", "_arrived", "_end", "error", "is_over", "is_ready", "unsent")

    def __init__(self, context: ssl.SSLContext) -> None:
        self._end = context.wrap_bio(_incoming, _outgoing, server_side=True)
        self._arrived = self._ahead = b""
        self.is_ready = False
        """Whether the handshake is done."""
        self.is_over = False
        """Whether the client has said that it sends no more."""
        self.error: ssl.SSLError | None = None
        """Why the connection cannot go on."""
        self.unsent = b""

    @property
    def is_behind(self) -> bool:
        """Whether `read` goes on with what it has: it takes a limited number of records, and may find no data in them.
        Who feeds it more meanwhile keeps what a client sends that says nothing in many small records.
        """
        return self._end_of_records(0) > 0

    def feed(self, data: bytes) -> None:
        """Takes what the client has sent, for `read`, when it is not `is_behind`."""
        self._arrived = self._arrived + data if self._arrived else data

    def put_back(self, data: bytes) -> None:
        """Has the next `read` return these bytes, which were read with the end of the handshake."""
        self._ahead = data

    def read(self, size: int) -> bytes:
        """Goes on with the handshake, then decrypts: returns what has come in at most `size` bytes of records, and in
        at most `RECORDS_AT_ONCE` of them. No bytes if no whole record has come, or only such as are TLS's own; also if
        the client has ended. Raises what has failed, again at each call; an alert for the client is in `unsent`.

        A record may be as small as one write of the peer, and a source of which ten records are read in a second would
        fall behind its encoder.
        """
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        records: list[bytes] = []
        end = 0 if self.error else self._end_of_records(size)
        if end:
            whole, self._arrived = self._arrived[:end], self._arrived[end:]
            try:
                _incoming.write(whole)
                self._work(records)
            finally:
                _incoming.read()
                self.unsent += _outgoing.read()
            if len(self.unsent) > MOST_UNSENT:
                self.error = ssl.SSLError("the client asks for more than it reads")
        if self.error and not records:
            raise self.error
        return b"".join(records)

    def _work(self, records: list[bytes]) -> None:
        try:
            if not self.is_ready:
                self._end.do_handshake()
                self.is_ready = True
            while data := self._end.read(RECORD):
                records.append(data)
            self.is_over = True
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as error:
            self.error = error

    def _end_of_records(self, size: int) -> int:
        """Returns where the last of the records ends that are read next."""
        data, end = self._arrived, 0
        for _ in range(RECORDS_AT_ONCE):
            length = int.from_bytes(data[end + 3 : end + _HEADER])
            if length > _LONGEST:  # no record; OpenSSL says so
                return len(data)
            following = end + _HEADER + length
            if end + _HEADER > len(data) or following > len(data) or (end and following > size):
                break
            end = following
        return end

    def encrypt(self, data: bytes | memoryview) -> bytes:
        """Returns what has to be sent so that the client gets `data`, and before it what is `unsent`."""
        write = self._end.write
        try:
            done = write(data)
            while done < len(data):  # a record at a time, if OpenSSL is set so
                done += write(memoryview(data)[done:])
        except BaseException:
            _outgoing.read()  # else the next session would send it
            raise
        if self.unsent:
            unsent, self.unsent = self.unsent, b""
            return unsent + _outgoing.read()
        return _outgoing.read()

    def end(self) -> bytes:
        """Returns what has to be sent to tell the client that nothing follows."""
        with suppress(ssl.SSLError):  # its answer has not come
            self._end.unwrap()
        unsent, self.unsent = self.unsent, b""
        return unsent + _outgoing.read()

    def transport(self, sock: _socket.socket) -> "TlsTransport":
        """Returns the connection as a listener's transport."""
        return TlsTransport(sock, self)

    def stream(self, sock: socket.socket) -> "TlsStream":
        """Returns the connection as a socket for greenlets."""
        return TlsStream(sock, self)


class TlsTransport:
    """A TLS connection as a listener's transport: `send` never waits, and raises BlockingIOError as a bare socket
    does.

    What is encrypted has to go out, in its order. So a slice that the socket took only a part of is kept (`unsent`) and
    goes out before what is sent next. It counts as sent when it is out, and who offers the same bytes again is told so;
    who may offer others calls `settle` after each send that took less than the whole.
    """

    __slots__ = ("_encrypt", "_refused", "_session", "_sock", "unsent")

    def __init__(self, sock: _socket.socket, session: TlsSession) -> None:
        self._sock = sock
        self._session = session
        self._encrypt = session.encrypt
        self.unsent = b""
        """What is encrypted and still has to go out: `send` begins with it, also if it is offered nothing."""
        self._refused = 0
        """How many bytes of those that are offered next are in `unsent`, or went out with it."""

    def send(self, data: bytes | memoryview, /) -> int:
        """Sends what the socket takes now. Returns how many bytes. Raises BlockingIOError if it takes none."""
        size, sent = len(data), 0
        if self._refused or self.unsent:
            sent = self._send_rest(size)
        while sent < size:
            piece = data if size <= SLICE and not sent else memoryview(data)[sent : sent + SLICE]
            encrypted = self._encrypt(piece)
            try:
                taken = self._sock.send(encrypted)
            except BlockingIOError:
                taken = 0
            if taken < len(encrypted):
                self.unsent, self._refused = encrypted[taken:], len(piece)
                break
            sent += len(piece)
        if not sent:
            raise BlockingIOError
        return sent

    def _send_rest(self, size: int) -> int:
        """Sends what was kept; returns how many of the `size` bytes that are offered now went out with it. Raises
        BlockingIOError.
        """
        if self.unsent:
            self.unsent = self.unsent[self._sock.send(self.unsent) :]
            if self.unsent:
                raise BlockingIOError
        counted = min(size, self._refused)
        self._refused -= counted
        return counted

    def settle(self) -> int:
        """Returns how many bytes of those that were offered last go out although they were not counted as sent. They
        count as sent from now on: what is offered next follows them.
        """
        refused, self._refused = self._refused, 0
        return refused

    def sendmsg(self, buffers: Sequence[bytes | memoryview], /) -> int:
        """Sends the joined buffers, as `send` does. The copy is no loss: TLS copies into records anyway."""
        return self.send(b"".join(buffers))

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        """Closes the socket, and tells the client that the stream ends here if it has got all that was encrypted."""
        with suppress(OSError):
            if not self.unsent and self._sock.fileno() >= 0:
                self._sock.send(self._session.end())
        self._sock.close()


class TlsStream:
    """A TLS connection as a socket for greenlets. One reads, and one at a time writes. The methods may switch, as those
    of a socket do.
    """

    def __init__(self, sock: socket.socket, session: TlsSession) -> None:
        self._sock = sock
        self._session = session
        self.settimeout = sock.settimeout
        self.shutdown = sock.shutdown
        self.close = sock.close

    def recv(self, size: int) -> bytes:
        while not (data := self._session.read(size)) and not self._session.is_over:
            if self._session.is_behind:
                continue
            arrived = self._sock.recv(size)
            if not arrived:
                break
            self._session.feed(arrived)
        return data

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), SLICE):
            self._sock.sendall(self._session.encrypt(memoryview(data)[at : at + SLICE]))
