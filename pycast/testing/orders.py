"""What a test can order of its server: a source, a listener.

This is the half of `Server` that uses a running server, as its clients do; `server.py` is the half that runs it. It
imports nothing of what it makes until that is ordered, so that a test which needs none of it does not pay for it. The
one invariant: what is ordered uses the server's port, with a password, as anybody else does.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pycast.testing.heard import Heard
    from pycast.testing.numbered import FormatName
    from pycast.testing.numbered_stream import Method, NumberedStream
    from pycast.testing.wire_heads import ServerAddress


class Orders:
    """The base of `Server`, which sets the attributes."""

    host: str
    port: int
    source_user: str
    source_password: str

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        raise NotImplementedError

    @property
    def address(self) -> "ServerAddress":
        """Where it listens, for the kit's own sources and listeners."""
        from pycast.testing.wire_heads import ServerAddress

        return ServerAddress(self.host, self.port, self.url.startswith("https"))

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
    ) -> "NumberedStream":
        """Returns a source of numbered audio, which connects in its `with` block, or by `connect()`.

        It is ahead by `lead_s` and sends at `speed` times the pace of the audio; at 0 nothing by itself, but what
        `send(count)` says. `first` is the first frame's number; `user` and `password` are the server's by default.
        """
        from pycast.testing.numbered_stream import NumberedStream

        return NumberedStream(
            self.address,
            mount,
            login=(user or self.source_user, password or self.source_password),
            title=title,
            format=format,
            speed=speed,
            lead_s=lead_s,
            method=method,
            headers=headers,
            first=first,
            wait_until_on_air=lambda: self.wait_for_source(mount, despite_refusals=True),
        )

    def listen(
        self,
        mount: str,
        *,
        icy: bool = True,
        headers: Mapping[str, str] | None = None,
        bytes_per_s: float = 0,
    ) -> "Heard":
        """Returns a listener, which connects in its `with` block, or by `connect()`; `bytes_per_s` makes it slow."""
        from pycast.testing.heard import Heard

        return Heard(self.address, mount, icy=icy, headers=headers, bytes_per_s=bytes_per_s)

    def wait_for_source(self, mount: str, timeout: float = 10.0, *, despite_refusals: bool = False) -> None:
        """Returns once a source feeds `mount`."""
        raise NotImplementedError
