"""A connection between two nodes: opened, authenticated by the handshake, sealed, and cut into frames.

It begins as an HTTP request on a node's ordinary port, so that it passes wherever the node's streams pass. A stranger
gets 403 and learns nothing. A `Link` is read by one greenlet; several may write, each whole frames. The one invariant:
a `Link` exists only after both ends have proved that they know the secret, and each frame that it returns was written
by its `peer`.
"""

import json
import logging
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import gevent
from gevent import socket
from gevent.lock import RLock

from pycast.cluster.codec import decode, encode
from pycast.cluster.link.dial_errors import why, why_refused
from pycast.cluster.link.frames import Frame, FrameReader, Kind, LinkError, pack_json
from pycast.cluster.link.handshake import (
    NONCE_SIZE,
    NodeIdentity,
    Opening,
    Step,
    Transcript,
    is_same,
    keys,
    proof,
    request_proof,
)
from pycast.cluster.link.peer_checks import PeerChecks
from pycast.cluster.link.seal import Opener, Sealer
from pycast.cluster.registry.own_record import OwnRecord
from pycast.config.live import Live
from pycast.config.schema import ClusterSection
from pycast.errors import ExternalError, Refused
from pycast.http.request import Request
from pycast.net.sockets import set_connection_options
from pycast.net.tls import trusting
from pycast.net.turns import give_turn, next_turn

if TYPE_CHECKING:  # loaded with the configuration of a port that needs it
    from pycast.net.tls_session import TlsStream

log = logging.getLogger(__name__)

PATH = "/_cluster/v1"
PROTOCOL = "pycast-cluster/1"

# The headers of the handshake. The opening and the identity are JSON in base64, because a name may be in any script.
NODE, PROOF = "Pycast-Node", "Pycast-Proof"
NONCE = "Pycast-Nonce"

# To connect and for the handshake. Within one region each round trip takes milliseconds.
DIAL_S = 1.0

# To connect to one of the addresses that a name has: a dead one must not take the time of those after it.
CONNECT_S = DIAL_S / 2

# A peer that does not read for this long counts as lost.
WRITE_S = 5.0

READ_SIZE = 1 << 18

# What another node sends is read once in a turn of the loop, and this many frames of it are worked on.
FRAMES_A_TURN = 16

_MOST_HEAD = 8192
_PROOF_SIZE = 64


class DialFailed(ExternalError):
    """The error of a node that could not be reached. `is_refused`: nothing listens at its address. `leads_to`: the node
    to which the address leads, which advertises another one.
    """

    def __init__(self, text: str, *, is_refused: bool = False, leads_to: NodeIdentity | None = None) -> None:
        super().__init__(text)
        self.is_refused = is_refused
        self.leads_to = leads_to


class _Elsewhere(LinkError):
    """The error of an address that leads to a node which advertises another one."""

    def __init__(self, identity: NodeIdentity) -> None:
        super().__init__(f"it leads to node {identity.node}, which advertises {identity.address}")
        self.identity = identity


