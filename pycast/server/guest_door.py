"""Serves a listener of a mount with authentication: it is let in first, then it is a listener as any other. Another
server that logs in as a relay is let in by that, as in Icecast: it will ask its own listeners.

Whether it is let in may take seconds, so its mount is looked for afterwards: what was there before may be over.
Invariant: a guest that did not become a listener is given up before its request is answered.
"""

from pycast.auth.guests import Asking
from pycast.errors import Refused
from pycast.http.headers import basic_credentials
from pycast.http.request import Request
from pycast.server.connection import Connection
from pycast.server.context import ServerContext
from pycast.server.listeners import answer_resting, serve_listener


def serve_guest(context: ServerContext, connection: Connection, request: Request) -> bool:
    """Answers a GET or HEAD of a mount with authentication. Returns False, and has done nothing then, if there is no
    such mount. Raises Refused. May switch.
    """
    # Nobody is asked about what does not exist: the settings of a default section are those of every name. Those who
    # want a file of that name are asked in `web/files.py`.
    if not context.finder.may_be_heard(request.path):
        return False
    given = basic_credentials(request.headers)
    if context.site.guests.is_server(given, connection.ip):
        if answer_resting(context, connection, request):
            return True
        mount = context.finder.find(request.path)
        if mount is not None:
            serve_listener(context, connection, request, mount, is_server=True)
        return mount is not None
    guest = context.site.guests.let_in(
        Asking(
            context.next_listener_id(),
            request.path,
            request.target,
            connection.ip,
            given,
            request.headers,
            request.query,
            is_listening=request.method == "GET",
        )
    )
    try:
        preroll = context.intros.of_answer(guest.intro) if guest.intro and request.method == "GET" else None
        # Of a guest that is put on another mount everything goes by that one, but for the log.
        request = request._replace(path=guest.heard or request.path)
        if answer_resting(context, connection, request):
            return True
        mount = context.finder.find(request.path)
        if mount is None:
            if guest.heard:
                raise Refused("Mount unavailable", status=404, cause=f"no mount {guest.heard}, to which it is sent")
            return False
        serve_listener(context, connection, request, mount, guest, preroll=preroll)
        return True
    finally:
        if not connection.given_away:
            context.site.guests.give_up(guest.id)
