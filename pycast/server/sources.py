"""A source: from its request to its last byte.

Checks come in Icecast's order (credentials, mount, limit, content type), replies are Icecast 2.4.4's, then one loop
reads, takes the framing off and feeds the mount. The loop lets bytes gather between two reads: the fan-out pushes in
batches anyway.
"""

import logging
import time
from contextlib import suppress
from typing import cast

import gevent
from gevent.event import Event

from pycast.auth.credentials import Credentials
from pycast.errors import PeerError, Refused
from pycast.http.body import Body, RawBody, expects_continue, new_body
from pycast.http.forwarded import is_proxied
from pycast.http.request import Request
from pycast.http.response import CONTINUE, SOURCE_OK
from pycast.http.source_headers import source_info
from pycast.net.group import Task
from pycast.net.sockets import has_closed
from pycast.server.connection import READ_SIZE, Connection
from pycast.server.context import ServerContext
from pycast.server.source_gate import check_credentials, pass_gate
from pycast.stream.source import SOURCE_SILENT_S, SourceDescription, SourceOutput, SourceState

log = logging.getLogger(__name__)

# What a framed body gets after its last byte.
OK_AT_END = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"

# A source sends at once; a proxy that takes its body for none never does.
PROXIED_FIRST_BYTES_S = 5.0

# After a read that found more than it could take: a video of several Mbit/s must not wait for a busy node's next read,
# and a file that is sent as fast as the line takes it must not have the whole core.
FULL_READ_PAUSE_S = 0.01


class Stopped(gevent.GreenletExit):
    """Raised in a source's greenlet to end it. Its text says why."""


