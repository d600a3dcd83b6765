"""Connections that this process ends, closed without a reset.

Closing a socket with unread bytes, or one whose peer sends more, makes the kernel send a reset, which can reach the
client before the answer. So each is given its answer and the end of the stream, and then read until its peer closes
too. All of them share one short wait, at the stop of a process.
"""

import _socket
import time

import gevent
from gevent import socket

from pycast.net.sockets import detach

# How often the connections are read.
_TURN_S = 0.02

# The most that is read of one connection in a turn: a source sends on.
_MOST = 65_536


class Farewell:
    """The connections that are being closed."""

    def __init__(self) -> None:
        self._leaving: list[_socket.socket] = []

    def __len__(self) -> int:
        return len(self._leaving)

    def add(self, sock: socket.socket | _socket.socket, answer: bytes = b"") -> None:
        """Takes a connection, sends `answer` and the end of the stream. Never switches."""
        bare = detach(sock)
        try:
            if answer:
                bare.send(answer)
            bare.shutdown(socket.SHUT_WR)
        except OSError:  # the peer is gone
            bare.close()
            return
        self._leaving.append(bare)

    def wait(self, seconds: float) -> None:
        """Reads and discards until the peers have closed, for `seconds` at most, and closes all. May switch."""
        deadline = time.monotonic() + seconds
        try:
            self._read()
            while self._leaving and time.monotonic() < deadline:
                gevent.sleep(_TURN_S)
                self._read()
        finally:
            for bare in self._leaving:
                bare.close()
            self._leaving.clear()

    def _read(self) -> None:
        left = []
        for bare in self._leaving:
            try:
                has_ended = not bare.recv(_MOST)
            except BlockingIOError:
                has_ended = False
            except OSError:
                has_ended = True
            if has_ended:
                bare.close()
            else:
                left.append(bare)
        self._leaving = left
