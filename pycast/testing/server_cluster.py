"""Several servers that act as one: `with Cluster(3) as cluster:` runs a pycast cluster of three nodes on loopback.

For tests of what an encoder, a player or a balancer does when a server dies: nodes are killed, paused and restarted,
with the same names and ports. Each node is a `pycast.testing.Server`.

Nodes must know each other's addresses before the first one starts, so their ports are held for them (see `ports.py`).
The one invariant: when the `with` block ends, no process and no file of any node is left.
"""

import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pycast.testing.failures import ServerTimeout
from pycast.testing.ports import LOOPBACK, Ports
from pycast.testing.server import Server
from pycast.testing.settings import arrange
from pycast.testing.waits import POLL_S

__tracebackhide__ = True

NAMES = string.ascii_lowercase
SECRET = "a secret of nodes under test"

Advertise = Callable[[str, str], str]
"""A function from a node's name and own address to the address at which the other nodes reach it."""

Build = Callable[[str, Mapping[str, Any]], Server]
"""A function from a node's name and settings to a server that is not started yet."""


class Cluster:
    """A cluster: `with Cluster(3, zones=["x", "x", "y"], burst_size=0) as cluster:`. Its nodes are "a", "b", "c".

    Further keywords are settings of every node, as for `Server`. `advertise` allows for something between the nodes,
    such as a proxy that fails on purpose; it is called once for each node before any starts. `hosts` are the nodes'
    own addresses (127.0.0.1 by default), and `build` makes their servers, for nodes in other network namespaces.
    """

    def __init__(
        self,
        size: int = 3,
        *,
        zones: Sequence[str] = (),
        advertise: Advertise | None = None,
        hosts: Sequence[str] = (),
        build: Build | None = None,
        **settings: Any,
    ) -> None:
        if not 1 <= size <= len(NAMES):
            raise ValueError(f"a cluster has 1 to {len(NAMES)} nodes, not {size}")
        for what, values in (("zones", zones), ("hosts", hosts)):
            if values and len(values) != size:
                raise ValueError(f"{what} needs a value for each of the {size} nodes, not {len(values)}")
        self.names = tuple(NAMES[:size])
        self._zones = dict(zip(self.names, zones, strict=False))
        self._hosts = dict(zip(self.names, hosts or [LOOPBACK] * size, strict=True))
        self._advertise = advertise or _own_address
        self._build = build or _plain_server
        self._settings = settings
        arrange(settings)  # a wrong name raises here, where it was written
        self._nodes: dict[str, Server] = {}
        self._ports = Ports()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.log())
        self.stop()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, which: str | int) -> Server:
        """Returns a node by its name ("a") or its number (0)."""
        return self._nodes[which if isinstance(which, str) else self.names[which]]

    def __iter__(self) -> Iterator[Server]:
        return iter(self._nodes.values())

    def start(self) -> Self:
        """Starts all nodes and returns once each accepts connections. Raises ServerDied or ServerTimeout."""
        from concurrent.futures import ThreadPoolExecutor

        self._nodes = self._make_nodes()
        try:
            # All at the same time: a node may have to reach another one before it is ready.
            with ThreadPoolExecutor(len(self)) as pool:
                list(pool.map(lambda server: server.start(), self._nodes.values()))
        except BaseException:
            with suppress(ServerTimeout):
                self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops all nodes with SIGTERM. Can be called twice. Raises ServerTimeout if one had to be killed."""
        self._ports.release()
        failures: list[str] = []
        for server in self._nodes.values():
            try:
                server.stop()
            except ServerTimeout as late:
                failures.append(str(late))
        if failures:
            raise ServerTimeout("\n".join(failures))

    def kill(self, name: str) -> None:
        """Kills a node, as a crash of its process would."""
        self[name].kill()

    def pause(self, name: str) -> None:
        """Suspends a node; the kernel still accepts connections and bytes for it."""
        self[name].pause()

    def resume(self, name: str) -> None:
        """Continues a node after `pause`."""
        self[name].resume()

    def restart(self, name: str) -> None:
        """Restarts a node with the same name, port and config. One that is still running is killed first."""
        self[name].restart()

    def any_port(self, host: str = LOOPBACK) -> int:
        """Returns a port on `host` that stays reserved as long as the cluster runs, for another program."""
        return self._ports.take([host])

    def wait_for_mount(self, mount: str, on: Sequence[str] | None = None, timeout: float = 10.0) -> None:
        """Returns once each node of `on` (all by default) serves `mount`."""
        names = self.names if on is None else tuple(on)
        path = f"/readyz?mount={mount}"
        self.wait_until(
            lambda: all(self[name].get(path)[0] == 200 for name in names),
            timeout,
            f"{mount} on the nodes {', '.join(names)}",
        )

    def wait_until(self, is_so: Callable[[], object], timeout: float, what: str) -> None:
        """Returns once `is_so()` is true. Raises ServerTimeout that names `what`; a dead node does not end the wait."""
        deadline = time.monotonic() + timeout
        while not is_so():
            if time.monotonic() > deadline:
                raise ServerTimeout(f"waited {timeout:g} s for {what}\n{self.log()}")
            time.sleep(POLL_S)

    def log(self) -> str:
        """Returns what all nodes have written to their error logs so far, one node after the other."""
        return "\n".join(f"--- node {name}\n{server.log()}" for name, server in self._nodes.items())

    def mark_log(self) -> str:
        """Marks the present end of all nodes' logs, and returns the mark for `log_since`."""
        return " ".join(server.mark_log() for server in self)

    def log_since(self, mark: str) -> str:
        """Returns what the logs of all nodes have after a mark, one node after the other."""
        marks = dict(zip(self.names, mark.split(" "), strict=False))
        parts = {name: server.log_since(marks.get(name, "")) for name, server in self._nodes.items()}
        return "\n".join(f"--- node {name}\n{text}" for name, text in parts.items() if text)

    def _make_nodes(self) -> dict[str, Server]:
        ports = {name: self.any_port(self._hosts[name]) for name in self.names}
        reached_at = {name: self._advertise(name, f"{self._hosts[name]}:{ports[name]}") for name in self.names}
        return {name: self._build(name, self._node_settings(name, ports[name], reached_at)) for name in self.names}

    def _node_settings(self, name: str, port: int, reached_at: Mapping[str, str]) -> dict[str, Any]:
        sections = arrange(self._settings)
        listen = [dict(entry) for entry in sections.get("listen") or [{}]]
        listen[0] |= {"bind_address": self._hosts[name], "port": port}
        given = sections.get("cluster", {})
        cluster: dict[str, Any] = {"secret": SECRET, "node": name, "advertise": reached_at[name]}
        if name in self._zones:
            cluster["zone"] = self._zones[name]
        if given.get("registry", "mesh") == "mesh":
            cluster["peers"] = [address for other, address in reached_at.items() if other != name]
        return sections | {"listen": listen, "cluster": cluster | given}


def _own_address(name: str, address: str) -> str:
    return address


def _plain_server(name: str, settings: Mapping[str, Any]) -> Server:
    return Server(**settings)