class ConnectedSource:
    """One connected source: reads its connection and feeds its output, whatever `cluster/ownership.py` makes of it."""

    def __init__(
        self,
        context: ServerContext,
        connection: Connection,
        mount: str,
        credentials: Credentials,
        description: SourceDescription,
    ) -> None:
        self.credentials = credentials
        self.description = description
        self.output = SourceOutput()
        self.last_data = time.monotonic()
        """When it last sent audio."""
        self.bytes_read = 0
        self._context = context
        self._connection = connection
        self._mount = mount
        self._body: Body = RawBody()
        self._left = Event()
        self._greenlet = cast(Task, gevent.getcurrent())

    @property
    def is_silent(self) -> bool:
        """Whether its peer has closed, or has sent nothing for a while."""
        return has_closed(self._connection.sock) or time.monotonic() - self.last_data >= SOURCE_SILENT_S

    def wait_until_out(self, seconds: float) -> None:
        """Waits until it has left, if its peer has closed: what it sent before is still read. May switch."""
        if has_closed(self._connection.sock):
            self._left.wait(seconds)

    def end(self, why: str) -> None:
        """Ends it. What has come already is still heard: between two reads it may be a tenth of a second. Never
        switches.
        """
        self._take_last_words()
        self.output.take_out()
        self._greenlet.kill(Stopped(why), block=False)

    def run(self, body: Body, first: bytes, begin: bytes, end: bytes, *, doubt_proxy: bool = False) -> None:
        """Feeds the mount until the source ends. Sends `begin` once it has its place, `end` after the last byte. If
        `doubt_proxy`, a source of which nothing comes is explained in the log. Raises Refused.
        """
        self._body = body
        try:
            self._context.ownership.admit(self._mount, self)
            self._run(first, begin, end, doubt_proxy=doubt_proxy)
        except Stopped as stopped:  # while it waited for its place
            log.info("< mount %s: source from %s: %s", self._mount, self.description.ip, stopped)
        finally:
            self._context.ownership.remove(self._mount, self)
            self._left.set()

    def _run(self, first: bytes, begin: bytes, end: bytes, *, doubt_proxy: bool) -> None:
        description, timeout = self.description, self._context.settings.now.limits.client_timeout
        self._context.counters.source_client_connections += 1
        log.info(
            "< mount %s: source from %s (%s, %s)",
            self._mount,
            description.ip,
            description.content_type,
            description.info.user_agent or "no agent",
        )
        why = "ended by an error of ours"
        try:
            if begin:
                self._connection.write(begin, timeout)
            if doubt_proxy and not first:
                first = self._read_through_proxy()
            why = self._read(first)
            if end:
                self._connection.write(end, timeout)
        except PeerError as error:
            why = f"sent what cannot be streamed: {error}"
        except TimeoutError:
            why = f"sent nothing for {self._patience:g} s"
        except OSError as error:
            why = f"connection failed: {error}"
        except Stopped as stopped:
            why = str(stopped)
        finally:
            ip, count = description.ip, self.bytes_read
            log.info("< mount %s: source from %s is gone after %d bytes: %s", self._mount, ip, count, why)

    @property
    def _patience(self) -> float:
        """Seconds of silence after which it is dropped."""
        return self._context.settings.now.for_mount(self._mount).source_timeout

    def _read_through_proxy(self) -> bytes:
        """The first bytes, or a warning in the log and none."""
        data = b""
        with suppress(TimeoutError):
            data = self._connection.read(self.last_data + min(PROXIED_FIRST_BYTES_S, self._patience))
        if not data:
            log.warning(
                "mount %s: the source from %s came through an HTTP proxy and sent no byte: such a proxy does not pass "
                "on a body without Content-Length or chunks. Let the source connect directly or through the proxy's "
                "TCP mode, or send a chunked PUT",
                self._mount,
                self.description.ip,
            )
        return data

    def _read(self, data: bytes) -> str:
        while True:
            if data:
                self._feed(data)
            if self._body.done:
                return "its body is complete"
            if data:
                gevent.sleep(self._pause(len(data)))
            data = self._connection.read(self.last_data + self._patience)
            if not data:
                return "it closed the connection"
            if self.output.state is SourceState.OUT:  # and the news is still on its way
                return "it is no longer the mount's source"

    def _feed(self, data: bytes) -> None:
        self.bytes_read += len(data)
        audio = self._body.feed(data)
        if audio:  # chunk framing alone does not keep a source alive
            self.last_data = time.monotonic()
            self.output.feed(audio)
            self._body.feed(b"")  # raises what is wrong behind the audio, now and not with the next data

    def _take_last_words(self) -> None:
        with suppress(OSError, PeerError):
            self._connection.sock.settimeout(0.0)
            while not self._body.done and (data := self._connection.sock.recv(READ_SIZE)):
                self._feed(data)

    def _pause(self, size: int) -> float:
        """Seconds until the next read, after one of `size` bytes."""
        wait = self._context.pacer.read_wait
        return wait if size < READ_SIZE else min(wait, FULL_READ_PAUSE_S)


def serve_source(context: ServerContext, connection: Connection, request: Request, first: bytes) -> None:
    """Serves a SOURCE or PUT request. Raises Refused and other PeerErrors before the stream begins."""
    credentials = check_credentials(context, request)
    pass_gate(context, request.path)
    context.ownership.check(request.path, credentials)
    description = describe_source(connection, request)
    body = new_body(request)
    expects = expects_continue(request.headers)
    # A framed body whose sender waits for 100 gets its 200 when it is complete (RFC 9110, 10.1.1); everybody else gets
    # it at once, as 2.4.4 does: old liquidsoap and all unframed sources wait for it.
    late = expects and not isinstance(body, RawBody)
    begin = (CONTINUE if expects else b"") + (b"" if late else SOURCE_OK)
    source = ConnectedSource(context, connection, request.path, credentials, description)
    doubt_proxy = isinstance(body, RawBody) and is_proxied(request.headers)
    source.run(body, first, begin, OK_AT_END if late else b"", doubt_proxy=doubt_proxy)


def describe_source(connection: Connection, request: Request) -> SourceDescription:
    """What the mount is told about a source. Raises Refused for a PUT without a content type."""
    info = source_info(request.headers)
    content_type = info.content_type
    if not content_type:
        if request.method == "PUT":
            raise Refused("No Content-type given", cause=f"PUT {request.path} without Content-Type")
        log.warning("source %s %s names no content type: taken as audio/mpeg", connection.ip, request.path)
        content_type = "audio/mpeg"
    return SourceDescription(info, content_type, tuple(request.headers), connection.ip, time.time())
