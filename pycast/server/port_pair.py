"""Two listening ports next to each other: SHOUTcast's sources expect their port after that of the listeners."""

from pycast.errors import ConfigError
from pycast.net.sockets import PAIR_TRIES
from pycast.server.acceptor import Acceptor
from pycast.server.context import ServerContext
from pycast.server.endpoint import Endpoint


def listen_on_pair(context: ServerContext, first: Endpoint, second: Endpoint) -> list[Acceptor]:
    """Listens on `first` and, with `second`, on the port after it: encoders that know one port expect the other there.

    If the port of `first` is 0, takes a free port whose next one is free as well. Raises ConfigError.
    """
    tries = 1 if first.port else PAIR_TRIES
    while True:
        tries -= 1
        listening = Acceptor(context, first)
        try:
            return [listening, Acceptor(context, second._replace(port=listening.port + 1))]
        except ConfigError:
            listening.close()
            if not tries:
                raise