class Link:
    """One authenticated connection. Its methods raise OSError when it is broken or a deadline has passed, LinkError for
    data that breaks the protocol.
    """

    def __init__(
        self, sock: "socket.socket | TlsStream", peer: NodeIdentity, sealer: Sealer, opener: Opener, rest: bytes = b""
    ) -> None:
        self.peer = peer
        """The node at the other end, as it has proved."""
        self._sock = sock
        self._sealer = sealer
        self._opener = opener
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
            rest, self._rest = self._rest, b""
            self._frames.extend(self._reader.feed(self._opener.feed(rest)))
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
            self._frames.extend(self._reader.feed(self._opener.feed(data)))
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
            data = self._sealer.seal(data)
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
    own: OwnRecord
    checks: PeerChecks

    @property
    def me(self) -> NodeIdentity:
        """This node's end of its links."""
        return NodeIdentity(self.own.now.node, self.own.now.boot, self.own.now.address)

    def dial(self, address: str) -> Link:
        """Returns a link to the node at `address` (host:port). Raises DialFailed. May switch."""
        cluster = self.settings.now.cluster
        sock: socket.socket | None = None
        try:
            # Not a TimeoutError: `create_connection` would take that for the end of one address, and go on for minutes.
            with gevent.Timeout(DIAL_S, DialFailed(f"cannot reach the node at {address}: no answer in time")):
                host, port = split_address(address)
                sock = socket.create_connection((host, port), CONNECT_S)
                sock.settimeout(None)
                set_connection_options(sock)
                if cluster.tls:
                    tls = trusting(cluster.tls_ca)
                    sock = tls.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
                    sock.do_handshake()
                return self._request_link(cluster, sock, address)
        except BaseException as error:
            if sock is not None:
                sock.close()
            if not isinstance(error, OSError | LinkError | ValueError):
                raise
            is_refused = isinstance(error, ConnectionRefusedError)
            leads_to = error.identity if isinstance(error, _Elsewhere) else None
            text = f"cannot reach the node at {address}: {why(error)}"
            raise DialFailed(text, is_refused=is_refused, leads_to=leads_to) from error

    def _request_link(self, cluster: ClusterSection, sock: socket.socket, address: str) -> Link:
        """Returns the link, as the caller of the handshake. Raises OSError, LinkError. May switch."""
        opening = Opening(cluster.name, self.me, address, secrets.token_hex(NONCE_SIZE))
        sock.sendall(
            f"GET {PATH} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n"
            f"{NODE}: {_to_text(opening)}\r\n{PROOF}: {request_proof(cluster.secret, opening)}\r\n\r\n".encode()
        )
        status, fields, rest = _head(sock)
        if status not in (_ACCEPTED, _ELSEWHERE):
            raise LinkError(why_refused(status, rest))
        answerer, nonce, given = (fields.get(name.lower(), "") for name in (NODE, NONCE, PROOF))
        transcript = Transcript(opening, _identity(answerer), nonce)
        step = Step.ANSWER if status == _ACCEPTED else Step.ELSEWHERE
        if not is_same(given, proof(cluster.secret, step, transcript)):
            raise LinkError(
                "it does not know the cluster's secret, or somebody between the nodes has changed its answer"
            )
        # An answer that is genuine, but not for this address, or this node's own, is no link either.
        peer = transcript.answerer
        if status == _ELSEWHERE or not is_same_address(peer.address, address) or peer.boot == self.me.boot:
            raise _Elsewhere(peer)
        if (blocked_s := self.checks.blocked_s(peer)) > 0:
            raise LinkError(f"node {peer.node} has sent nonsense: no link for {blocked_s:.0f} s")
        sock.sendall(proof(cluster.secret, Step.CALLER, transcript).encode())
        made = keys(cluster.secret, transcript)
        return Link(sock, peer, Sealer(made.from_caller), Opener(made.from_answerer), rest)

    def accept(self, sock: "socket.socket | TlsStream", request: Request, rest: bytes) -> Link:
        """Returns the link that `request` asks for. Raises Refused, which is to be answered, if it has no valid proof
        or is for another node; LinkError, after the answer, if the caller does not follow the handshake; OSError. May
        switch.
        """
        cluster, me = self.settings.now.cluster, self.me
        opening = _opening(request, cluster)
        if not me.node:
            raise Refused("This node has not joined the cluster yet", status=503)
        transcript = Transcript(opening, me, secrets.token_hex(NONCE_SIZE))
        if opening.caller.boot == me.boot or not is_same_address(opening.dialled, me.address):
            raise Refused(
                "This node advertises another address",
                status=_ELSEWHERE,
                cause=f"node {opening.caller.node} has dialled {opening.dialled}",
                headers=_fields(cluster, Step.ELSEWHERE, transcript),
            )
        if (blocked_s := self.checks.blocked_s(opening.caller)) > 0:
            # Not as an error that is logged each time: the nonsense has been.
            sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n")
            raise ConnectionAbortedError(f"node {opening.caller.node} has sent nonsense: no link for {blocked_s:.0f} s")
        head = "".join(f"{name}: {value}\r\n" for name, value in _fields(cluster, Step.ANSWER, transcript))
        with gevent.Timeout(DIAL_S, TimeoutError("no proof in time")):
            sock.settimeout(None)
            sock.sendall(
                f"HTTP/1.1 {_ACCEPTED} Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n"
                f"{head}\r\n".encode()
            )
            given, rest = _exactly(sock, rest, _PROOF_SIZE)
        if not is_same(given.decode("latin-1"), proof(cluster.secret, Step.CALLER, transcript)):
            raise LinkError("it is not the node that has asked for the link")
        made = keys(cluster.secret, transcript)
        return Link(sock, opening.caller, Sealer(made.from_answerer), Opener(made.from_caller), rest)


