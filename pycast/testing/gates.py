"""Which ports of a server under test have a door in front, and that door.

The door has the port that the test knows, on 127.0.0.1; the server has the same port number on 127.0.0.2, so that the
addresses that it tells others are right. A port or an address that the test chose itself has no door: the test may have
something of its own in front, or other machines in mind. The one invariant: without a door everything else of the kit
works, and what needs one says so.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pycast.testing.ports import LOOPBACK

if TYPE_CHECKING:
    import ssl

    from pycast.testing.front_door import FrontDoor
    from pycast.testing.lobby import Gate

INNER_HOST = "127.0.0.2"
"""Where the server listens: on Linux all addresses that begin with 127 are this machine's."""

_NO_DOOR = (
    "this server is not watched, so nobody has seen its clients: leave out watch=False, and the port and the "
    "bind_address in `listen`"
)


class Gates:
    """The door of a server, while it runs."""

    def __init__(self, is_wanted: bool) -> None:
        self._is_wanted = is_wanted
        self._entries: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self._door: FrontDoor | None = None

    @property
    def door(self) -> "FrontDoor":
        """The door. Raises RuntimeError if there is none."""
        if self._door is None:
            raise RuntimeError(_NO_DOOR if not self._entries else "the server has not been started")
        return self._door

    def suit(self, entry: Mapping[str, Any]) -> bool:
        """Whether a port gets a door: an entry of `listen`, as the test has given it."""
        return self._is_wanted and not {"port", "bind_address"} & set(entry)

    def add(self, entry: Mapping[str, Any], tls: Mapping[str, Any]) -> None:
        """Takes a port that gets a door, with the section `tls` of its server."""
        self._entries.append((entry, tls))

    def told(self, ready: dict[str, Any]) -> dict[str, Any]:
        """Returns what the server reports when it starts, with the address to which its clients connect."""
        urls = dict(ready.get("urls", {}))
        for entry, _ in self._entries:
            inner, outer = (f"//{host}:{entry['port']}/" for host in (INNER_HOST, LOOPBACK))
            urls = {name: url.replace(inner, outer) for name, url in urls.items()}
        return ready | {"urls": urls}

    def open(self, tell_titles: Callable[[str], list[tuple[str, str]]], kill_source: Callable[[str], Any]) -> None:
        """Opens the door in front of a server that runs."""
        if not self._entries:
            return
        from pycast.testing.front_door import FrontDoor

        gates = [gate for entry, tls in self._entries for gate in _gates_of(entry, tls)]
        if self._door is None:
            mount = next((gate.shoutcast_mount for gate in gates if gate.shoutcast_mount), "")
            self._door = FrontDoor(tell_titles, kill_source, mount)
        self._door.open(gates)

    def refuse(self) -> None:
        """Takes no more connections."""
        if self._door is not None:
            self._door.refuse()

    def close(self, reason: str) -> None:
        """Ends all connections. May be called again."""
        if self._door is not None:
            self._door.close(reason)


def _gates_of(entry: Mapping[str, Any], tls: Mapping[str, Any]) -> "list[Gate]":
    from pycast.testing.lobby import Gate
    from pycast.testing.wire_heads import ServerAddress

    is_tls, port = bool(entry.get("tls")), int(entry["port"])
    context = _context(tls) if is_tls else None
    mounts = ["", entry["shoutcast_mount"]] if entry.get("shoutcast_mount") else [""]
    return [
        Gate(ServerAddress(LOOPBACK, port + row, is_tls), ServerAddress(INNER_HOST, port + row, is_tls), mount, context)
        for row, mount in enumerate(mounts)
    ]


def _context(tls: Mapping[str, Any]) -> "ssl.SSLContext | None":
    if not tls.get("certificate"):
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls["certificate"], tls.get("private_key") or None)
    return context


def aired_titles(playlist: str, mount: str) -> list[tuple[str, str]]:
    """Returns the titles in the text of a playlist log that `mount` has had, oldest first, each behind its time."""
    lines = (line.split("|", 3) for line in playlist.splitlines())
    return [(parts[0], parts[3]) for parts in lines if len(parts) == 4 and parts[1] == mount]
