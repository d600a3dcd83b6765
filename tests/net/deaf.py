"""A port that takes no notice of who connects, as a host behind a firewall that drops what it gets.

Helpers only. Invariant: after the block nothing of it is left.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def deaf_port() -> Iterator[int]:
    """Yields its number. The kernel drops connections for which its queue has no room."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]
