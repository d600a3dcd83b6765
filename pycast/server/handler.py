"""Dispatches a request on an HTTP connection: to a source, a listener, a link between nodes, or a route of `web`.

SOURCE and PUT feed a mount, GET and HEAD of a mount's path listen to it, and all else goes to the table of `web`. A
PeerError, wherever it is raised, is answered here and logged in one line. An unexpected exception is answered with 500
and logged with its traceback; other connections are not affected.

`serve_http` is the way of all requests, in a greenlet. `join_at_once`, `serve_kept_page` and `refuse_page` are short
ways for most players and pages, without one: they answer as `serve_http` would, or leave the request to it.
"""

import logging
import time

from pycast.auth.bans import Banned
from pycast.auth.logins import TooManyLogins
from pycast.balance.admission import Slot
from pycast.balance.listener_limits import TooManyFromAddress
from pycast.errors import PeerError, Refused
from pycast.http.addresses import is_loopback
from pycast.http.body import check_framing
from pycast.http.cross_site import is_cross_site
from pycast.http.elsewhere import by_pattern, on_other_server
from pycast.http.forwarded import asked_host, client_host, client_ip, client_scheme, is_proxied
from pycast.http.headers import basic_credentials
from pycast.http.listener_head import wants_page
from pycast.http.mount_names import why_no_mount
from pycast.http.request import Request
from pycast.http.response import HTML, Response, error_response
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.http_exchange import HttpExchange
from pycast.server.listeners import answer_resting, first_heard, join, known_reply, serve_listener
from pycast.server.repeats import Repeat
from pycast.server.reserve import RETRY_AFTER, check_room
from pycast.server.sources import serve_source
from pycast.stream.mount_limits import NoRoom, admit
from pycast.stream.mount_state import MountState
from pycast.web.route import Door, cross_site_refusal
from pycast.web.routes import answer, check_port, is_answered_when_full, is_open, kept_answer, takes_form

log = logging.getLogger(__name__)

# Bytes of a posted form: Icecast 2.5's limit.
MAX_BODY = 4096


def serve_http(context: ServerContext, connection: Connection, slot: Slot, first: bytes = b"") -> None:
    """Serves one request on `connection`; `first` are its bytes that were read already. May switch."""
    exchange = HttpExchange(context, connection)
    status = 0
    try:
        request = exchange.read_head(first)
        if request is None:
            return
        if connection.upgrade is not None:
            connection.upgrade(connection, request, exchange.rest)
        request = _aliased(context, connection, exchange, request)
        if connection.proxies is not None:
            connection.ip = client_ip(connection.peer, connection.named, request.headers, connection.proxies)
        context.counters.client_connections += request.method == "GET"
        check_framing(request)
        response = _serve(context, connection, slot, exchange, request)
    except Banned as error:
        if connection.proxies is None:
            return  # no answer, as in Icecast
        # A proxy would take a connection without an answer for a server that has failed, and leave it out for a while.
        response = _refusal(context, connection, exchange, error)
    except PeerError as error:
        response = _elsewhere(context, connection, exchange, error) or _refusal(context, connection, exchange, error)
    except OSError as error:
        if exchange.request is not None or not isinstance(error, TimeoutError):
            log.debug("! %s: connection failed: %s", connection.ip, error)
            return
        timeout = context.settings.now.limits.header_timeout
        log.info("! %s: no complete request head within %g s", connection.ip, timeout)
        response = error_response(408, "Your request took too long")
    except Exception:
        log.exception("! %s: %s failed: a bug in the server", connection.ip, exchange)
        has_begun = connection.bytes_sent or connection.given_away
        status, response = 500, None if has_begun else error_response(500)
    if response is not None:
        status = response.status
        # A connection on the reserve stays with its greenlet, since the reserve may have to end it.
        if isinstance(response.body, bytes) and slot is Slot.CLIENT and not connection.tls:
            exchange.hand_over(response)
        else:
            exchange.send(response)
    if not connection.given_away:
        exchange.log_access(status or 200)


def join_at_once(context: ServerContext, connection: Connection, head: bytes) -> bool:
    """Has a player join that is connected directly, if its mount plays on this node and nobody has to be asked; `head`
    is all that it has sent. Returns False, and has done nothing then, if the request has to go the long way, on which
    the answer would be the same. Never switches.
    """
    known, config = context.player_heads.find(head), context.settings.now
    mount = context.mounts.get(known.request.path) if known is not None else None
    if known is None or mount is None or mount.state is not MountState.LIVE or why_no_mount(mount.name):
        return False
    request = known.request
    # At "/" browsers get a page.
    if not config.for_mount(mount.name).is_plain or mount.name in config.aliases or mount.name == "/":
        return False
    if context.site.readiness.is_stopping or context.bans.is_refused(connection.ip, request.headers.get("user-agent")):
        return False
    # An intro that has to be read from its file is waited for on the long way.
    if not context.intros.is_at_hand(request.path):
        return False
    try:
        check_port(request, connection.serves)
        admit(mount)
        reply = known_reply(context, connection, known, mount)
        join(context, connection, request, mount, intro=first_heard(context, request), reply=reply)
    except PeerError:
        return False
    except Exception:
        log.exception("! %s: GET %s failed: a bug in the server", connection.ip, mount.name)
        return connection.given_away
    context.counters.client_connections += 1
    return True


