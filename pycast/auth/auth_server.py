"""Calls of the servers that are asked about listeners and sources: bounded, with time limits, each server by itself.

A server that is dead or slow delays only those who ask it. They have a few connections to it, wait for one of these in
a queue that is bounded, and each has `timeout` for all. After some failures in a row the server counts as down: who
asks then gets the failure at once, and one at a time tries whether it is back. What it is told (listeners that have
left, mounts) waits in a queue of its own, of which one greenlet sends one after the other.

Whether it answers is logged when that changes, not for each call. Invariant: no call waits for longer than its time
limit, for whatever: a name, a connection, a handshake, a byte.
"""

import logging
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.errors import MissingHeaderBodySeparatorDefect
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import gevent
import urllib3
from gevent import socket
from gevent import ssl as gssl
from gevent.lock import BoundedSemaphore
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

from pycast.auth.logins import TooManyWaiting
from pycast.auth.url_forms import WITH_INTRO, AuthAnswer
from pycast.disk.calls import DiskStalled, off_hub
from pycast.errors import ExternalError
from pycast.http.charset import of_latin1
from pycast.http.redact import without_secrets
from pycast.net.failed_endpoints import Endpoint, FailedEndpoints
from pycast.net.final_answer import FinalAnswer
from pycast.net.first_connection import connect
from pycast.net.group import Group
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

# Connections to one server. A station's script has some such number of processes.
MOST_CALLS = 8

# Those who wait for one of these: each holds a connection and a greenlet. After a restart thousands come at once, and
# a server that answers within 5 ms has let that many in before the first of them has waited for a second.
MOST_WAITING = 1000

# A connection that was quiet for longer is not used again: a firewall on the way may have forgotten it without a word,
# and the first listener of the morning would wait for the time limit, and be refused.
KEPT_S = 30.0

# What one server has still to be told, some hundred bytes each: all listeners of a large mount may leave at once.
MOST_NOTICES = 10_000

# So many failures in a row, not one, are a server that is down; for so long nobody asks it then.
FAILURES = 5
PAUSE_S = 2.0

# Answers have a few headers. Their body is of no use, and read to keep the connection; but for one that is to be heard
# before the stream, which may be a minute long.
MOST_BODY, MOST_INTRO = 65_536, 2 << 20

Login = tuple[str, str]


class AuthServerFailed(ExternalError):
    """A call that was not answered, or not in time."""


class Notice(NamedTuple):
    """Something a server is told."""

    url: str
    body: bytes
    login: Login | None
    timeout_s: float


class AuthServers:
    """The servers that the configuration names, each made when it is called first."""

    def __init__(self, counters: Counters, group: Group, clock: Callable[[], float], agent: Callable[[], str]) -> None:
        self._counters = counters
        self._group = group
        self._clock = clock
        self._agent = agent
        self._servers: dict[tuple[str, str], AuthServer] = {}

    def at(self, url: str) -> "AuthServer":
        """Returns the server of a URL."""
        parts = urlsplit(url)
        key = parts.scheme, parts.netloc.rpartition("@")[2].lower()
        if key not in self._servers:
            self._servers[key] = AuthServer("://".join(key), self._counters, self._group, self._clock, self._agent)
        return self._servers[key]

    def close(self) -> None:
        """Closes the connections that are kept."""
        for server in self._servers.values():
            server.close()


