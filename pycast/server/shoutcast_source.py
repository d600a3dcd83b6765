"""A SHOUTcast v1 source on the port after the listening one: password line, `OK2`, icy headers, audio.

Refusals after the password are HTTP, as Icecast's are. A wrong password closes the connection without an answer,
because encoders of that age take this for "wrong password". HTTP on this port is served as HTTP: some DSP plug-ins send
their titles here.
"""

import logging
import time

from pycast.auth.logins import TooManyLogins
from pycast.balance.admission import Slot
from pycast.errors import HandshakeError, PeerError
from pycast.http.body import RawBody
from pycast.http.response import error_response, render
from pycast.http.shoutcast import REPLY_OK, Http, Password, Poke, ShoutcastReader, SourceHead
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.handler import serve_http
from pycast.server.source_gate import check_password, pass_gate
from pycast.server.sources import ConnectedSource, describe_source

log = logging.getLogger(__name__)


def serve_shoutcast(context: ServerContext, connection: Connection, slot: Slot, mount: str, first: bytes = b"") -> None:
    """Serves one connection on a SHOUTcast source port; `first` are its bytes that were read already. May switch."""
    try:
        _serve(context, connection, slot, mount, first)
    except HandshakeError as error:
        context.counters.bad_requests += 1
        log.info("! %s: SHOUTcast source: %s", connection.ip, error)
    except TooManyLogins as error:  # no answer either, and no line for each: see `Logins`
        context.counters.bad_requests += 1
        log.debug("! %s: SHOUTcast source: %s", connection.ip, error)
    except PeerError as error:
        context.counters.bad_requests += 1
        log.info("! %s: SHOUTcast source: %d %s", connection.ip, error.status, error)
        answer = error_response(error.status, error.public)
        connection.write(
            render(answer, server=context.settings.now.server.server_id, now=time.time()),
            context.settings.now.limits.client_timeout,
        )
        connection.linger()
    except TimeoutError:
        log.info("! %s: SHOUTcast source: no complete handshake in time", connection.ip)


def _serve(context: ServerContext, connection: Connection, slot: Slot, mount: str, first: bytes) -> None:
    if context.bans.refuses(connection.ip):
        return
    if context.cluster:
        context.cluster.wait_until_joined()
    reader = ShoutcastReader(mount)
    deadline = connection.begun + context.settings.now.limits.header_timeout
    credentials = ("", "")
    while True:
        data, first = first or connection.read(deadline), b""
        if not data:
            return
        for event in reader.feed(data):
            match event:
                case Http():
                    serve_http(context, connection, slot, reader.rest)
                    return
                case Poke():
                    return
                case Password():
                    credentials = check_password(context, connection.ip, slot, event.mount, event.password)
                    mount = event.mount
                    connection.write(REPLY_OK, context.settings.now.limits.client_timeout)
                case SourceHead(request):
                    if context.bans.refuses(connection.ip, request.headers.get("user-agent")):
                        return
                    pass_gate(context, mount)
                    source = ConnectedSource(
                        context, connection, mount, credentials, describe_source(connection, request)
                    )
                    source.run(RawBody(), reader.rest, b"", b"")
                    return
        reader.feed(b"")  # raises an error behind the password now, not only when more data arrives
