"""One HTTP exchange on a connection: reads the head and the body of a request, sends the answer, logs the access.

It does not know what a request means: see `handler.py`. A body of bytes is sent with its head in one write. Any other
body is sent piece by piece and is never whole in memory; each piece has `limits.client_timeout` to go out. A piece of a
file is read in a native thread, so that a disk that stalls holds up nobody else.

Invariant: the body of an answer is closed, whether or not it was sent.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping

import gevent

from pycast.config.mount_settings import merge_headers
from pycast.config.status_headers import HeaderValue, for_statuses, sent_with
from pycast.disk.calls import off_hub
from pycast.errors import BodyError, ExternalError, RequestError
from pycast.http.body import expects_continue, new_body
from pycast.http.redact import shown_target
from pycast.http.request import MAX_HEAD, HeadReader, Request
from pycast.http.response import CONTINUE, FileParts, FileRange, Pair, Response, ResponseBody, render
from pycast.logs.access import AccessEntry
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.repeats import Repeat
from pycast.web.routes import is_open as is_open_to_other_sites

log = logging.getLogger(__name__)

# Bytes of a file that are read at once. A listener's burst has the same size, so a piece of a download delays the
# fan-out no more than a new player does.
PIECE_SIZE = 65_536

# A body of which each byte is a chunk of its own takes six times its length; its trailers may take as much as a head.
FRAMED = 8


# The names of the headers that let pages of other sites read an answer begin so.
CORS = "access-control-"

# No page of ours is shown in a frame of another site's page, where its visitor would click on what he does not see. The
# policy is for answers that have no scripts and pictures of their own.
FOR_BROWSERS = (
    ("X-Frame-Options", "DENY"),
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "same-origin"),
)


class HttpExchange:
    """One request and its answer. `request` is None until the head is complete."""

    __slots__ = ("_connection", "_context", "_reader", "mount", "request")

    def __init__(self, context: ServerContext, connection: Connection) -> None:
        self.request: Request | None = None
        self.mount = ""
        """The mount that is asked for, if it may be one: refusals have its headers for their status."""
        self._context = context
        self._connection = connection
        self._reader = HeadReader()

    @property
    def rest(self) -> bytes:
        """The bytes that were received after the head."""
        return self._reader.rest

    def parse(self, head: bytes) -> Request | None:
        """Returns the request that has been received, None if that is not all of its head. Raises RequestError."""
        self.request = self._reader.feed(head)
        return self.request

    def read_head(self, first: bytes = b"") -> Request | None:
        """Reads the head; `first` are its bytes that were read already. Returns None if the peer closed without sending
        anything. Raises RequestError, TimeoutError. May switch.
        """
        deadline = self._connection.begun + self._context.settings.now.limits.header_timeout
        data = first or self._connection.read(deadline)
        has_begun = bool(data)
        while data:
            if request := self.parse(data):
                return request
            data = self._connection.read(deadline)
        if has_begun:
            raise RequestError("the request ends in the middle of its head")
        return None

    def read_body(self, request: Request, limit: int) -> bytes:
        """Reads the body, and sends 100 Continue first if the client waits for it. Raises BodyError if the body is
        longer than `limit`, malformed or late. May switch.
        """
        timeout = self._context.settings.now.limits.client_timeout
        if expects_continue(request.headers) and not self.rest:
            self._connection.write(CONTINUE, timeout)
        deadline = time.monotonic() + timeout
        body, found, data, received = new_body(request, limit), b"", self.rest, 0
        while True:
            found += body.feed(data)
            received += len(data)
            if len(found) > limit:
                raise BodyError("the request's body is too long", status=413)
            if body.done:
                return found
            if received > FRAMED * limit + MAX_HEAD:
                raise BodyError("the request's body is too long", status=413, cause=f"{received} bytes with framing")
            try:
                data = self._connection.read(deadline)
            except TimeoutError as error:
                raise BodyError(
                    "Your request took too long", status=408, cause="its body did not arrive in time"
                ) from error
            if not data:
                raise BodyError("the request ends in the middle of its body")

    def send(self, response: Response) -> None:
        """Sends the answer and waits up to `LINGER_S` for the client to read it. If the client leaves or the body
        fails, the answer is cut short and the reason logged. May switch.
        """
        try:
            try:
                self._write(response)
            finally:
                _close(response.body)
            # Only after a whole answer: a client notices one that was cut short by the end of its connection.
            self._connection.linger()
        except ExternalError as error:
            log.warning("! %s: %s was cut short: %s", self._connection.ip, self, error)
        except BodyBug as error:
            log.error("! %s: %s was cut short by a bug", self._connection.ip, self, exc_info=error.__cause__)
        except OSError as error:
            log.debug("! %s: left before it was answered: %s", self._connection.ip, error)

    def hand_over(self, response: Response) -> None:
        """Sends an answer whose body is bytes, and closes its connection, by `Answers`: no greenlet waits for the
        client. Never switches.
        """
        self._context.answers.take(self._connection, self._access_entry(response.status), *self._parts(response))

    def as_repeat(self, response: Response) -> Repeat:
        """Returns the answer as it is kept for other requests of the same bytes."""
        entry, request = self._access_entry(response.status), self.request
        assert entry is not None and request is not None
        config, serves = self._context.settings.now, self._connection.serves
        return Repeat(response.again, config, serves, *self._parts(response), entry, request.method == "GET")

    def log_access(self, status: int) -> None:
        """Counts the bytes sent and writes a line of the access log, if there was a request."""
        entry = self._access_entry(status)
        if entry is None:  # no fields for the line; the error log has the reason
            return
        self._context.counters.bytes_sent += entry.bytes_sent
        self._context.log_access(entry)

    def _access_entry(self, status: int) -> AccessEntry | None:
        request, connection = self.request, self._connection
        if request is None:
            return None
        return AccessEntry(
            ip=connection.ip,
            user="",
            ended=time.time(),
            method=request.method,
            path=request.target.partition("?")[0],
            protocol=f"{request.protocol}/{request.version}",
            status=status,
            bytes_sent=connection.bytes_sent,
            referer=request.headers.get("referer"),
            agent=request.headers.get("user-agent"),
            duration_s=time.monotonic() - connection.begun,
        )

    def __str__(self) -> str:
        """Returns the method and the target, for the log, without what may be secret."""
        return f"{self.request.method} {shown_target(self.request.target)}"[:200] if self.request else "request"

    def _parts(self, response: Response) -> tuple[bytes, bytes]:
        """Returns the head and the body of an answer whose body is bytes."""
        assert isinstance(response.body, bytes)
        head = self._render(response._replace(body=b""), len(response.body))
        return head, b"" if self._is_head else response.body

    @property
    def _is_head(self) -> bool:
        return self.request is not None and self.request.method == "HEAD"

    def _write(self, response: Response) -> None:
        timeout = self._context.settings.now.limits.client_timeout
        # The head, and a body of bytes with it: one write.
        self._connection.write(self._render(response), timeout)
        if self._is_head or isinstance(response.body, bytes):
            return
        # Any other body piece by piece. `_pieces` may raise after the head is out: `send` then cuts the answer short.
        for piece in _pieces(response.body):
            # Each piece has its own deadline, so a slow client may take as long as it likes if it keeps reading.
            try:
                self._connection.write(piece, timeout)
            except TimeoutError:
                raise ExternalError(f"the client took nothing for {timeout:g} s") from None
            # A client on a fast line never makes `write` wait: other greenlets run between two pieces.
            gevent.sleep(0)

    def _render(self, response: Response, length: int | None = None) -> bytes:
        """Returns the head, and with it a body of bytes. `length` is that of a body that is sent separately."""
        return render(
            response,
            server=self._context.settings.now.server.server_id,
            now=time.time(),
            extra_headers=self._common_headers(response),
            head_only=self._is_head,
            length=length,
        )

    def _common_headers(self, response: Response) -> list[Pair]:
        """Returns the configured headers, and for browsers those that protect our pages unless they are configured or
        the response's own. The station's own pages say themselves what they may do.
        """
        # Pages of other sites may read public answers only.
        is_open = self.request is None or is_open_to_other_sites(self.request)
        configured = sent_with(response.status, self._configured(response.status))
        headers = [pair for pair in configured if is_open or not pair[0].lower().startswith(CORS)]
        if response.is_own:
            return headers
        names = {name.lower() for name, _ in (*headers, *response.headers)}
        return [pair for pair in FOR_BROWSERS if pair[0].lower() not in names] + headers

    def _configured(self, status: int) -> Mapping[str, HeaderValue]:
        config = self._context.settings.now
        if status < 400 or not self.mount:
            return config.http_headers
        return merge_headers(config.http_headers, for_statuses(config.for_mount(self.mount).http_headers))


class BodyBug(Exception):
    """An unexpected exception, its `__cause__`, from a body's iterator."""


