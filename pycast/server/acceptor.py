"""A listening port: accepts connections, counts them, serves each in a greenlet of its own. Kept pages and most players
need none (`serve_kept_page` and `join_at_once` of `handler.py`).

It does not know what a connection is for: `handler.py` and `shoutcast_source.py` read that. After a failed accept it
waits, twice as long each time. A process that is out of descriptors gives up a spare one to accept the next client,
answers it 503, and closes the connection. Before it closes its port, it accepts the clients in the kernel's queue,
because the kernel resets those that are left. A socket that another process keeps is only given up: that process, or
this one's successor, goes on with the queue.

Invariant: a connection is closed here when its greenlet ends, unless it was given away.
"""

import _socket
import errno
import logging
import os
import time
from collections.abc import Callable, Sequence
from io import FileIO

import gevent
from gevent import socket

from pycast.balance.admission import RESERVE, Slot
from pycast.errors import ConfigError, RequestError
from pycast.http.addresses import is_loopback
from pycast.net.farewell import Farewell
from pycast.net.group import Group, Task
from pycast.net.packet_filters import hold_new
from pycast.net.sockets import BACKLOG, accept, bind, bind_hint, bind_shared, peer_ip
from pycast.server.accept_rate import AcceptRate
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.endpoint import Endpoint
from pycast.server.gathering import Gathering
from pycast.server.handler import join_at_once, refuse_page, serve_kept_page
from pycast.server.newcomers import Newcomers, arrived, has_ended
from pycast.server.reserve import BUSY, send_busy
from pycast.server.waiting_line import WaitingLine
from pycast.web.routes import comes_first, is_for_stream

log = logging.getLogger(__name__)

FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S = 0.01, 1.0

# Errors of accept(2) that pass when descriptors or memory are free again.
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

# Connections that get a greenlet before other greenlets run: in a storm, players that are accepted must get their burst
# meanwhile. And those taken from the backlog, within a time: a health check may be behind thousands who want a page.
ACCEPTS_AT_ONCE, MOST_AT_ONCE, ACCEPT_S = RESERVE // 2, 512, 0.01

# The pause between two turns of the accept loop if `limits.accept_rate` is set.
RATE_PAUSE_S = 0.01

# At a stop: the time that requests of accepted clients have to arrive and be answered, how much longer a busy node goes
# on at most while they get fewer, and the time that clients then have to close.
ANSWERS_S, MORE_S, FAREWELL_S = 0.5, 0.5, 0.25

# Connections that are still served at a stop: more than health checks and pages come in that time.
MOST_AT_STOP = 256

# A port that accepted a client so recently has others on their way.
BUSY_S = 0.5

# The time for a handshake's last packet, from far away and from this machine.
HANDSHAKE_S, LOCAL_HANDSHAKE_S = 0.1, 0.005

OnClient = Callable[[_socket.socket, tuple[str, int]], None]


