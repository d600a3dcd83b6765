"""What the door of a server under test, its connections and its faults know of each other.

The one invariant: none of the three needs to import another.
"""

import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pycast.testing.visits import KeptAudio, ListenerVisit, SourceVisit, Visitors
from pycast.testing.wire_heads import ServerAddress

if TYPE_CHECKING:
    import ssl

    from pycast.testing.faults import Flow, Patient


class Order(Protocol):
    """A fault in force, with what a connection has to know of it."""

    def reserve(self, passage: "Patient") -> bool: ...
    @property
    def is_over(self) -> bool: ...
    @property
    def is_about_bytes(self) -> bool: ...
    @property
    def tls(self) -> "ssl.SSLContext | None": ...
    def ask(self, passage: "Patient") -> None: ...
    def answer(self, passage: "Patient", head: bytes) -> bytes: ...
    def flow(self, passage: "Patient") -> "Flow | None": ...


class Lobby(Protocol):
    """The door, with what a connection has to know of it."""

    changed: threading.Condition
    kept: KeptAudio
    sources: Visitors[SourceVisit]
    listeners: Visitors[ListenerVisit]
    default_mount: str

    @property
    def orders(self) -> "tuple[Order, ...]": ...
    def kill_source(self, mount: str) -> None: ...
    def left(self, passage: object) -> None: ...


class Gate(NamedTuple):
    """One port of the server: where clients come in, and where the server is."""

    outer: ServerAddress
    inner: ServerAddress
    shoutcast_mount: str = ""
    """Not empty on the port for sources of SHOUTcast."""
    tls: "ssl.SSLContext | None" = None
    """The server's own certificate, on a port for TLS: the door has to read what clients say."""
