"""One client's way through the door: its connection, one to the server, and the thread that carries bytes.

The thread reads both heads on the way, to know what the connection is for, and passes everything on as it came; a
fault that is in force gets the bytes of the body first. The one invariant: when one side ends, so does the other, in
the same way.
"""

import re
import select
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from pycast.testing.lobby import Gate, Lobby, Order
from pycast.testing.visits import ListenerVisit, SourceVisit, Visit, mount_of, title_update
from pycast.testing.wire_heads import MAX_HEAD, ChunkReader, WireHead, begins_tls, is_readable, reset, split_head

if TYPE_CHECKING:
    from collections.abc import Generator

CONNECT_S = 10.0
LINGER_S = 2.0
"""How long a client may go on sending when the server has ended: closing earlier could lose it the answer."""

LOOK_S = 0.05
PIECE = 65536
BUFFER = 65536
"""Bytes in the kernel on each side: the server has to notice a client that is slow."""

CLIENT, SERVER = "the client", "the server"
_REQUEST = re.compile(rb"[A-Za-z]+ \S+ +(?:HTTP|ICE)/")


class _Over(Exception):
    """The connection is to end; `is_reset` says how."""

    def __init__(self, reason: str, is_reset: bool = False) -> None:
        super().__init__(reason)
        self.is_reset = is_reset