class AuthServer:
    """One server, `http://host:port`. `clock` is monotonic."""

    def __init__(
        self,
        origin: str,
        counters: Counters,
        group: Group,
        clock: Callable[[], float],
        agent: Callable[[], str],
    ) -> None:
        self._origin = origin
        self._counters = counters
        self._group = group
        self._clock = clock
        self._agent = agent
        self._pool: HTTPConnectionPool | None = None
        self._unreachable = FailedEndpoints(time.monotonic)
        self._calls = BoundedSemaphore(MOST_CALLS)
        self._waiting = 0
        self._failures = 0
        """Calls in a row that failed."""
        self._again_at = 0.0
        """When it is tried again, if it is down."""
        self._is_told = False
        """Whether the log has it that the server fails."""
        self._notices: deque[Notice] = deque()
        self._is_telling = False
        self._is_losing = False
        """Whether the log has it that too much waits to be told."""

    def ask(self, url: str, body: bytes, login: Login | None, timeout_s: float) -> AuthAnswer:
        """Returns the answer. Raises AuthServerFailed, or TooManyWaiting. May switch."""
        if self._waiting >= MOST_WAITING:
            self._counters.busy_logins += 1
            raise TooManyWaiting(f"{MOST_WAITING} wait for {self._origin} already")
        self._check_pause()
        self._waiting += 1
        try:
            with gevent.Timeout(timeout_s, AuthServerFailed(f"no answer within {timeout_s:g} s")), self._calls:
                answer = self._post(url, body, login, timeout_s)
        except AuthServerFailed as error:
            self._fail(str(error))
            raise
        except (HTTPError, OSError, ValueError, DiskStalled) as error:
            self._fail(str(error))
            raise AuthServerFailed(str(error)) from error
        finally:
            self._waiting -= 1
        self._succeed()
        return answer

    def tell(self, url: str, body: bytes, login: Login | None, timeout_s: float) -> None:
        """Tells the server something, in its turn. What it is told by then does not matter, and if too much waits for
        it, it is not told. Never switches.
        """
        if len(self._notices) >= MOST_NOTICES:
            self._counters.auth_notices_lost += 1
            if not self._is_losing:
                self._is_losing = True
                log.warning(
                    "! %s takes in what it is told more slowly than listeners come and go: %d messages wait, those "
                    "that come now are lost, and pycast_lost_auth_notices_total counts them",
                    self._origin,
                    len(self._notices),
                )
            return
        self._notices.append(Notice(url, body, login, timeout_s))
        if not self._is_telling:
            self._is_telling = True
            self._group.spawn(f"notices for {self._origin}", self._tell_all)

    def close(self) -> None:
        """Closes the connections that are kept between calls."""
        if self._pool is not None:
            self._pool.close()

    def _tell_all(self) -> None:
        try:
            while self._notices:
                wait = self._again_at - self._clock()
                if self._failures >= FAILURES and wait > 0:
                    gevent.sleep(wait)
                notice = self._notices.popleft()
                try:
                    self.ask(*notice)
                except (AuthServerFailed, TooManyWaiting):
                    self._counters.auth_notices_lost += 1
        finally:
            self._is_telling = self._is_losing = False

    def _check_pause(self) -> None:
        """Raises AuthServerFailed if the server is down and it is not time to try it again."""
        if self._failures < FAILURES:
            return
        now = self._clock()
        if now < self._again_at:
            self._counters.failed_auth_calls += 1
            raise AuthServerFailed("it is down")
        self._again_at = now + PAUSE_S  # this call tries, and no other one meanwhile

    def _fail(self, why: str) -> None:
        self._counters.failed_auth_calls += 1
        self._failures += 1
        if self._failures >= FAILURES:
            self._again_at = self._clock() + PAUSE_S
        if not self._is_told:
            self._is_told = True
            log.error("! %s, which is asked about listeners or sources, fails: %s", self._origin, without_secrets(why))

    def _succeed(self) -> None:
        if self._is_told:
            log.warning("! %s answers again", self._origin)
        self._failures, self._is_told = 0, False

    def _post(self, url: str, body: bytes, login: Login | None, timeout_s: float) -> AuthAnswer:
        pool = self._pool or self._open()
        parts = urlsplit(url)
        own = (unquote(parts.username or ""), unquote(parts.password or "")) if "@" in parts.netloc else None
        headers = {"User-Agent": self._agent(), "Content-Type": "application/x-www-form-urlencoded"}
        if given := login or own:
            # In UTF-8, as in the form. What urllib3 cannot encode would count as a failure of the server.
            headers["Authorization"] = f"Basic {b64encode(':'.join(given).encode('utf-8', 'replace')).decode()}"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        for is_last in (False, True):
            try:
                return _answer(pool, path, body, headers, timeout_s)
            except ProtocolError as error:
                # It may have closed a connection that was kept just when this call was sent. Where an answer has begun,
                # the call was taken, and would count twice.
                if is_last or not isinstance(error.args[-1], ConnectionError):
                    raise
        raise AssertionError

    def _open(self) -> HTTPConnectionPool:
        parts = urlsplit(self._origin)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        if parts.scheme == "https":
            context = off_hub(gssl.create_default_context)  # it reads the system's list of authorities
            self._pool = _TlsPool(host, parts.port, maxsize=MOST_CALLS, ssl_context=context, failed=self._unreachable)
        else:
            self._pool = _PlainPool(host, parts.port, maxsize=MOST_CALLS, failed=self._unreachable)
        return self._pool


