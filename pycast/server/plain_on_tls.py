"""What comes to a port of TLS without TLS: a browser, player or encoder whose URL begins with http://.

A TLS handshake would end the connection without a word, and OpenSSL's words in the log would be "wrong version number".
So the first byte is looked at before, and such a client gets an answer that it can show.
"""

import time

from pycast.errors import RequestError
from pycast.http.request import TLS_HANDSHAKE
from pycast.http.response import error_response, render
from pycast.server.connection import Connection
from pycast.server.context import ServerContext

_TEXT = "This port takes TLS only: the URL should begin with https://"


def refuse_plain(context: ServerContext, connection: Connection, deadline: float) -> None:
    """Waits for the first byte until `deadline` (monotonic). If it is not one of TLS, answers 400 and raises
    RequestError. May switch.
    """
    first = connection.peek(deadline)
    if not first or first[0] == TLS_HANDSHAKE:
        return
    context.counters.bad_requests += 1
    connection.tls = False
    config = context.settings.now
    answer = render(error_response(400, _TEXT), server=config.server.server_id, now=time.time())
    connection.write(answer, config.limits.client_timeout)
    connection.linger()
    raise RequestError("plain HTTP", cause="plain HTTP on a port of TLS; answered 400")
