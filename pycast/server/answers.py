"""Answers on their way to clients, without a greenlet for each: a client that does not read costs a kilobyte or two.

An answer is written as far as the kernel takes it. One epoll object has the connections that are not through, and the
hub watches only its descriptor, as in `net/hangups.py`. Once an answer is out, its connection is half-closed, and
closed when the client has closed it, too, or after `LINGER_S`: closing at once could discard what the client has not
read yet.

Clients of the same page share its bytes. But each rendering that somebody reads slowly is one more in memory, so their
bytes together are limited: when there are too many, the oldest answers are cut short. Whatever a client reads, it has
to be through within `limits.client_timeout`.

Pages are made in turns of a few (`PageTurns`). What else has come meanwhile goes first: health checks, new listeners.

Invariant: a connection taken is closed here, and counted out, exactly once.
"""

import logging
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from gevent import monkey, socket
from gevent.event import Event
from gevent.hub import get_hub

from pycast.balance.admission import Admission
from pycast.config.live import Live
from pycast.errors import Refused
from pycast.logs.access import AccessEntry
from pycast.net.sockets import detach
from pycast.net.sweeper import Sweeper
from pycast.server.connection import LINGER_BYTES, LINGER_S, Connection
from pycast.server.repeats import Repeats
from pycast.server.reserve import RETRY_AFTER
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

# Answers that clients have not read yet, with some 2 kB each. A page that is on its way counts, not one that lingers.
MOST_UNREAD = 4000

# Requests that wait for a page, with a greenlet each: some 20 kB.
MOST_WAITING = 1000

# The bytes of all different pages that are on their way.
MOST_BYTES = 32 << 20

# Connections served before other greenlets run.
MOST_AT_ONCE = 64

# Pages made in one turn of the loop, in which up to 32 clients get a greenlet; and how long a turn goes on at most with
# requests that need none. Where a turn has much else to do, as with hundreds of sources, eight of those would be few.
PAGES_AT_ONCE = 8
TURN_S = 0.005

# How often those who have closed are let go, and how often the deadlines are looked at.
SWEEP_S, LOOK_S = 0.05, 0.5
MOST_ENDS = 512
_READ_SIZE = 65_536


class _Answer:
    """One answer. `sent` counts head and body; `entry` is for the access log, None once it is written."""

    __slots__ = ("begun", "body", "deadline", "entry", "head", "ip", "left", "sent", "sock")

    def __init__(
        self, connection: Connection, entry: AccessEntry | None, head: bytes, body: bytes, deadline: float
    ) -> None:
        self.begun = connection.begun
        self.ip = connection.ip
        self.sent = 0
        self.sock = detach(connection.give_away())
        self.entry = entry
        self.head = head
        self.body = body
        self.deadline = deadline
        self.left = LINGER_BYTES

    @property
    def is_out(self) -> bool:
        return self.sent == len(self.head) + len(self.body)

    def send(self) -> None:
        """Sends what the kernel takes. Raises BlockingIOError if that is not all, another OSError if the peer is
        gone.
        """
        size = len(self.head)
        if not self.sent:
            # The end of the stream follows at once, in the same packet.
            self.sent = self.sock.sendmsg((self.head, self.body), (), socket.MSG_MORE)
        while not self.is_out:
            if self.sent < size:
                self.sent += self.sock.sendmsg((memoryview(self.head)[self.sent :], self.body))
            else:
                self.sent += self.sock.send(memoryview(self.body)[self.sent - size :])


class PageTurns:
    """A queue that lets `PAGES_AT_ONCE` requests on in each turn of the loop, oldest first; those that are answered at
    once are not counted, up to `TURN_S`.
    """

    def __init__(self) -> None:
        self._queue: deque[Callable[[], object]] = deque()
        self._turn = -1
        """The turn of the loop in which `_let_on` were let on."""
        self._let_on = 0

    def wait(self) -> None:
        """Waits for a place in a turn; returns at once while few come. May switch."""
        if not self.has_place():
            place = Event()
            self.call_later(place.set)
            place.wait()

    def call_later(self, call: Callable[[], object]) -> None:
        """Calls `call`, which must not switch, in a turn with a place for it: after `has_place` was false. It returns
        true if the request is answered.
        """
        self._queue.append(call)
        if len(self._queue) == 1:
            self._schedule()

    def has_place(self) -> bool:
        """Whether one request is let on at once, since few come. It takes the place."""
        turn = get_hub().loop.iteration
        if self._turn != turn:
            self._turn, self._let_on = turn, 0
        if self._queue or self._let_on >= PAGES_AT_ONCE:
            return False
        self._let_on += 1
        return True

    def _schedule(self) -> None:
        # A callback would not do: gevent runs fifty in a row before it looks at a socket. A timer comes once in a turn.
        timer = get_hub().loop.timer(0.0)
        timer.start(self._begin_turn, timer)

    def _begin_turn(self, timer: Any) -> None:
        timer.close()
        self._turn, self._let_on = get_hub().loop.iteration, PAGES_AT_ONCE
        until, made = time.monotonic() + TURN_S, 0
        while self._queue and made < PAGES_AT_ONCE and time.monotonic() < until:
            made += not self._queue.popleft()()
        if self._queue:
            self._schedule()