class _WholeHead(FinalAnswer):
    """An answer whose head is one: after a line that is no header field all that follows would count as the body, also
    what says how long that is.
    """

    def begin(self) -> None:
        super().begin()
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in self.headers.defects):
            raise ProtocolError("a line in the head of its answer is no header field")


class _OfGevent:
    """Connects a socket of gevent's: names are resolved in a thread, and only the greenlet that asks waits."""

    def __init__(self, *arguments: Any, failed: FailedEndpoints, **options: Any) -> None:
        connection: Any = super()
        connection.__init__(*arguments, **options)
        self._failed = failed
        self._endpoint: Endpoint | None = None
        self._used = 0.0
        """When an answer came last, by the monotonic clock."""

    @property
    def is_connected(self) -> bool:
        """Whether it can be used again. urllib3 closes one that cannot, and opens another."""
        connection: Any = super()
        return bool(connection.is_connected) and time.monotonic() - self._used < KEPT_S

    def getresponse(self) -> Any:
        connection: Any = super()
        with self._asked():
            response = connection.getresponse()
        self._used = time.monotonic()
        return response

    def connect(self) -> None:
        """Connects, and makes the handshake if there is one."""
        connection: Any = super()
        with self._asked():
            connection.connect()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Remembers the address as one that failed if the block raises an error: it may take connections and then be
        silent. The next call begins with another one, if the name has more.
        """
        try:
            yield
        except Exception:
            if self._endpoint is not None:
                self._failed.add(self._endpoint)
            raise

    def _new_conn(self) -> Any:
        connection: Any = self
        try:
            sock = connect(connection._dns_host, connection.port, connection.timeout, self._failed)
            self._endpoint = sock.family, sock.getpeername()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body are two writes
            return sock
        except OSError as error:
            raise NewConnectionError(connection, str(error)) from error


class _PlainConnection(_OfGevent, HTTPConnection):
    """To a server without TLS."""

    response_class = _WholeHead


class _TlsConnection(_OfGevent, HTTPSConnection):
    """To one with TLS."""

    response_class = _WholeHead


class _PlainPool(HTTPConnectionPool):
    ConnectionCls: Any = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls: Any = _TlsConnection


def _answer(pool: HTTPConnectionPool, path: str, body: bytes, headers: dict[str, str], timeout_s: float) -> AuthAnswer:
    response = pool.urlopen(
        "POST",
        path,
        body,
        headers,
        retries=False,
        redirect=False,
        timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s),
        preload_content=False,
    )
    try:
        found = tuple((name.lower(), of_latin1(value)) for name, value in response.headers.items())
        has_intro = any(WITH_INTRO in value.lower() for _, value in found)
        most = MOST_INTRO if has_intro else MOST_BODY
        rest = response.read(most + 1, decode_content=False)
    except BaseException:
        response.close()
        raise
    if len(rest) > most:
        response.close()
    else:
        response.release_conn()
    return AuthAnswer(response.status, found, rest[:most] if has_intro else b"")
