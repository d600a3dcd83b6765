"""One HTTP exchange on a connection: reads the head and the body of a request, sends the answer, logs the access.

It does not know what a request means: see `handler.py`. A body that is bytes goes out with its head in one write. Any
other body goes out piece by piece and is never whole in memory; each piece has the time that a client gets for one
write. A piece of a file is read in the hub's own thread, which takes some ten microseconds from the page cache. A disk
that stalls would stop the whole node: once files are served that may lie on such a disk, the read has to move to the
hub's thread pool.

Invariant: the body of an answer is closed whatever becomes of the answer.
"""

import logging
import os
import time
from collections.abc import Iterator

import gevent

from pycast.errors import BodyError, ExternalError, RequestError
from pycast.http.body import expects_continue, new_body
from pycast.http.request import HeadReader, Request
from pycast.http.response import CONTINUE, FileRange, Response, ResponseBody, render
from pycast.logs.access import AccessEntry
from pycast.server.connection import Connection
from pycast.server.context import ServerContext

log = logging.getLogger(__name__)

# What is read of a file at once. A listener's burst has the same size, so a piece of a download delays the fan-out no
# more than a new player does.
PIECE_SIZE = 65_536


class HttpExchange:
    """One request and its answer. `request` is None until the head is complete."""

    __slots__ = ("_connection", "_context", "_reader", "request")

    def __init__(self, context: ServerContext, connection: Connection) -> None:
        self.request: Request | None = None
        self._context = context
        self._connection = connection
        self._reader = HeadReader()

    @property
    def rest(self) -> bytes:
        """The bytes that came after the head."""
        return self._reader.rest

    def read_head(self, first: bytes = b"") -> Request | None:
        """Reads the head, of which `first` has come already. Returns None if the peer closed without sending one.
        Raises RequestError, TimeoutError. May switch.
        """
        deadline = time.monotonic() + self._context.settings.now.limits.header_timeout
        data = first or self._connection.read(deadline)
        has_begun = bool(data)
        while data:
            self.request = self._reader.feed(data)
            if self.request is not None:
                return self.request
            data = self._connection.read(deadline)
        if has_begun:
            raise RequestError("the request ends in the middle of its head")
        return None

    def read_body(self, request: Request, limit: int) -> bytes:
        """Reads the body, and first asks for it if the client waits for that. Raises BodyError if it is longer than
        `limit`, broken or late. May switch.
        """
        timeout = self._context.settings.now.limits.client_timeout
        if expects_continue(request.headers) and not self.rest:
            self._connection.write(CONTINUE, timeout)
        deadline = time.monotonic() + timeout
        body, found, data = new_body(request, limit), b"", self.rest
        while True:
            found += body.feed(data)
            if len(found) > limit:
                raise BodyError("the request's body is too long", status=413)
            if body.done:
                return found
            try:
                data = self._connection.read(deadline)
            except TimeoutError as error:
                raise BodyError(
                    "Your request took too long", status=408, cause="its body did not come in time"
                ) from error
            if not data:
                raise BodyError("the request ends in the middle of its body")

    def send(self, response: Response) -> None:
        """Sends the answer, and waits a moment for the client to take it. A client that leaves, or a body that fails,
        cuts the answer short. May switch.
        """
        try:
            try:
                self._write(response)
            finally:
                _close(response.body)
            self._connection.linger()
        except ExternalError as error:
            log.warning("! %s: %s was cut short: %s", self._connection.ip, self, error)
        except BodyBug as error:
            log.error("! %s: %s was cut short by a bug", self._connection.ip, self, exc_info=error.__cause__)
        except OSError as error:
            log.debug("! %s: left before it was answered: %s", self._connection.ip, error)

    def log_access(self, status: int) -> None:
        """Counts what was sent and writes a line of the access log, if there was a request."""
        request, connection = self.request, self._connection
        if request is None:  # there is nothing to write into the line, and the error log has one
            return
        self._context.counters.bytes_sent += connection.bytes_sent
        now = time.time()
        self._context.log_access(
            AccessEntry(
                ip=connection.ip,
                user="",
                ended=now,
                method=request.method,
                path=request.target.partition("?")[0],
                protocol=f"{request.protocol}/{request.version}",
                status=status,
                bytes_sent=connection.bytes_sent,
                referer=request.headers.get("referer"),
                agent=request.headers.get("user-agent"),
                duration_s=now - connection.accepted,
            )
        )

    def __str__(self) -> str:
        """Returns what the log calls the request."""
        return f"{self.request.method} {self.request.target}"[:200] if self.request else "request"

    def _write(self, response: Response) -> None:
        config = self._context.settings.now
        timeout = config.limits.client_timeout
        is_head = self.request is not None and self.request.method == "HEAD"
        data = render(
            response,
            server=config.server.server_id,
            now=time.time(),
            extra_headers=tuple(config.http_headers.items()),
            head_only=is_head,
        )
        self._connection.write(data, timeout)
        if is_head or isinstance(response.body, bytes):
            return
        for piece in _pieces(response.body):
            try:
                self._connection.write(piece, timeout)
            except TimeoutError:
                raise ExternalError(f"the client took nothing for {timeout:g} s") from None
            gevent.sleep(0)  # a client that takes all at once leaves the others their turn


class BodyBug(Exception):
    """A body's iterator has raised its `__cause__`."""


def _pieces(body: FileRange | Iterator[bytes]) -> Iterator[bytes]:
    """Yields the body, no piece empty. Raises ExternalError, BodyBug."""
    try:
        for piece in _read(body) if isinstance(body, FileRange) else body:
            if piece:
                yield piece
    except ExternalError:
        raise
    except Exception as error:
        raise BodyBug from error


def _read(part: FileRange) -> Iterator[bytes]:
    offset, end = part.start, part.start + part.length
    while offset < end:
        try:
            piece = os.pread(part.file.fileno(), min(PIECE_SIZE, end - offset), offset)
        except OSError as error:
            raise ExternalError(f"cannot read its file: {error.strerror}") from error
        if not piece:
            raise ExternalError(f"its file has become shorter, {end - offset} bytes are missing")
        yield piece
        offset += len(piece)


def _close(body: ResponseBody) -> None:
    close = getattr(body.file if isinstance(body, FileRange) else body, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:
        log.exception("! the body of an answer could not be closed")
