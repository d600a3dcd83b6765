"""A source: from its request to its last byte.

Checks come in Icecast's order (credentials, mount, limit, content type), replies are Icecast 2.4.4's, then one loop
reads, takes the framing off and feeds the mount. The loop lets bytes gather between two reads: the fan-out pushes in
batches anyway.
"""

import logging
import time
from typing import cast

import gevent

from pycast.auth.credentials import Credentials, is_source
from pycast.errors import PeerError, Refused
from pycast.http.body import Body, RawBody, expects_continue, new_body
from pycast.http.credentials import basic_credentials
from pycast.http.mounts import is_mount_name
from pycast.http.request import Request
from pycast.http.response import CONTINUE, SOURCE_OK
from pycast.http.source_headers import source_info
from pycast.net.group import Task
from pycast.server.connection import Connection
from pycast.server.service import Service
from pycast.stream.mount import Feed, Mount

log = logging.getLogger(__name__)

# What a framed body gets after its last byte.
OK_AT_END = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"


class Stopped(gevent.GreenletExit):
    """Raised in a source's greenlet to end it. Its text says why."""


class Source:
    """One connected source. It is the mount's feeder from `run`'s claim until it ends."""

    def __init__(self, service: Service, connection: Connection, mount: str, credentials: Credentials) -> None:
        self.credentials = credentials
        self.last_data = time.monotonic()
        self.bytes_read = 0
        self._service = service
        self._connection = connection
        self._mount = mount
        self._greenlet = cast(Task, gevent.getcurrent())

    def replace(self) -> None:
        """Ends it: another source has taken the mount over."""
        self.stop("replaced by a new connection of the same source")

    def stop(self, why: str) -> None:
        """Ends it."""
        self._greenlet.kill(Stopped(why), block=False)

    def run(self, feed: Feed, body: Body, first: bytes, begin: bytes, end: bytes) -> None:
        """Feeds the mount until the source ends. Sends `begin` once the mount is claimed, `end` after the last byte.
        Raises Refused.
        """
        mount = self._service.mounts.claim(self._mount, self, feed)
        self._service.counters.source_client_connections += 1
        log.info(
            "< mount %s: source from %s (%s, %s)",
            self._mount,
            feed.ip,
            feed.content_type,
            feed.info.user_agent or "no agent",
        )
        why = "ended by an error of ours"
        try:
            if begin:
                self._connection.write(begin, self._service.config.limits.client_timeout)
            why = self._read(mount, body, first)
            if end:
                self._connection.write(end, self._service.config.limits.client_timeout)
        except PeerError as error:
            why = f"sent what cannot be streamed: {error}"
        except TimeoutError:
            why = f"sent nothing for {mount.settings.source_timeout:g} s"
        except OSError as error:
            why = f"connection failed: {error}"
        except Stopped as stopped:
            why = str(stopped)
        finally:
            self._service.mounts.release(self._mount, self)
            log.info(
                "< mount %s: source from %s is gone after %d bytes: %s", self._mount, feed.ip, self.bytes_read, why
            )

    def _read(self, mount: Mount, body: Body, data: bytes) -> str:
        while True:
            if data:
                self.bytes_read += len(data)
                audio = body.feed(data)
                if audio:  # chunk framing alone does not keep a source alive
                    self.last_data = time.monotonic()
                    mount.feed(audio)
                if body.done:
                    return "its body is complete"
                gevent.sleep(self._service.pacer.read_wait)
            data = self._connection.read(self.last_data + mount.settings.source_timeout)
            if not data:
                return "it closed the connection"


def serve_source(service: Service, connection: Connection, request: Request, first: bytes) -> None:
    """Serves a SOURCE or PUT request. Raises Refused and other PeerErrors before the stream begins."""
    credentials = basic_credentials(request.headers)
    if not is_source(service.config, request.path, credentials):
        raise Refused("You need to authenticate", status=401, cause=f"wrong source credentials for {request.path}")
    assert credentials is not None
    if not is_mount_name(request.path):
        raise Refused("This name cannot be a mount", cause=f"source for {request.path}")
    service.mounts.check_claim(request.path, credentials)
    feed = new_feed(connection, request)
    body = new_body(request)
    expects = expects_continue(request.headers)
    # A framed body whose sender waits for 100 gets its 200 when it is complete (RFC 9110, 10.1.1); everybody else gets
    # it at once, as 2.4.4 does: old liquidsoap and all unframed sources wait for it.
    late = expects and not isinstance(body, RawBody)
    begin = (CONTINUE if expects else b"") + (b"" if late else SOURCE_OK)
    Source(service, connection, request.path, credentials).run(feed, body, first, begin, OK_AT_END if late else b"")


def new_feed(connection: Connection, request: Request) -> Feed:
    """What the mount is told about a source. Raises Refused for a PUT without a content type."""
    info = source_info(request.headers)
    content_type = info.content_type
    if not content_type:
        if request.method == "PUT":
            raise Refused("No Content-type given", cause=f"PUT {request.path} without Content-Type")
        log.warning("source %s %s names no content type: taken as audio/mpeg", connection.ip, request.path)
        content_type = "audio/mpeg"
    return Feed(info, content_type, tuple(request.headers), connection.ip, time.time())