def asks_for_link(request: Request) -> bool:
    """Whether a request asks for a link, as only nodes do. Its proof is checked later."""
    headers = request.headers
    return (
        request.path == PATH
        and request.method == "GET"
        and headers.get("upgrade").lower() == PROTOCOL
        and len(headers.get(PROOF.lower())) == _PROOF_SIZE
        and bool(headers.get(NODE.lower()))
    )


def split_address(address: str) -> tuple[str, int]:
    """Returns host and port of `host:port` or `[host]:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdecimal() and len(port) < 6 and 1 <= int(port) <= 65535):
        raise ValueError(f"expected host:port, not {address[:60]!r}")
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


def is_same_address(one: str, other: str) -> bool:
    """Whether two texts are the same `host:port`: names in any case, and IPv6 addresses in any spelling."""
    return one == other or _canonical(one) == _canonical(other)


def _canonical(address: str) -> tuple[str, int] | str:
    try:
        host, port = split_address(address)
    except ValueError:
        return address
    try:
        return str(ip_address(host)), port
    except ValueError:
        return host.lower().removesuffix("."), port


# -- the handshake's heads

_ACCEPTED, _ELSEWHERE = 101, 421


def _opening(request: Request, cluster: ClusterSection) -> Opening:
    """Returns the caller's part of the handshake. Raises Refused unless its proof is valid."""
    try:
        opening = decode(Opening, _from_text(request.headers.get(NODE.lower())))
    except ValueError as error:
        raise Refused(_NO_LINK, cause=f"a malformed request for a link: {error}") from error
    if not is_same(request.headers.get(PROOF.lower()), request_proof(cluster.secret, opening)):
        raise Refused(_NO_LINK, cause="it asks for a link, and does not know the cluster's secret")
    if opening.cluster != cluster.name:
        raise Refused(_NO_LINK, cause=f"it is a node of the cluster {opening.cluster[:60]!r}")
    return opening


_NO_LINK = "Only for nodes of this cluster"


def _fields(cluster: ClusterSection, step: Step, transcript: Transcript) -> tuple[tuple[str, str], ...]:
    """Returns the headers of the answerer's part."""
    return (
        (NODE, _to_text(transcript.answerer)),
        (NONCE, transcript.nonce),
        (PROOF, proof(cluster.secret, step, transcript)),
    )


def _identity(text: str) -> NodeIdentity:
    try:
        return decode(NodeIdentity, _from_text(text))
    except ValueError as error:
        raise LinkError(f"its answer is malformed: {error}") from error


def _to_text(value: object) -> str:
    return urlsafe_b64encode(json.dumps(encode(value), separators=(",", ":")).encode()).decode()


def _from_text(text: str) -> object:
    """Returns what `_to_text` was given, not checked yet. Raises ValueError."""
    try:
        return json.loads(urlsafe_b64decode(text.encode("ascii")))
    except RecursionError as error:
        raise ValueError("too deep") from error


def _head(sock: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Returns the status, the header fields, and what came after them. Raises LinkError, OSError."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(4096)
        if not more or len(data) > _MOST_HEAD:
            raise LinkError("it closed without an answer")
        data += more
        give_turn()
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    _, _, code = first.partition(" ")
    if not code[:3].isdecimal():
        raise LinkError(f"it answered {first[:80]!r}: is it a node of this cluster?")
    pairs = (line.partition(":") for line in lines)
    return int(code[:3]), {name.strip().lower(): value.strip() for name, _, value in pairs}, rest


def _exactly(sock: "socket.socket | TlsStream", data: bytes, size: int) -> tuple[bytes, bytes]:
    while len(data) < size:
        more = sock.recv(4096)
        if not more:
            raise LinkError("it closed during the handshake")
        data += more
        give_turn()
    return data[:size], data[size:]
