"""A connection between two nodes: opened, authenticated by the handshake, and cut into frames.

It begins as an HTTP request on a node's ordinary port, so that it passes wherever the node's streams pass. A peer that
fails the handshake is disconnected. It has seen only our nonce. A `Link` is read by one greenlet; several may write,
each whole frames.
"""

import logging
import secrets
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

import gevent
from gevent import socket
from gevent import ssl as gssl
from gevent.lock import RLock

from pycast.cluster.link.frames import Frame, FrameReader, Kind, LinkError, pack_json
from pycast.cluster.link.handshake import NONCE_SIZE, PROOF_SIZE, answerer_proof, caller_proof, is_same
from pycast.config.live import Live
from pycast.config.schema import ClusterSection
from pycast.errors import ExternalError
from pycast.http.request import Request
from pycast.net.sockets import set_connection_options
from pycast.net.turns import give_turn, next_turn

log = logging.getLogger(__name__)

PATH = "/_cluster/v1"
PROTOCOL = "pycast-cluster/1"

# To connect and for the handshake. Within one region each round trip takes milliseconds.
DIAL_S = 1.0

# A peer that does not read for this long counts as lost.
WRITE_S = 5.0

READ_SIZE = 1 << 18

# What another node sends is read once in a turn of the loop, and this many frames of it are worked on.
FRAMES_A_TURN = 16

_MOST_HEAD = 8192


class DialFailed(ExternalError):
    """The error of a node that could not be reached. `is_refused`: nothing listens at its address."""

    def __init__(self, text: str, *, is_refused: bool = False) -> None:
        super().__init__(text)
        self.is_refused = is_refused


class Link:
    """One authenticated connection. Its methods raise OSError when it is broken or a deadline has passed, LinkError for
    data that breaks the protocol.
    """

    def __init__(self, sock: socket.socket, rest: bytes = b"") -> None:
        self._sock = sock
        self._reader = FrameReader()
        self._rest = rest
        self._frames: deque[Frame] = deque()
        self._turn = -1
        self._given = 0
        """Frames given out in this turn of the loop."""
        self._writing = RLock()
        self._is_closed = False
        self.bytes_read = 0
        """Bytes read since the user of the link has set this to 0."""

    def read(self, timeout: float | None) -> Frame | None:
        """Returns the next frame; None when the other side has closed. Without a `timeout` it waits until TCP finds the
        other side dead. May switch.
        """
        if not self._frames and self._rest:
            self._frames.extend(self._reader.feed(self._rest))
            self._rest = b""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._frames:
            self._next_turn()
            self._sock.settimeout(None if deadline is None else _left(deadline))
            try:
                data = self._sock.recv(READ_SIZE)
            except OSError as error:
                if self._is_closed:
                    raise LinkError("it was closed by this node") from error
                raise
            if not data:
                return None
            self.bytes_read += len(data)
            self._frames.extend(self._reader.feed(data))
        self._given += 1
        if self._given > FRAMES_A_TURN:
            self._next_turn()
        return self._frames.popleft()

    def _next_turn(self) -> None:
        """Waits for another turn of the loop, if it has not turned since the last call. May switch."""
        self._turn, self._given = next_turn(self._turn), 0

    def write(self, data: bytes) -> None:
        """Sends whole frames. May switch."""
        with self._writing:
            self._sock.settimeout(WRITE_S)
            sent = self._sock.send(data)
            if sent == len(data):  # nearly always: this saves the timer of a deadline over several sends
                return
            with gevent.Timeout(WRITE_S, TimeoutError("the other node does not read")):
                self._sock.sendall(data[sent:])

    def write_json(self, kind: Kind, value: object) -> None:
        """Sends a frame of JSON. May switch."""
        self.write(pack_json(kind, value))

    def close(self) -> None:
        """Closes the connection; a read or write that is under way gets an error."""
        self._is_closed = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@dataclass(frozen=True, slots=True)