def serve_kept_page(context: ServerContext, connection: Connection, head: bytes) -> bool:
    """Answers a request for a page that is kept, of a client that is connected directly; `head` is all that it has
    sent. Returns False, and has done nothing then, if the request has to go the long way. Never switches.
    """
    if context.site.readiness.is_stopping or context.bans.is_refused(connection.ip, ""):
        return False
    second = int(time.time())
    repeat = context.answers.repeats.find(head, context.settings.now, connection.serves, second)
    # The same request may mean a stream since: `_may_be_stream` says at which path.
    if repeat is None or (repeat.entry.path == "/" and context.finder.is_known("/")):
        repeat = _kept_page(context, connection, head)
        if repeat is None:
            return False
        context.answers.repeats.keep(head, repeat, second)
    context.counters.client_connections += repeat.is_get
    context.site.counters.file_connections += 1
    context.answers.take(connection, repeat.entry, repeat.head, repeat.body)
    return True


def refuse_page(context: ServerContext, connection: Connection, head: bytes) -> bool:
    """Answers a request for a page 503 if `Answers` has no room for it; `head` is all that the client has sent. Returns
    False, and has done nothing then, if the request has to go the long way. Never switches.
    """
    exchange = HttpExchange(context, connection)
    try:
        request = exchange.parse(head)
        if request is None or context.site.readiness.is_stopping:
            return False
        request = _aliased(context, connection, exchange, request)
        if _may_be_stream(context, request):
            return False
        if context.bans.is_refused(connection.ip, request.headers.get("user-agent")):
            return False
        check_port(request, connection.serves)
    except PeerError:
        return False
    try:
        context.answers.check_room()
    except Refused as error:
        context.counters.client_connections += request.method == "GET"
        exchange.hand_over(_refusal(context, connection, exchange, error))
        return True
    return False


def _kept_page(context: ServerContext, connection: Connection, head: bytes) -> Repeat | None:
    exchange = HttpExchange(context, connection)
    try:
        request = exchange.parse(head)
        if request is None:
            return None
        request = _aliased(context, connection, exchange, request)
        if _may_be_stream(context, request):
            return None
        if context.bans.is_refused(connection.ip, request.headers.get("user-agent")):
            return None
        check_port(request, connection.serves)
        response = kept_answer(context.site, *_at_the_door(connection, request))
        return None if response is None else exchange.as_repeat(response)
    except PeerError:
        return None
    except Exception:
        log.exception("! %s: %s failed: a bug in the server", connection.ip, exchange)
        return None


def _aliased(context: ServerContext, connection: Connection, exchange: HttpExchange, request: Request) -> Request:
    """Returns the request with the path that it stands for, if that is another one: all but the log go by that."""
    aliases = context.settings.now.aliases.get(request.path)
    if aliases is None or request.method not in ("GET", "HEAD"):
        return request
    address, port, *_ = connection.sock.getsockname()
    found = next((one for one in aliases if one.holds_at(address, port)), None)
    if found is not None:
        request = exchange.request = request._replace(path=found.destination)
    return request


def _serve(
    context: ServerContext, connection: Connection, slot: Slot, exchange: HttpExchange, request: Request
) -> Response | None:
    # On the reserve, only health checks, drain commands and links between nodes are served.
    link_taker = context.cluster if context.cluster and context.cluster.is_asked_for_link(request) else None
    if context.bans.is_on and link_taker is None:
        context.bans.check(connection.ip, request.headers.get("user-agent"))
    if not (link_taker or is_answered_when_full(request)):
        if context.site.readiness.is_stopping:
            # Many at once, and one cause, which the log has: no line for each.
            context.counters.refused_connections += 1
            return error_response(503, "This server is stopping", (RETRY_AFTER,))
        check_room(context.counters, slot)
        if context.cluster:
            context.cluster.wait_until_joined()
    if link_taker is None:
        check_port(request, connection.serves)
    else:
        link_taker.serve(
            connection.stream, request, exchange.rest, connection.ip, lambda: context.reserve.release(connection)
        )
        return None
    if request.method in ("SOURCE", "PUT"):
        # Before the password is looked at, as in `Route.answer`.
        if _is_cross_site(connection, request):
            raise cross_site_refusal(context.counters, request)
        serve_source(context, connection, request, exchange.rest)
        return None
    if request.method in ("GET", "HEAD") and _may_be_stream(context, request):
        heard = request._replace(path=context.finder.meant_by(request.path))
        exchange.mount = heard.path
        if not context.finder.is_open(heard.path):
            raise Refused("mountpoint unavailable", cause=f"{heard.path} is only a fallback (no_mount)")
        if pattern := context.settings.now.for_mount(heard.path).redirect_to:
            return _sent_to(context, by_pattern(pattern, heard.path, request.target.partition("?")[2]))
        if _serve_stream(context, connection, heard):
            return None
    body = exchange.read_body(request, MAX_BODY) if takes_form(request) else b""
    request, door = _at_the_door(connection, request)
    if not is_open(request) or is_answered_when_full(request):
        response = answer(context.site, request, body, door)
        if not response.stream:
            return response
        mount = context.finder.find(response.stream)
        if mount is None:
            raise Refused("The file you requested could not be found", status=404, cause=f"no {response.stream}")
        serve_listener(context, connection, request._replace(path=response.stream), mount, is_server=True)
        return None
    with context.answers.room():
        return answer(context.site, request, body, door)


