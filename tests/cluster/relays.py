"""A man in the middle: a port of his own, where he passes a connection on to a node, and changes what he likes.

Helpers only. Invariant: after `stop` nothing of it is left.
"""

from collections.abc import Callable
from contextlib import suppress

from gevent import socket

from pycast.cluster.link.link import split_address
from pycast.net.group import Group

Change = Callable[[bytes], bytes]


class Relay:
    """Passes each connection at `address` on to the node at `to`. `upward` changes what the caller sends, `downward`
    the answers; what passed before the change is kept in `sent` and `answered`.
    """

    def __init__(self, to: str = "") -> None:
        self.to = to
        self.upward: Change = lambda data: data
        self.downward: Change = lambda data: data
        self.sent: list[bytes] = []
        self.answered: list[bytes] = []
        self._group = Group()
        self._sockets: list[socket.socket] = []
        self._listening = socket.socket()
        self._listening.bind(("127.0.0.1", 0))
        self._listening.listen()
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._group.spawn("relay", self._accept)

    def inject_upward(self, data: bytes) -> None:
        """Sends `data` to the node, as if the last caller had."""
        self._sockets[-1].sendall(data)

    def inject_downward(self, data: bytes) -> None:
        """Sends `data` to the last caller, as if the node had."""
        self._sockets[-2].sendall(data)

    def stop(self) -> None:
        self._group.kill()
        for sock in (self._listening, *self._sockets):
            sock.close()

    def _accept(self) -> None:
        while True:
            caller, _ = self._listening.accept()
            node = socket.create_connection(split_address(self.to))
            self._sockets += [caller, node]
            self._group.spawn("up", self._pass, caller, node, lambda data: self.upward(data), self.sent)
            self._group.spawn("down", self._pass, node, caller, lambda data: self.downward(data), self.answered)

    def _pass(self, source: socket.socket, target: socket.socket, change: Change, kept: list[bytes]) -> None:
        with suppress(OSError):  # one of them has closed
            while data := source.recv(1 << 20):
                kept.append(data)
                target.sendall(change(data))
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