class Answers:
    """All answers on their way."""

    def __init__(
        self, settings: Live, admission: Admission, counters: Counters, log_access: Callable[[AccessEntry], None]
    ) -> None:
        self._settings = settings
        self._admission = admission
        self._counters = counters
        self._log_access = log_access
        # gevent removes `epoll` from the patched module, because waiting on it blocks. This one is only polled.
        self._epoll = monkey.get_original("select", "epoll")()
        self._ends = monkey.get_original("select", "epoll")()
        """Tells which clients have closed. It is looked at every `SWEEP_S`, because nobody waits for it."""
        self._unread: dict[int, _Answer] = {}
        self._lingering: dict[int, _Answer] = {}
        self._bodies: dict[int, int] = {}
        """How many unread answers have a body, by its `id`."""
        self._bytes = 0
        self._sweeper, self._swept = Sweeper(SWEEP_S, self._sweep), 0.0
        self._turns = PageTurns()
        self.repeats = Repeats()
        self._waiting = 0
        self._is_refusing = False

    def __len__(self) -> int:
        return len(self._unread) + len(self._lingering)

    @contextmanager
    def room(self) -> Iterator[None]:
        """Counts a request that waits for a page, and waits for its turn. Raises Refused if too many wait, or too many
        do not read theirs. May switch.
        """
        self.check_room()
        self._waiting += 1
        try:
            self._turns.wait()
            yield
        finally:
            self._waiting -= 1

    def in_turn(self, call: Callable[[Connection, bytes], object], connection: Connection, head: bytes) -> bool:
        """Makes a call, which must not switch, when it is the turn of a request that came now. Returns False, and
        calls nothing, where `check_room` raises Refused. `call` returns true if it has answered.
        """
        if self._is_full:
            return False
        if self._turns.has_place():
            _call(call, connection, head)
        else:
            self._waiting += 1
            self._turns.call_later(partial(self._call_late, call, connection, head))
        return True

    def _call_late(self, call: Callable[[Connection, bytes], object], connection: Connection, head: bytes) -> object:
        self._waiting -= 1
        return _call(call, connection, head)

    @property
    def _is_full(self) -> bool:
        return len(self._unread) >= MOST_UNREAD or self._waiting >= MOST_WAITING

    def check_room(self) -> None:
        """Raises Refused, and counts it, if too many wait for a page or do not read theirs."""
        is_full = self._is_full
        if is_full and not self._is_refusing:
            log.warning("pages are refused: %d wait for one, %d do not read theirs", self._waiting, len(self._unread))
        self._is_refusing = is_full
        if is_full:
            self._counters.refused_pages += 1
            raise Refused("Too many pages at once", status=503, cause="too many unread pages", headers=(RETRY_AFTER,))

    def take(self, connection: Connection, entry: AccessEntry | None, head: bytes, body: bytes) -> None:
        """Sends an answer and closes its connection after it. Never switches."""
        now = time.monotonic()
        answer = _Answer(connection, entry, head, body, now + self._settings.now.limits.client_timeout)
        fd = answer.sock.fileno()
        try:
            answer.send()
        except BlockingIOError:
            self._unread[fd] = answer
            self._hold(body)
            self._epoll.register(fd, select.EPOLLOUT)
            self._sweeper.begin()
            self._make_room()
        except OSError:
            self._end(answer)
        else:
            self._linger(answer, now)

    def run(self) -> None:
        """Sends on, for ever. May switch."""
        hub = get_hub()
        watcher = hub.loop.io(self._epoll.fileno(), 1)
        try:
            while True:
                hub.wait(watcher)
                now = time.monotonic()
                for fd, _ in self._epoll.poll(0, MOST_AT_ONCE):
                    self._serve(fd, now)
        finally:
            self._sweeper.close()
            watcher.stop()
            watcher.close()

    def end_all(self) -> None:
        """Closes all connections, also those whose clients have not read everything. Never switches."""
        for answer in (*self._unread.values(), *self._lingering.values()):
            self._end(answer)

    def close(self) -> None:
        """Closes all connections. `run` must have ended. Can be called twice."""
        self.end_all()
        self._sweeper.close()
        self._epoll.close()
        self._ends.close()

    def _serve(self, fd: int, now: float) -> None:
        answer = self._unread.get(fd)
        try:
            if answer is not None:
                answer.send()
                del self._unread[fd]
                self._release(answer.body)
                self._epoll.unregister(fd)
                self._linger(answer, now)
        except BlockingIOError:
            return
        except OSError:
            if answer is not None:
                self._end(answer)

    def _linger(self, answer: _Answer, now: float) -> None:
        self._log(answer)
        answer.deadline = now + LINGER_S
        # They may be the last reference to a page that is not shown any more.
        answer.head = answer.body = b""
        answer.sent = 0
        fd = answer.sock.fileno()
        self._lingering[fd] = answer
        self._ends.register(fd, select.EPOLLIN)
        self._sweeper.begin()
        try:
            answer.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(answer)

    def _read_rest(self, fd: int) -> None:
        """Reads and discards what a client sends that has its answer, to its end."""
        answer = self._lingering[fd]
        try:
            data = answer.sock.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        answer.left -= len(data)
        if not data or answer.left < 0:
            self._end(answer)

    def end_closed(self) -> None:
        """Closes the connections whose clients have their answer and have closed. Never switches."""
        for fd, _ in self._ends.poll(0, MOST_ENDS):
            self._read_rest(fd)

    def end_oldest(self) -> None:
        """Closes the connection whose client has had its answer for longest, if there is one. Never switches."""
        if self._lingering:
            self._end(next(iter(self._lingering.values())))

    def _sweep(self) -> int:
        self.end_closed()
        now = time.monotonic()
        if now - self._swept >= LOOK_S:
            self._swept = now
            self._end_late(now)
        return len(self)

    def _end_late(self, now: float) -> None:
        late = [answer for answer in self._unread.values() if answer.deadline <= now]
        for answer in [*late, *(answer for answer in self._lingering.values() if answer.deadline <= now)]:
            self._end(answer)
        if late:
            self._cut(len(late), "were not read in time")

    def _make_room(self) -> None:
        """Cuts the oldest answers short until the bodies together are no longer too large. The last one stays."""
        cut = 0
        while self._bytes > MOST_BYTES and len(self._bodies) > 1:
            self._end(next(iter(self._unread.values())))
            cut += 1
        if cut:
            self._cut(cut, "were read so slowly that too many different ones were in memory")

    def _cut(self, count: int, why: str) -> None:
        self._counters.cut_answers += count
        log.info("! %d answers were cut short: they %s", count, why)

    def _end(self, answer: _Answer) -> None:
        fd = answer.sock.fileno()
        if self._unread.pop(fd, None) is not None:
            self._release(answer.body)
        self._lingering.pop(fd, None)
        self._log(answer)
        answer.sock.close()  # this also removes it from the epoll
        self._admission.leave()

    def _log(self, answer: _Answer) -> None:
        entry, answer.entry = answer.entry, None
        if entry is None:  # no request, or logged already
            return
        self._counters.bytes_sent += answer.sent
        ended, duration_s = time.time(), time.monotonic() - answer.begun
        self._log_access(entry._replace(ip=answer.ip, ended=ended, bytes_sent=answer.sent, duration_s=duration_s))

    def _hold(self, body: bytes) -> None:
        count = self._bodies.get(id(body), 0)
        self._bodies[id(body)] = count + 1
        self._bytes += 0 if count else len(body)

    def _release(self, body: bytes) -> None:
        count = self._bodies.pop(id(body)) - 1
        if count:
            self._bodies[id(body)] = count
        else:
            self._bytes -= len(body)


def _call(call: Callable[[Connection, bytes], object], connection: Connection, head: bytes) -> object:
    try:
        return call(connection, head)
    except Exception:
        log.exception("! a page failed: a bug in the server")
        return False
