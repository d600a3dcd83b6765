"""One HTTP connection: head, route, answer, access log.

Routes: SOURCE and PUT feed a mount, GET and HEAD of a mount listen to it, all else goes to the table of `web`. A
PeerError, wherever it is raised, becomes its answer here, and one line in the log; an unexpected exception becomes a
500 and costs nobody else anything.
"""

import logging
import time
from dataclasses import replace

from pycast.balance.admission import Slot
from pycast.cluster.link.link import asks_for_link
from pycast.errors import PeerError, Refused
from pycast.http.body import expects_continue, new_body
from pycast.http.forwarded import client_ip, client_scheme
from pycast.http.request import HeadReader, Request
from pycast.http.response import CONTINUE, Response, error_response, render
from pycast.logs.access import AccessEntry
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.listeners import serve_listener
from pycast.server.reserve import check_room
from pycast.server.sources import serve_source
from pycast.web.routes import HEALTH_PATHS, answer

log = logging.getLogger(__name__)

# A form posted to /admin/: Icecast 2.5's limit.
MAX_BODY = 4096


def serve_http(context: ServerContext, connection: Connection, slot: Slot, first: bytes = b"") -> None:
    """Serves one request on `connection`, of which `first` has been read already. May switch."""
    limits = context.settings.now.limits
    request: Request | None = None
    status = 0
    try:
        reader = HeadReader()
        request = connection.read_head(reader, time.monotonic() + limits.header_timeout, first)
        if request is None:
            return
        if connection.proxies is not None:
            connection.ip = client_ip(request.headers, connection.ip, connection.proxies)
        context.counters.client_connections += request.method == "GET"
        response = _serve(context, connection, slot, request, reader.rest)
    except PeerError as error:
        response = _refusal(context, connection, request, error)
    except OSError as error:
        if request is not None or not isinstance(error, TimeoutError):
            log.debug("! %s: connection failed: %s", connection.ip, error)
            return
        log.info("! %s: no complete request head within %g s", connection.ip, limits.header_timeout)
        response = error_response(408, "Your request took too long")
    except Exception:
        log.exception("! %s: %s met a bug", connection.ip, _what(request))
        has_begun = connection.bytes_sent or connection.given_away
        status, response = 500, None if has_begun else error_response(500)
    if response is not None:
        status = response.status
        _send(context, connection, request, response)
    if not connection.given_away:
        _log_access(context, connection, request, status or 200)


def _serve(
    context: ServerContext, connection: Connection, slot: Slot, request: Request, rest: bytes
) -> Response | None:
    if not _is_for_all(request):
        check_room(context.counters, slot)
    limits = context.settings.now.limits
    if context.cluster and asks_for_link(request):
        context.cluster.serve(
            connection.sock, request, rest, connection.ip, lambda: context.reserve.release(connection)
        )
        return None
    if request.method in ("SOURCE", "PUT"):
        serve_source(context, connection, request, rest)
        return None
    mount = context.finder.find(request.path) if request.method in ("GET", "HEAD") else None
    if mount is not None:
        serve_listener(context, connection, request, mount)
        return None
    body = b""
    if request.method == "POST" and request.path.startswith("/admin"):
        if expects_continue(request.headers) and not rest:
            connection.write(CONTINUE, limits.client_timeout)
        body = connection.read_body(
            new_body(request, MAX_BODY), rest, MAX_BODY, time.monotonic() + limits.client_timeout
        )
    return answer(context.site, replace(request, scheme=_scheme(connection, request)), body)


def _is_for_all(request: Request) -> bool:
    """Health checks, also in the form that balancers use by default (`OPTIONS /`): served from the reserve."""
    return request.path in HEALTH_PATHS or request.method == "OPTIONS" or asks_for_link(request)


def _scheme(connection: Connection, request: Request) -> str:
    own = "https" if connection.tls else "http"
    return own if connection.proxies is None else client_scheme(request.headers) or own


def _refusal(context: ServerContext, connection: Connection, request: Request | None, error: PeerError) -> Response:
    """The answer to a peer's error, and the log line for it."""
    context.counters.bad_requests += 1
    log.info("! %s: %s: %d %s", connection.ip, _what(request), error.status, error)
    headers = error.headers if isinstance(error, Refused) else ()
    return error_response(error.status, error.public, headers)


def _what(request: Request | None) -> str:
    return f"{request.method} {request.target}"[:200] if request else "request"


def _send(context: ServerContext, connection: Connection, request: Request | None, response: Response) -> None:
    data = render(
        response,
        server=context.settings.now.server.server_id,
        now=time.time(),
        extra_headers=tuple(context.settings.now.http_headers.items()),
        head_only=request is not None and request.method == "HEAD",
    )
    try:
        connection.write(data, context.settings.now.limits.client_timeout)
        connection.linger()
    except OSError as error:
        log.debug("! %s: left before it was answered: %s", connection.ip, error)


def _log_access(context: ServerContext, connection: Connection, request: Request | None, status: int) -> None:
    if request is None:  # there is nothing to write into the line, and the error log has one
        return
    context.counters.bytes_sent += connection.bytes_sent
    now = time.time()
    context.log_access(
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
