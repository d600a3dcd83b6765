"""Several servers that are one: `with Cluster(3) as cluster:` and there is a pycast cluster of three nodes on loopback.

For whoever tests what an encoder, a player or a balancer does when a server dies: nodes are killed, paused and started
again under their names and on their ports. Each node is a `pycast.testing.Server`; what a server can tell, a node can.

Nodes must know each other's addresses before the first one runs: their ports are held for them (see `ports.py`).
Invariant: when the `with` block ends, no process and no file of any node is left.
"""

import string
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from pycast.testing.ports import LOOPBACK, Ports
from pycast.testing.server import POLL_S, Server, ServerTimeout
from pycast.testing.settings import arrange

NAMES = string.ascii_lowercase
SECRET = "a secret of nodes under test"

Advertise = Callable[[str, str], str]
"""From a node's name and its own address to the address at which the other nodes shall reach it."""

Build = Callable[[str, Mapping[str, Any]], Server]
"""From a node's name and its settings to a server that is not started yet."""


class Cluster:
    """`with Cluster(3, zones=["x", "x", "y"], burst_size=0) as cluster:`; its nodes are "a", "b", "c".

    Further keywords are settings of every node, as for `Server`. `advertise` puts something between the nodes, such as
    a proxy that fails on purpose; it is asked once for each node before any runs. `hosts` are the nodes' own addresses
    (127.0.0.1 for all), and `build` makes their servers: for nodes that do not run on this host's own network.
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
        arrange(settings)  # a wrong name is told where it was written
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
        """A node by its name ("a") or its number (0)."""
        return self._nodes[which if isinstance(which, str) else self.names[which]]

    def __iter__(self) -> Iterator[Server]:
        return iter(self._nodes.values())

    def start(self) -> Self:
        """Starts all nodes and returns once each accepts connections. Raises ServerDied or ServerTimeout."""
        from concurrent.futures import ThreadPoolExecutor

        self._nodes = self._make_nodes()
        try:
            # All at once: a node may want to see another one before it is ready.
            with ThreadPoolExecutor(len(self)) as pool:
                list(pool.map(lambda server: server.start(), self._nodes.values()))
        except BaseException:
            with suppress(ServerTimeout):
                self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends all nodes as an operator would. May be called twice. Raises ServerTimeout if one had to be killed."""
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
        """Ends a node at once, as a crash of its process does."""
        self[name].kill()

    def pause(self, name: str) -> None:
        """Makes a node stand still; its kernel goes on to accept connections and bytes."""
        self[name].pause()

    def resume(self, name: str) -> None:
        """Lets a node go on after `pause`."""
        self[name].resume()

    def restart(self, name: str) -> None:
        """Starts a node again: same name, port and config. One that still runs is killed before."""
        self[name].restart()

    def any_port(self, host: str = LOOPBACK) -> int:
        """A port on `host` that is free as long as the cluster runs, for a program that must be told its port."""
        return self._ports.take([host])

    def wait_for_mount(self, mount: str, on: Sequence[str] | None = None, timeout: float = 10.0) -> None:
        """Returns once each node of `on` (all by default) says that it serves `mount`."""
        names = self.names if on is None else tuple(on)
        path = f"/readyz?mount={mount}"
        self.wait_until(
            lambda: all(self[name].get(path)[0] == 200 for name in names),
            timeout,
            f"{mount} on the nodes {', '.join(names)}",
        )

    def wait_until(self, is_so: Callable[[], bool], timeout: float, what: str) -> None:
        """Returns once `is_so()`. Raises ServerTimeout that names `what`; nodes that are dead are no reason to end."""
        deadline = time.monotonic() + timeout
        while not is_so():
            if time.monotonic() > deadline:
                raise ServerTimeout(f"waited {timeout:g} s for {what}\n{self.log()}")
            time.sleep(POLL_S)

    def log(self) -> str:
        """What all nodes wrote to their error logs so far, one node after the other."""
        return "\n".join(f"--- node {name}\n{server.log()}" for name, server in self._nodes.items())

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
