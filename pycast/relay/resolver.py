"""Names of servers looked up in native threads of their own, so that a name server that does not answer delays relays
only.

Nothing is kept: each connection asks again, and so follows an answer that has changed (what the system's resolver keeps
it keeps for as long as the answer says).
"""

import _socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from gevent import get_hub

from pycast.net.failed_endpoints import Endpoint

if TYPE_CHECKING:
    from gevent.threadpool import ThreadPool

# Names that are looked up at the same time. A thread whose name server is dead is gone for half a minute.
MOST_THREADS = 4

Resolve: TypeAlias = Callable[[str, int], list[Endpoint]]
"""Returns where a host's port is. Raises OSError. May switch."""


class Resolver:
    """The threads of this process in which names are looked up, made at the first call."""

    def __init__(self) -> None:
        self._pool: ThreadPool | None = None

    def __call__(self, host: str, port: int) -> list[Endpoint]:
        """Returns the addresses of a host. Raises OSError. May switch: the caller limits the time."""
        if self._pool is None or self._pool.hub is not get_hub():
            from gevent.threadpool import ThreadPool

            self._pool = ThreadPool(MOST_THREADS)
        answer = self._pool.spawn(_answer, partial(_look_up, host, port)).get()
        assert answer is not None
        found, error = answer
        if error is not None:
            raise error
        return found or []


def _look_up(host: str, port: int) -> list[Endpoint]:
    # The C function: Python's own is gevent's in a server, and that must not be called in a thread.
    found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    return [(int(family), address) for family, _, _, _, address in found]


def _answer(call: Callable[[], list[Endpoint]]) -> tuple[list[Endpoint] | None, OSError | None]:
    # gevent would print what a call raises.
    try:
        return call(), None
    except OSError as error:
        return None, error
    except UnicodeError as error:
        return None, OSError(f"not the name of a host: {error}")