def _serve_stream(context: ServerContext, connection: Connection, request: Request) -> bool:
    """Serves a listener. Returns False, and has done nothing then, if there is no such mount. Raises Refused. May
    switch.
    """
    if _is_file(context, request.path):
        return False
    if context.settings.now.for_mount(request.path).authentication.follows_listeners:
        from pycast.server.guest_door import serve_guest  # only for a mount with authentication

        return serve_guest(context, connection, request)
    if answer_resting(context, connection, request):
        return True
    mount = context.finder.find(request.path)
    if mount is not None:
        serve_listener(context, connection, request, mount)
    return mount is not None


def _is_file(context: ServerContext, path: str) -> bool:
    """Whether a file of the station is meant: the fallback of all mounts is for mounts that somebody knows. May
    switch.
    """
    config = context.settings.now
    if not config.paths.webroot or not config.for_mount(path).fallback_mount or context.finder.is_known(path):
        return False
    from pycast.web.files import has_file

    return has_file(config, path)


def _may_be_stream(context: ServerContext, request: Request) -> bool:
    """Whether the path is looked for among the mounts. None of the table's is, since another node may have a mount of
    that name, but for "/": there browsers get the page in any case, and all do without such a mount.
    """
    if request.path == "/":
        return context.finder.is_known("/") and not wants_page(request.headers)
    return not why_no_mount(request.path)


def _at_the_door(connection: Connection, request: Request) -> tuple[Request, Door]:
    """Returns the request with what the connection says about it, and how it came in."""
    door = Door(connection.ip, connection.serves, is_loopback(connection.ip) and not is_proxied(request.headers))
    scheme = _scheme(connection, request)
    host = asked_host(request.headers, scheme) if connection.proxies is not None else ""
    is_foreign = _is_cross_site(connection, request)
    return request._replace(scheme=scheme, proxied_host=host, is_cross_site=is_foreign), door


def _scheme(connection: Connection, request: Request) -> str:
    own = "https" if connection.tls else "http"
    return own if connection.proxies is None else client_scheme(request.headers) or own


def _is_cross_site(connection: Connection, request: Request) -> bool:
    headers = request.headers
    forwarded = client_host(headers) if connection.proxies is not None else ""
    return is_cross_site(headers, (headers.get("host"), forwarded))


def _elsewhere(
    context: ServerContext, connection: Connection, exchange: HttpExchange, error: PeerError
) -> Response | None:
    """Returns the answer that sends a listener without room here to another server; None if there is none."""
    request = exchange.request
    if request is None or not isinstance(error, NoRoom) or isinstance(error, TooManyFromAddress):
        return None
    other = context.slaves.next()
    if other is None:
        return None
    log.debug("> %s: %s: sent to %s port %d: %s", connection.ip, exchange, *other, error)
    query, is_readable = request.target.partition("?")[2], _scheme(connection, request) == "http"
    # Who has sent his login over TLS must not send it without.
    login = basic_credentials(request.headers) if is_readable else None
    return _sent_to(context, on_other_server(*other, request.path, query, login))


def _sent_to(context: ServerContext, address: str) -> Response:
    """Returns the answer that sends a listener to an address."""
    context.counters.listeners_redirected += 1
    return error_response(302, headers=(("Location", address),))


def _refusal(context: ServerContext, connection: Connection, exchange: HttpExchange, error: PeerError) -> Response:
    """Returns the answer to a peer's error, and logs it."""
    context.counters.bad_requests += 1
    if isinstance(error, NoRoom):
        context.listener_limits.note(connection.ip, error)
    # Of what comes often, for one reason, there is one line in the log already.
    level = logging.DEBUG if isinstance(error, TooManyLogins | Banned | NoRoom) else logging.INFO
    log.log(level, "! %s: %s: %d %s", connection.ip, exchange, error.status, error)
    if isinstance(error, Refused) and error.page:
        return Response(error.status, error.page, HTML, error.headers)
    headers = error.headers if isinstance(error, Refused) else ()
    return error_response(error.status, error.public, headers)
