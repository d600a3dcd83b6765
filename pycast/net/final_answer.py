"""urllib3's connections, which take the final answer of a server for its answer, and not what comes before it.

A web server in front may send 103 with hints for browsers first, or 102 while it works. Python's `http.client` skips
100 only. Another one taken for the answer has none of the headers that were asked for, and leaves the true answer on
the connection, for whoever asks next.

Invariant: the status of an answer is 101, or 200 or more.
"""

from http.client import HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_SWITCHED = 101  # what follows is no HTTP


class FinalAnswer(HTTPResponse):
    """An answer as it is read from the connection."""

    headers: Any

    def begin(self) -> None:
        """Reads the head, and those before it."""
        super().begin()
        while 100 <= self.status < 200 and self.status != _SWITCHED:
            self.headers = None
            super().begin()


class PlainConnection(HTTPConnection):
    """To a server without TLS."""

    response_class = FinalAnswer


class TlsConnection(HTTPSConnection):
    """To one with TLS."""

    response_class = FinalAnswer


class _FinalPool(HTTPConnectionPool):
    ConnectionCls = PlainConnection


class _FinalTlsPool(HTTPSConnectionPool):
    ConnectionCls = TlsConnection


def pool_manager(**options: Any) -> urllib3.PoolManager:
    """Returns a PoolManager with such connections."""
    made = urllib3.PoolManager(**options)
    made.pool_classes_by_scheme = {"http": _FinalPool, "https": _FinalTlsPool}
    return made
