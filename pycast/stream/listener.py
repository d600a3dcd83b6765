"""A connected player: slots only. No greenlet, no queue, no buffer.

It is fully described by its socket, its view, its position (the audio offset it has got everything before) and its
prefix (bytes that must go out before the audio continues: response head, codec header, the rest of a title block).
While it keeps up with its cohort the cohort's position is its own, see `stream/fanout.py`.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from pycast.stream.views import Piece, View


class Transport(Protocol):
    """A non-blocking connection: raises BlockingIOError when full, another OSError when gone. A bare socket is one; one
    that encrypts has `settle` and `unsent` besides (`Listener.kept`, `Listener.is_flushed`).
    """

    def send(self, data: bytes | memoryview, /) -> int: ...
    def sendmsg(self, buffers: Sequence[bytes | memoryview], /) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class Prelude(Protocol):
    """An intro, as far as the fan-out needs to know it: see `stream/intro.py`."""

    size: int
    patience_s: float


class Identity(NamedTuple):
    """What statistics and the access log show of a listener."""

    ip: str
    user_agent: str
    referer: str
    user: str
    method: str
    path: str
    protocol: str


class Listener:
    """One player of one mount. Only the fan-out changes it."""

    __slots__ = (
        "first_title_at",
        "id",
        "identity",
        "intro",
        "joined",
        "position",
        "prefix",
        "requested_mount",
        "send",
        "sent",
        "time_limit",
        "transport",
        "view",
    )

    def __init__(
        self,
        id: int,
        transport: Transport,
        identity: Identity,
        view: View,
        position: int,
        prefix: bytes,
        first_title_at: int,
        now: float,
    ) -> None:
        self.id = id
        self.transport = transport
        self.send: Callable[[bytes], int] = transport.send
        self.identity = identity
        self.view = view
        self.position = position
        self.prefix = prefix
        self.first_title_at = first_title_at
        """The offset of its first title block, which carries the title in any case. -1: it gets no titles."""
        self.intro: Prelude | None = None
        """What it hears before the stream; while it does, view and position are those of the intro."""
        self.sent = 0
        """Bytes written to the socket; relative to the cohort's count while it is in one."""
        self.requested_mount = ""
        """The mount it asked for, if that is not the mount it is on; else empty."""
        self.joined = now
        """When it joined, on the monotonic clock."""
        self.time_limit = 0.0
        """The seconds that it may stay, if it has a limit of its own (`Mounts.limit_time`); else 0."""

    def advance(self, pieces: Sequence[Piece], sent: int) -> None:
        """Records that the first `sent` bytes of `pieces` (which begin with the prefix, if any) have gone out."""
        self.sent += sent
        self.prefix = b""
        for piece in pieces:
            size = len(piece)
            if isinstance(piece, memoryview):
                self.position += min(size, sent)
                if sent < size:
                    return
            elif sent < size:
                self.prefix = piece[sent:]
                return
            sent -= size

    def has_all(self, head: int) -> bool:
        """Whether all audio up to `head` has gone out, though it may wait for its first title still."""
        return self.intro is None and not self.prefix and self.position == head and self.is_flushed

    def kept(self) -> int:
        """Returns how many bytes the transport has taken of what was offered just now, and not counted: one that
        encrypts keeps what its socket refused, and that goes out before anything else. They count as sent from now on,
        because the same offsets may be other bytes later.
        """
        settle = getattr(self.transport, "settle", None)  # a bare socket keeps nothing
        return settle() if settle is not None else 0

    @property
    def is_flushed(self) -> bool:
        """Whether the transport keeps nothing that still has to go out."""
        return not getattr(self.transport, "unsent", b"")