class Passage:
    """A connection through the door. It is what faults act on (`faults.py`: `Target`)."""

    def __init__(self, lobby: Lobby, gate: Gate, client: socket.socket) -> None:
        self.mount = ""
        self.is_source = False
        self.is_own_source = False
        self.metaint = 0
        self._lobby = lobby
        self._gate = gate
        self._client = client
        self._server = socket.socket()
        self._thread = threading.Thread(target=self._run, name="pycast door", daemon=True)
        self._is_closed = False
        self._asked = bytearray()
        self._passed_on = 0
        """How much of it the server has."""
        self._told = bytearray()
        self._head: WireHead | None = None
        self._answer: WireHead | None = None
        self._visit: Visit | None = None
        self._chunks: ChunkReader | None = None
        self._orders: list[Order] = []
        self._flow: Generator[None, bytes, None] | None = None
        self._flow_of: Order | None = None
        self._is_noted = False
        self._again: tuple[type[Exception], ...] = (BlockingIOError,)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Waits for its end."""
        self._thread.join(timeout)

    def close(self, reason: str) -> None:
        """Ends it, from another thread."""
        self._is_closed = True
        if self._visit is not None:
            self._visit.ended(reason)
        for sock in (self._client, self._server):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    # -- what faults do

    def deliver(self, data: bytes) -> None:
        """Passes bytes of the body on: a source's to the server, the others to the client."""
        if data and self.is_source:
            self._send(self._server, SERVER, data)
        elif data:
            if self._visit is not None:
                self._visit.took(data)
            self._send(self._client, CLIENT, data)

    def pause(self, seconds: float) -> None:
        """Waits, but not longer than the fault lasts."""
        self._hold_until(time.monotonic() + seconds)

    def hold(self) -> None:
        """Reads and passes on nothing as long as the fault lasts."""
        self._hold_until(None)

    def finish(self, answer: bytes = b"") -> NoReturn:
        """Sends an answer, and ends the connection as usual."""
        if answer:
            found = split_head(answer)
            self._answer = found[0] if found else None
            if self._answer is not None and self._visit is not None:
                self._visit.answered(self._answer, self._answer.status)
            self._note_title(b"")
            self._client.sendall(answer)
        raise _Over("ended by a fault")

    def reset(self) -> NoReturn:
        """Ends the connection with RST."""
        raise _Over("reset by a fault", is_reset=True)

    def kick(self) -> None:
        """Ends the mount's source, by the server's admin interface."""
        self._lobby.kill_source(self.mount)

    def _hold_until(self, deadline: float | None) -> None:
        """Holds as long as an order of this connection lasts, or up to a deadline. Raises _Over if the client goes."""
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLRDHUP)
        while self._orders and not all(order.is_over for order in self._orders) and not self._is_closed:
            left = LOOK_S if deadline is None else min(deadline - time.monotonic(), LOOK_S)
            if left <= 0:
                return
            for _, event in poll.poll(1000 * left):
                is_reset = bool(event & select.POLLERR)
                raise _Over(f"{CLIENT} {'reset' if is_reset else 'closed'} the connection", is_reset)

    # -- carrying

    def _run(self) -> None:
        reason, is_reset = f"{SERVER} closed the connection", False
        try:
            self._enter()
            self._carry()
        except _Over as over:
            reason, is_reset = str(over), over.is_reset
        except OSError as error:
            reason = f"the connection failed: {error}"
        self._note_title(b"")
        if self._visit is not None:
            self._visit.ended(reason)
        try:
            self._leave(is_reset)
        finally:
            self._lobby.left(self)

    def _enter(self) -> None:
        """Connects to the server, and does the handshake of TLS if the client wants one and the door has to read it."""
        # The server sees the client's address, and listens to nobody else's head for longer than it always does.
        address = self._gate.inner
        self._server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self._client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        for sock in (self._client, self._server):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.bind((self._client.getpeername()[0], 0))
        self._server.settimeout(CONNECT_S)
        try:
            self._server.connect((address.host, address.port))
        except OSError as error:
            raise _Over(f"{SERVER} took no connection: {error}", is_reset=True) from error
        self._server.settimeout(None)
        poll = self._poll()
        while not poll.poll():
            pass
        if begins_tls(self._client):
            self._shake_hands()

    def _shake_hands(self) -> None:
        bad = [order for order in self._lobby.orders if order.tls is not None and order.reserve(self)]
        context = bad[0].tls if bad else self._gate.tls
        if context is None:
            return
        import ssl

        self._again = (*self._again, ssl.SSLWantReadError)
        self._client.settimeout(CONNECT_S)
        try:
            self._client = context.wrap_socket(self._client, server_side=True)
        except (ssl.SSLError, OSError) as error:
            raise _Over(f"the client took no TLS: {error}") from error
        if self._gate.inner.is_tls:
            self._server.settimeout(CONNECT_S)
            self._server = ssl._create_unverified_context().wrap_socket(self._server)

    def _poll(self) -> select.poll:
        poll = select.poll()
        for sock in (self._client, self._server):
            poll.register(sock.fileno(), select.POLLIN)
        return poll

    def _carry(self) -> None:
        """Carries bytes until the server's end, or an error. Raises _Over, OSError."""
        poll, is_client_there = self._poll(), True
        while True:
            if not (is_readable(self._server, 0.0) or (is_client_there and is_readable(self._client, 0.0))):
                poll.poll()
            data = self._read(self._client, CLIENT) if is_client_there else None
            if data:
                self._take_request(data)
            elif data == b"":
                is_client_there = False
                poll.unregister(self._client.fileno())
                self._pass_on_end()
            data = self._read(self._server, SERVER)
            if data == b"":
                return
            if data:
                self._take_answer(data)

    def _read(self, sock: socket.socket, who: str) -> bytes | None:
        """Returns what there is to read, empty at the end; None if there is nothing now."""
        sock.settimeout(0.0)
        try:
            return sock.recv(PIECE)
        except self._again:
            return None
        except OSError as error:
            raise _lost(who, error) from error

    def _send(self, sock: socket.socket, who: str, data: bytes) -> None:
        sock.settimeout(None)
        try:
            sock.sendall(data)
        except OSError as error:
            raise _lost(who, error) from error

    def _pass_on_end(self) -> None:
        """Tells the server that the client sends no more. A player that does so may still listen."""
        if self._head is None:
            self._send(self._server, SERVER, bytes(self._asked[self._passed_on :]))
        if self._visit is not None and self.is_source:
            self._visit.ended(f"{CLIENT} closed the connection")
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_WR)

    def _leave(self, is_reset: bool) -> None:
        if is_reset:
            reset(self._server)
            reset(self._client)
            return
        self._server.close()
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            self._client.settimeout(LINGER_S)
            deadline = time.monotonic() + LINGER_S
            while time.monotonic() < deadline and self._client.recv(PIECE):
                pass
        self._client.close()

    # -- reading

    def _take_request(self, data: bytes) -> None:
        if self._head is not None:
            self._take_body(data)
            return
        self._asked += data
        asked = bytes(self._asked)
        if b"\n" in asked and not _REQUEST.match(asked.lstrip(b"\r\n")):
            self._take_foreign(asked)
            return
        found = split_head(asked)
        if found is None:
            if len(asked) > MAX_HEAD:
                self._begin(WireHead.unknown(asked), b"")
            return
        self._begin(*found)

    def _take_foreign(self, asked: bytes) -> None:
        """Takes what is no HTTP: a password, an answer to wait for, and then headers, if it is SHOUTcast."""
        self._send(self._server, SERVER, asked[self._passed_on :])
        self._passed_on = len(asked)
        found = split_head(asked) if self._gate.shoutcast_mount else None
        if found is not None:
            head, body = found
            head = WireHead(head.raw, f"SHOUTCAST {self._gate.shoutcast_mount}", head.headers)
            self._introduce(head)
            if self._visit is not None:
                self._visit.answered(head, 200)
                self._visit.took(body)
            self._head = self._answer = head
        elif len(asked) > MAX_HEAD:  # whatever it is: it is not read any more
            self._head = self._answer = WireHead.unknown(asked)

    def _begin(self, head: WireHead, body: bytes) -> None:
        """Takes the request's head: what the connection is for is known."""
        self._head = head
        self._introduce(head)
        for order in self._lobby.orders:
            if order.tls is None and not order.is_about_bytes and order.reserve(self):
                self._orders.append(order)
                order.ask(self)
        self._send(self._server, SERVER, head.raw)
        if body:
            self._take_body(body)

    def _introduce(self, head: WireHead) -> None:
        self.mount = mount_of(head)
        self.is_source = head.word in ("SOURCE", "PUT", "SHOUTCAST") and not self.mount.startswith("/admin")
        if self.is_source:
            source = SourceVisit(self._lobby.changed, self._lobby.kept, head, self.mount)
            self._chunks = ChunkReader() if "chunked" in head.headers.get("transfer-encoding", "").lower() else None
            self._visit = source
            self.is_own_source = source.is_own
            self._lobby.sources.add(source)
        elif head.word in ("GET", "HEAD") and not self.mount.startswith("/admin"):
            listener = ListenerVisit(self._lobby.changed, head, self.mount)
            self._visit = listener
            self._lobby.listeners.add(listener)

    def _take_body(self, data: bytes) -> None:
        """Takes what follows the request: a source's audio."""
        if not self.is_source or self._visit is None:
            self._send(self._server, SERVER, data)
            return
        self._visit.took(self._chunks.feed(data) if self._chunks else data)
        self._flow_on(data)

    def _take_answer(self, data: bytes) -> None:
        if self._answer is not None or self._head is None:
            self._take_stream(data)
            return
        self._told += data
        while (found := split_head(bytes(self._told))) is not None:
            head, rest = found
            self._told = bytearray(rest)
            if head.status // 100 == 1 and head.status != 101:  # an interim answer
                self._send(self._client, CLIENT, head.raw)
                continue
            self._take_head(head)
            if rest:
                self._take_stream(rest)
            return
        if len(self._told) > MAX_HEAD:
            self._take_head(WireHead.unknown(bytes(self._told)))

    def _take_head(self, head: WireHead) -> None:
        """Takes the head of the answer."""
        assert self._head is not None
        raw = head.raw
        for order in self._orders:
            raw = order.answer(self, raw)
        found = split_head(raw)
        self._answer = head = found[0] if found else head
        metaint = head.headers.get("icy-metaint", "")
        self.metaint = int(metaint) if metaint.isdigit() and not self.is_source else 0
        if self._visit is not None:
            self._visit.answered(head, head.status)
        self._send(self._client, CLIENT, raw)

    def _take_stream(self, data: bytes) -> None:
        """Takes what follows the answer: a player's audio, or the text of an error."""
        self._note_title(data)
        if self.is_source or self._visit is None:
            self._send(self._client, CLIENT, data)
        else:
            self._flow_on(data)

    def _note_title(self, text: bytes) -> None:
        """Notes a request for another title, once its answer is there; `text` is the beginning of what follows that."""
        if self._visit is not None or self._head is None or self._answer is None or self._is_noted:
            return
        self._is_noted = True
        update = title_update(self._head, self._answer, text, self._lobby.default_mount)
        if update is not None:
            self._lobby.sources.add_update(*update)

    def _flow_on(self, data: bytes) -> None:
        """Passes bytes of the body on, through the fault that acts on them, if there is one."""
        if self._flow_of is not None and self._flow_of.is_over:
            self._flow = self._flow_of = None
        for order in self._lobby.orders if self._flow is None else ():
            flow = order.flow(self) if order.is_about_bytes else None
            if flow is not None and order.reserve(self):
                next(flow)
                self._flow, self._flow_of = flow, order
                self._orders.append(order)
                break
        if self._flow is None:
            self.deliver(data)
        else:
            self._flow.send(data)


def _lost(who: str, error: OSError) -> _Over:
    is_reset = isinstance(error, ConnectionError)
    return _Over(f"{who} reset the connection" if is_reset else f"the connection failed: {error}", is_reset)