class Acceptor:
    """One listening socket and the connections accepted from it. `port` is the port as bound."""

    def __init__(self, context: ServerContext, endpoint: Endpoint, kept: socket.socket | None = None) -> None:
        """`kept` is a listening socket that another process keeps open; without it, the port is opened here."""
        self._context = context
        self._endpoint = endpoint
        self._connections = Group()
        self._open: set[Connection] = set()
        self._begun = 0  # connections that got a greenlet in this turn
        self._is_empty = False  # whether this turn has taken all that were in the kernel's queue
        self._rate = AcceptRate()
        self._serve_protocol = endpoint.protocol()
        self.is_kept = kept is not None
        """Whether another process has the socket too, and serves the queue when this one is gone."""
        self._farewell = Farewell()
        self._gathering = Gathering()
        try:
            open_port = bind_shared if endpoint.is_shared else bind
            self._sock = kept or open_port(endpoint.address, endpoint.port, is_v6_only=endpoint.is_v6_only)
        except OSError as error:
            raise ConfigError(
                [f"listen: cannot listen on {endpoint.address} port {endpoint.port}: {error.strerror}"],
                bind_hint(error, endpoint.port),
            ) from error
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self._spare: FileIO | None = FileIO(os.devnull)
        self._accepting: list[Task] = []
        self._newcomers = (
            Newcomers(self._pass_on, endpoint.reader(), lambda: context.settings.now.limits.header_timeout)
            if endpoint.is_direct
            else None
        )
        self._players = WaitingLine(self._join, lambda: not self._is_empty)
        self._others = WaitingLine(self._begin_other, lambda: not self._is_empty)
        self._is_page = endpoint.page_test()
        self._is_closed = False
        # Behind proxies the address is not known yet, and another node of a cluster is told by its request.
        self._asks_bans = endpoint.proxies is None and context.cluster is None

    @property
    def endpoint(self) -> Endpoint:
        """The address as configured; its port may be 0."""
        return self._endpoint

    def start(self) -> None:
        """Starts the accept loop."""
        spawn = self._context.group.spawn_forever
        self._accepting = [spawn(f"accept on {self.port}", self._run)]
        if self._newcomers is not None:
            self._accepting.append(spawn(f"newcomers on {self.port}", self._newcomers.run))

    @property
    def handshake_s(self) -> float:
        """How long a client's last packet of the handshake may be on its way: 0 if no clients connect."""
        if time.monotonic() - self._gathering.last >= BUSY_S:
            return 0.0
        return LOCAL_HANDSHAKE_S if is_loopback(self._endpoint.address) else HANDSHAKE_S

    def hold(self) -> None:
        """Lets no new connection begin; those that have begun are still accepted. Can be called twice."""
        if not self.is_kept and not self._is_closed:
            hold_new(self._sock)

    def close(self) -> None:
        """Closes the listening socket, after accepting those who wait; open connections stay. Can be called twice.
        Never switches.
        """
        if self._is_closed:
            return
        self.hold()
        self._is_closed = True
        for task in self._accepting:
            task.kill(block=False)
        if self._accepting and not self.is_kept:
            self._accept_all()
        if self._newcomers is not None:
            self._newcomers.close()
        for line, serve in ((self._players, self._join), (self._others, self._begin_other)):
            for connection, head in line.take_all():
                serve(connection, head)
        self._sock.close()
        self._drop_spare()

    def stop(self) -> None:
        """Ends the connections that were not given away. May switch."""
        stop_all([self])

    @property
    def open(self) -> int:
        """How many connections there are that were not given away."""
        return len(self._open)

    def wait_for_answers(self, deadline: float) -> None:
        """Waits until `deadline` (monotonic) for the connections whose requests are here. May switch."""
        self._connections.join(max(deadline - time.monotonic(), 0.0))

    def end_open(self) -> None:
        """Ends those that are left; who got no answer gets 503. May switch."""
        self._connections.kill()
        for connection in list(self._open):  # of greenlets that had not begun
            self._end(connection)

    def see_off(self, deadline: float) -> None:
        """Waits until `deadline` for their clients to close. May switch."""
        self._farewell.wait(max(deadline - time.monotonic(), 0.0))

    def _accept_all(self) -> None:
        """Accepts all who wait, at any rate. Without free descriptors they are answered 503."""
        on_client = self._on_client
        for _ in range(BACKLOG + 1):
            try:
                on_client(*accept(self._sock))
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in OUT_OF_RESOURCES:
                    continue
                if on_client == self._refuse_unread:
                    return
                self._drop_spare()
                on_client = self._refuse_unread

    def _run(self) -> None:
        back_off = FIRST_BACK_OFF_S
        while not self._is_closed:
            try:
                # Accept a limited number of clients, then let their greenlets run: they do before this wait ends.
                self._gathering.wait(self._sock.fileno())
                self._gathering.took(self._accept(self._on_client, MOST_AT_ONCE), self._is_empty)
                back_off = FIRST_BACK_OFF_S
                if self._context.settings.now.limits.accept_rate:
                    gevent.sleep(RATE_PAUSE_S)
            except OSError as error:
                # The client left before it was accepted (ECONNABORTED and the like, accept(2)): go on at once.
                if error.errno not in OUT_OF_RESOURCES:
                    continue
                # Out of descriptors or memory: answer waiting clients with 503, then back off.
                log.error("cannot accept on port %d: %s", self.port, error.strerror)
                self._refuse_clients()
                gevent.sleep(back_off)
                back_off = min(2 * back_off, LONGEST_BACK_OFF_S)

    @property
    def _on_client(self) -> OnClient:
        """What is done with a new client: at a stop no more than what thousands can have at once."""
        return self._turn_away if self._context.site.readiness.is_stopping else self._serve_client

    def _turn_away(self, sock: _socket.socket, address: tuple[str, int]) -> None:
        """Answers a client 503 without reading its request, at a stop. Never switches."""
        self._context.counters.connections += 1
        self._context.counters.refused_connections += 1
        self._farewell.add(sock, b"" if self._endpoint.is_tls_only else BUSY)

    def _serve_client(self, sock: _socket.socket, address: tuple[str, int]) -> None:
        context, ip = self._context, peer_ip(address)
        context.counters.connections += 1
        if self._asks_bans and context.bans.refuses(ip):
            return sock.close()  # with no answer, as in Icecast
        slot = context.enter()
        connection = Connection(sock, ip, self._endpoint.is_tls_only)
        connection.serves = self._endpoint.serves
        self._open.add(connection)
        if slot is Slot.CLIENT and self._newcomers is not None:
            return self._newcomers.take(connection)
        first = arrived(connection) if slot is Slot.RESERVED and self._is_in_crowd(connection) else b""
        if first and not comes_first(first):
            return self._refuse(connection)
        if slot is Slot.RESERVED:
            context.reserve.hold(connection)
        return self._begin(connection, first, slot)

    def _is_in_crowd(self, connection: Connection) -> bool:
        """Whether a connection on the reserve comes after others who have all slots and wait to be served: thousands
        may come behind them, and a health check among those must not wait for each.
        """
        return self._newcomers is not None and not connection.tls and (len(self._players) or len(self._others)) > 0

    def _refuse(self, connection: Connection) -> None:
        """Refuses a connection for which there is no slot, without a greenlet."""
        self._context.counters.refused_connections += 1
        self._open.discard(connection)
        self._context.admission.leave()
        send_busy(connection.sock)

    def _pass_on(self, connection: Connection, first: bytes) -> bool:
        """Serves a newcomer that has sent `first`. Thousands can come at once, and wait for their turn: a health check
        that comes after them is found among them. Returns whether it got a greenlet.
        """
        if not connection.tls:
            if self._is_page(first):
                # With what is kept, without a greenlet, if that is possible.
                if not self._context.answers.in_turn(self._answer_kept, connection, first):
                    self._others.add(connection, first)  # refusing it costs as much as a page
                return False
            if not first and has_ended(connection):
                self._end(connection)
                return False
        if comes_first(first):
            self._begin(connection, first)
            return True
        (self._players if is_for_stream(first) else self._others).add(connection, first)
        return False

    def _answer_kept(self, connection: Connection, head: bytes) -> bool:
        return self._answer(serve_kept_page, connection, head)

    def _join(self, connection: Connection, head: bytes) -> bool:
        return not self._answer(join_at_once, connection, head)

    def _begin_other(self, connection: Connection, first: bytes) -> bool:
        if not connection.tls and self._is_page(first):
            return not self._answer(refuse_page, connection, first)
        if connection in self._open:
            self._begin(connection, first)
        return True

    def _answer(self, serve: Callable[..., bool], connection: Connection, head: bytes) -> bool:
        """Serves a request without a greenlet if `serve` can; returns whether that is so, or it has ended."""
        if connection not in self._open:
            return True
        if is_answered := serve(self._context, connection, head):
            self._open.discard(connection)
        else:
            self._begin(connection, head)
        return is_answered

    def _begin(self, connection: Connection, first: bytes, slot: Slot = Slot.CLIENT) -> None:
        """Serves a connection in a greenlet of its own; `first` are its bytes that were read already. At a stop a crowd
        is turned away without one.
        """
        if self._context.site.readiness.is_stopping and len(self._connections) >= MOST_AT_STOP:
            self._context.counters.refused_connections += 1
            return self._end(connection)
        self._begun += 1
        connection.attach()
        self._connections.spawn("connection", self._serve, connection, slot, first)

    def _serve(self, connection: Connection, slot: Slot, first: bytes) -> None:
        endpoint = self._endpoint
        try:
            # The PROXY header comes before everything else, then the TLS handshake, then the protocol of the port.
            if endpoint.proxies is not None:
                from pycast.server.proxies import read_proxy_header

                limits = self._context.settings.now.limits
                first = read_proxy_header(connection, endpoint.proxies, limits.header_timeout)
            if endpoint.tls is not None:
                endpoint.tls.enter(self._context, connection, first, is_http=not endpoint.mount)
            self._serve_protocol(self._context, connection, slot, first)
        except (OSError, RequestError) as error:
            level = logging.DEBUG if connection.is_health_check else logging.INFO
            log.log(level, "! %s: connection failed: %s", connection.ip, error)
        finally:
            if slot is Slot.RESERVED:
                self._context.reserve.release(connection)
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        """Closes a connection and counts it out, unless it was given away: then its new owner does. At a stop its
        client may be about to send its request, and must not find it reset.
        """
        self._open.discard(connection)
        if connection.given_away:
            return
        self._context.admission.leave()
        if self._context.site.readiness.is_stopping and connection.sock.fileno() >= 0:
            self._farewell.add(connection.sock, b"" if connection.bytes_sent or connection.tls else BUSY)
        else:
            connection.close()

    def _accept(self, on_client: OnClient, most: int) -> int:
        """Accepts waiting clients, at most `most` and what the rate allows, and passes each to `on_client`, until
        `ACCEPTS_AT_ONCE` of them got a greenlet or `ACCEPT_S` are over. Returns how many. Never switches.
        """
        until = time.monotonic() + ACCEPT_S
        most = left = self._rate.take(time.monotonic(), self._context.settings.now.limits.accept_rate, most)
        self._begun, self._is_empty = 0, False
        try:
            while left and self._begun < ACCEPTS_AT_ONCE and time.monotonic() < until:
                sock, address = accept(self._sock)
                left -= 1
                on_client(sock, address)
        except BlockingIOError:
            self._is_empty = True
        finally:
            self._rate.give_back(left)
        return most - left

    def _refuse_clients(self) -> None:
        """Answers waiting clients with 503, one after the other, using the descriptor that was kept for this."""
        # The spare descriptor is free at once: it is a FileIO, because gevent's `os.close` closes a turn later.
        self._drop_spare()
        try:
            # Each client takes the descriptor and gives it back, because `send_busy` closes the socket.
            self._accept(self._refuse_unread, ACCEPTS_AT_ONCE)
            # Keep a descriptor for the next time.
            self._spare = FileIO(os.devnull)
        except OSError as error:
            log.debug("! waiting clients could not be refused: %s", error)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.close()
            self._spare = None

    def _refuse_unread(self, sock: _socket.socket, address: tuple[str, int]) -> None:
        self._context.counters.refused_connections += 1
        send_busy(sock)


def stop_all(acceptors: Sequence[Acceptor]) -> None:
    """Ends the connections that were not given away, of all ports at the same time: those whose request is here are
    answered, all others get 503. May switch.
    """
    begun = time.monotonic()
    left = sum(acceptor.open for acceptor in acceptors)
    for deadline in (begun + ANSWERS_S, *(begun + ANSWERS_S + MORE_S * part / 4 for part in range(1, 5))):
        for acceptor in acceptors:
            acceptor.wait_for_answers(deadline)
        before, left = left, sum(acceptor.open for acceptor in acceptors)
        if left in (0, before):
            break
    for acceptor in acceptors:
        acceptor.end_open()
    deadline = time.monotonic() + FAREWELL_S
    for acceptor in acceptors:
        acceptor.see_off(deadline)