class Connector:
    """The opener and acceptor of links. The settings are read for each link: a reload may change the secret."""

    settings: Live

    def dial(self, address: str) -> Link:
        """Returns a link to the node at `address` (host:port). Raises DialFailed. May switch."""
        cluster = self.settings.now.cluster
        sock: socket.socket | None = None
        try:
            with gevent.Timeout(DIAL_S, TimeoutError("no answer in time")):
                sock = socket.create_connection(split_address(address))
                set_connection_options(sock)
                if cluster.tls:
                    sock = _tls(cluster, sock, split_address(address)[0])
                return Link(sock, _request_link(cluster, sock, address))
        except (OSError, LinkError) as error:
            if sock is not None:
                sock.close()
            is_refused = isinstance(error, ConnectionRefusedError)
            raise DialFailed(f"cannot reach the node at {address}: {error}", is_refused=is_refused) from error
        except BaseException:
            if sock is not None:
                sock.close()
            raise

    def accept(self, sock: socket.socket, request: Request, rest: bytes) -> Link:
        """Returns the link that `request` asks for. Raises LinkError if the caller fails the handshake, OSError. May
        switch.
        """
        cluster = self.settings.now.cluster
        theirs, mine = request.headers.get("pycast-nonce"), secrets.token_hex(NONCE_SIZE)
        with gevent.Timeout(DIAL_S, TimeoutError("no proof in time")):
            sock.settimeout(None)
            sock.sendall(
                f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n"
                f"Pycast-Nonce: {mine}\r\n\r\n".encode()
            )
            given, rest = _exactly(sock, rest, PROOF_SIZE)
            if not is_same(given, caller_proof(cluster.secret, cluster.name, theirs, mine)):
                raise LinkError("it does not know the cluster's secret")
            sock.sendall(answerer_proof(cluster.secret, cluster.name, theirs, mine))
        return Link(sock, rest)


def asks_for_link(request: Request) -> bool:
    """Whether a request asks for a link, as only nodes do."""
    return (
        request.path == PATH
        and request.method == "GET"
        and request.headers.get("upgrade").lower() == PROTOCOL
        and len(request.headers.get("pycast-nonce")) == 2 * NONCE_SIZE
    )


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of `host:port` or `[host]:port`. Raises ValueError."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def join_address(host: str, port: int) -> str:
    """Returns `host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _left(deadline: float) -> float:
    """Returns the seconds until `deadline`. Raises TimeoutError when it is over, also if there is something to read."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _request_link(cluster: ClusterSection, sock: socket.socket, address: str) -> bytes:
    """Asks for a link, as the caller of the handshake. Returns the bytes that came after it."""
    mine = secrets.token_hex(NONCE_SIZE)
    sock.sendall(
        f"GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n"
        f"Pycast-Nonce: {mine}\r\n\r\n".encode()
    )
    head, rest = _head(sock)
    status, *lines = head.decode("latin-1").split("\r\n")
    if " 101 " not in f"{status} ":
        raise LinkError(f"it answered {status[:80]!r}: is it a node of this cluster?")
    theirs = next((line.split(":", 1)[1].strip() for line in lines if line.lower().startswith("pycast-nonce:")), "")
    sock.sendall(caller_proof(cluster.secret, cluster.name, mine, theirs))
    try:
        given, rest = _exactly(sock, rest, PROOF_SIZE)
    except LinkError:
        raise LinkError("it hung up on our proof: are cluster.name and cluster.secret the same there?") from None
    if not is_same(given, answerer_proof(cluster.secret, cluster.name, mine, theirs)):
        raise LinkError("it does not know the cluster's secret")
    return rest


def _head(sock: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more or len(data) > _MOST_HEAD:
            raise LinkError("it closed without an answer")
        data += more
        give_turn()
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _exactly(sock: socket.socket, data: bytes, size: int) -> tuple[bytes, bytes]:
    while len(data) < size:
        more = sock.recv(4096)
        if not more:
            raise LinkError("it closed during the handshake")
        data += more
        give_turn()
    return data[:size], data[size:]


def _tls(cluster: ClusterSection, sock: socket.socket, host: str) -> socket.socket:
    context = gssl.create_default_context(cafile=cluster.tls_ca or None)
    wrapped: socket.socket = context.wrap_socket(sock, server_hostname=host)
    return wrapped