def _pieces(body: FileRange | FileParts | Iterator[bytes]) -> Iterator[bytes]:
    """Yields the pieces of a body that are not empty. Raises ExternalError, BodyBug."""
    try:
        for piece in _read_parts(body) if isinstance(body, FileRange | FileParts) else body:
            if piece:
                yield piece
    except ExternalError:
        raise
    except Exception as error:
        raise BodyBug from error


def _read_parts(body: FileRange | FileParts) -> Iterator[bytes]:
    if isinstance(body, FileRange):
        yield from _read(body)
        return
    for part in body.parts:
        if isinstance(part, bytes):
            yield part
        else:
            yield from _read(FileRange(body.file, *part))


def _read(part: FileRange) -> Iterator[bytes]:
    # `pread` leaves the file's own position alone, so several answers can share one open file.
    offset, end = part.start, part.start + part.length
    while offset < end:
        try:
            piece = off_hub(os.pread, part.file.fileno(), min(PIECE_SIZE, end - offset), offset)
        except OSError as error:
            raise ExternalError(f"cannot read its file: {error.strerror}") from error
        if not piece:
            raise ExternalError(f"its file has become shorter, {end - offset} bytes are missing")
        yield piece
        offset += len(piece)


def _close(body: ResponseBody) -> None:
    close = getattr(body.file if isinstance(body, FileRange | FileParts) else body, "close", None)
    if close is None:
        return
    try:
        close()
    except Exception:
        log.exception("! the body of an answer could not be closed")
