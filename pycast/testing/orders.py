"""What a test can order of its server: a source, a listener, a fault; and who came to it.

This is the half of `Server` that uses a running server, as its clients do; `server.py` is the half that runs it. It
imports nothing of what it makes until that is ordered, so that a test which needs none of it does not pay for it. The
one invariant: what is ordered uses the server's port, with a password, as anybody else does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pycast.testing.failures import ServerTimeout

if TYPE_CHECKING:
    from pycast.testing.faults import Fault, OrderedFault, Side
    from pycast.testing.gates import Gates
    from pycast.testing.heard import Heard
    from pycast.testing.numbered import FormatName
    from pycast.testing.numbered_stream import Method, NumberedStream
    from pycast.testing.visits import ListenerVisit, SourceVisit, Visitors, Visits
    from pycast.testing.wire_heads import ServerAddress


class Listeners:
    """`listeners("/live.mp3")` is how many there are now, `listeners["/live.mp3"]` who came so far."""

    def __init__(self, count: Callable[[str], int], gates: "Gates") -> None:
        self._count = count
        self._gates = gates

    def __call__(self, mount: str) -> int:
        """Returns how many listeners `mount` has now; 0 if there is no such mount."""
        return self._count(mount)

    def __getitem__(self, mount: str) -> "Visits[ListenerVisit]":
        """Returns the listeners that came to `mount` so far."""
        return self._gates.door.listeners[mount]


class Orders(ABC):
    """The base of `Server`, which sets the attributes."""

    host: str
    port: int
    ready: dict[str, Any]
    source_user: str
    source_password: str
    _gates: "Gates"

    @property
    @abstractmethod
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""

    def address(self, port: int = 0) -> "ServerAddress":
        """Returns where the kit's own sources and listeners connect to: the first port, another one of the server, or
        that of a proxy in front of it.
        """
        from pycast.testing.wire_heads import ServerAddress

        if port in (0, self.port):
            return ServerAddress(self.host, self.port, self.url.startswith("https"))
        return ServerAddress(self.host, port, any(one["port"] == port and one["tls"] for one in self.ready["ports"]))

    def stream(
        self,
        mount: str,
        *,
        title: str = "",
        format: "FormatName" = "mp3",
        speed: float = 1.0,
        lead_s: float = 1.0,
        user: str = "",
        password: str = "",
        method: "Method" = "SOURCE",
        headers: Mapping[str, str] | None = None,
        first: int = 0,
        port: int = 0,
    ) -> "NumberedStream":
        """Returns a source of numbered audio, which connects in its `with` block, or by `connect()`.

        It is ahead by `lead_s` and sends at `speed` times the pace of the audio; at 0 nothing by itself, but what
        `send(count)` says. `first` is the first frame's number; `user`, `password` and `port` are the server's by
        default.
        """
        from pycast.testing.numbered_stream import NumberedStream
        from pycast.testing.wire_heads import as_name

        return NumberedStream(
            self.address(port),
            mount,
            login=(user or self.source_user, password or self.source_password),
            title=title,
            format=format,
            speed=speed,
            lead_s=lead_s,
            method=method,
            headers=headers,
            first=first,
            wait_until_on_air=lambda: self.wait_for_source(as_name(mount), despite_refusals=True),
        )

    def listen(
        self,
        mount: str,
        *,
        icy: bool = True,
        headers: Mapping[str, str] | None = None,
        bytes_per_s: float = 0,
        port: int = 0,
    ) -> "Heard":
        """Returns a listener, which connects in its `with` block, or by `connect()`; `bytes_per_s` makes it slow.
        `port` is the server's first one by default.
        """
        from pycast.testing.heard import Heard

        return Heard(self.address(port), mount, icy=icy, headers=headers, bytes_per_s=bytes_per_s)

    @property
    def sources(self) -> "Visitors[SourceVisit]":
        """The sources that came so far: `server.sources["/live.mp3"].last.headers["ice-name"]`."""
        return self._gates.door.sources

    @property
    def listeners(self) -> Listeners:
        """How many listeners a mount has now, `listeners("/live.mp3")`, and who came: `listeners["/live.mp3"].last`."""
        return Listeners(self._count_listeners, self._gates)

    def fault(self, mount: str, fault: "Fault", *, on: "Side" = "both", times: int | None = None) -> "OrderedFault":
        """Returns a fault that is in force in its `with` block, for the connections of `mount`.

        `on` says of whom: "players", "encoders" or "both", which spares what `stream` makes, so that a player under
        test keeps its source; `times` is how many connections it hits at most.
        """
        from pycast.testing.faults import OrderedFault

        return OrderedFault(self._gates.door, mount, fault, on=on, times=times)

    def wait_for_bytes(self, mount: str, count: int, timeout: float = 10.0) -> None:
        """Returns once sources have sent `count` bytes to `mount`, which `received` has then. Raises ServerTimeout."""
        self.wait_until(lambda: len(self.received(mount)) >= count, timeout, f"{count} bytes from sources on {mount}")

    def has_source(self, mount: str) -> bool:
        """Returns whether a source feeds `mount` now."""
        return self._listeners().get(mount, (0, False))[1]

    def mounts(self) -> list[str]:
        """Returns the mounts that there are now."""
        return list(self._listeners())

    def _count_listeners(self, mount: str) -> int:
        return self._listeners().get(mount, (0, False))[0]

    def _listeners(self, timeout: float = 10.0) -> dict[str, tuple[int, bool]]:
        """Returns for each mount how many listeners it has, and whether it has a source."""
        from pycast.testing.page_client import mounts_in

        status, body = self.get("/admin/listmounts", admin=True, timeout=timeout)
        if status != 200:
            raise ServerTimeout(f"the server answered {status} to its admin")
        return mounts_in(body)

    @abstractmethod
    def wait_for_source(self, mount: str, timeout: float = 10.0, *, despite_refusals: bool = False) -> None:
        """Returns once a source feeds `mount`."""

    @abstractmethod
    def wait_until(self, is_so: Callable[[], object], timeout: float, what: str) -> None:
        """Returns once `is_so()` is true."""

    @abstractmethod
    def received(self, mount: str) -> bytes:
        """Returns the bytes that sources sent to `mount` so far."""

    @abstractmethod
    def get(self, path: str, *, admin: bool = False, timeout: float = 10.0) -> tuple[int, bytes]:
        """Returns status and body of a GET, which has the admin's credentials if `admin` is set."""
