"""The two set-ups that `bench_failover` compares, with the same interface: three servers behind one HAProxy.

The one invariant: after `stop()` no process of the set-up is left.
"""

import re
from collections.abc import Callable
from typing import Protocol

from benchmarks.balancer import Balancer
from benchmarks.procfs import pinned
from benchmarks.servers import MASTER_UPDATE_S, PASSWORD, Icecast, get
from pycast.testing import Cluster

MOUNT = "/bench.mp3"
NODES = 3
# A watchful service manager: systemd waits a tenth of that unless told otherwise, Debian's icecast2 has none.
RESTART_S = 1.0

_LISTENERS = re.compile(rb"<listeners>(\d+)</listeners>")


class Site(Protocol):
    """A set-up that is not started yet."""

    name: str
    note: str

    def start(self) -> None:
        """Starts everything."""

    def stop(self) -> None:
        """Stops everything."""

    @property
    def listen_port(self) -> int:
        """The port for listeners."""

    @property
    def encoder_port(self) -> int:
        """The port for the encoder."""

    @property
    def password(self) -> str:
        """The encoder's password."""

    def has_mount_everywhere(self) -> bool:
        """Whether each server has the mount."""

    def choose(self) -> int:
        """Chooses the server that has the source. Returns how many listeners it has."""

    def kill(self) -> None:
        """Kills the chosen server."""

    @property
    def after(self) -> tuple[float, Callable[[], None]] | None:
        """The steps after the kill, each with its time in seconds."""


class ClusterSite:
    """Three nodes of pycast: any of them can have the source, and each has listeners."""

    name = "pycast"

    def __init__(self, core: int) -> None:
        self.note = "nobody starts the node again"
        self.after: tuple[float, Callable[[], None]] | None = None
        self._core = core
        self._chosen = ""
        self._balancer: Balancer | None = None
        self._cluster: Cluster | None = None

    def start(self) -> None:
        """Starts the nodes, then HAProxy."""
        with pinned(self._core):
            self._cluster = Cluster(
                NODES, mount=[{"type": "default", "dump_file": ""}], clients=10_000, source_password=PASSWORD
            ).start()
        ports = [node.port for node in self._cluster]
        self._balancer = Balancer(self._core, ports, check="/readyz")
        self._balancer.start()

    def stop(self) -> None:
        """Ends HAProxy, then the nodes."""
        if self._balancer is not None:
            self._balancer.stop()
        if self._cluster is not None:
            self._cluster.stop()

    @property
    def listen_port(self) -> int:
        assert self._balancer is not None
        return self._balancer.port

    @property
    def encoder_port(self) -> int:
        return self.listen_port

    @property
    def password(self) -> str:
        """The encoder's password."""
        return PASSWORD

    def has_mount_everywhere(self) -> bool:
        """Whether each node reports the mount."""
        return all(node.get(f"/readyz?mount={MOUNT}")[0] == 200 for node in self._nodes)

    def choose(self) -> int:
        """Chooses the node with the source."""
        self._chosen = next(name for name in self._nodes.names if self._metric(name, "pycast_sources"))
        return self._metric(self._chosen, "pycast_listeners")

    def kill(self) -> None:
        """Kills that node."""
        self._nodes.kill(self._chosen)

    @property
    def _nodes(self) -> Cluster:
        assert self._cluster is not None
        return self._cluster

    def _metric(self, name: str, metric: str) -> int:
        body = self._nodes[name].get("/metrics", admin=True)[1].decode()
        found = re.search(rf"^{metric} (\S+)$", body, re.MULTILINE)
        assert found is not None, metric
        return int(float(found[1]))


class ClassicSite:
    """icecast2 as master, and two slaves that relay all of its mounts."""

    name = "icecast2"
    note = f"slaves ask for mounts every {MASTER_UPDATE_S} s, the master is back {RESTART_S:g} s after its end"

    def __init__(self, core: int) -> None:
        self._core = core
        self._master = Icecast(core)
        self._slaves: list[Icecast] = []
        self._balancer: Balancer | None = None

    def start(self) -> None:
        """Starts the master, the slaves, HAProxy."""
        self._master.start()
        for _ in range(NODES - 1):
            self._slaves.append(Icecast(self._core, master_port=self._master.port))
            self._slaves[-1].start()
        ports = [server.port for server in (self._master, *self._slaves)]
        self._balancer = Balancer(self._core, ports, check="/status-json.xsl")
        self._balancer.start()

    def stop(self) -> None:
        if self._balancer is not None:
            self._balancer.stop()
        for server in (*self._slaves, self._master):
            server.stop()

    @property
    def listen_port(self) -> int:
        assert self._balancer is not None
        return self._balancer.port

    @property
    def encoder_port(self) -> int:
        """The master's port: a source on a slave would be heard there only."""
        return self._master.port

    @property
    def password(self) -> str:
        """The encoder's password."""
        return PASSWORD

    def has_mount_everywhere(self) -> bool:
        """Whether the statistics of each server have the mount."""
        return all(MOUNT.encode() in _stats(server) for server in (self._master, *self._slaves))

    def choose(self) -> int:
        """Chooses the master."""
        found = _LISTENERS.search(_stats(self._master))
        return int(found[1]) if found else 0

    def kill(self) -> None:
        """Kills the master."""
        self._master.kill()

    @property
    def after(self) -> tuple[float, Callable[[], None]] | None:
        """The restart of the master."""
        return RESTART_S, self._master.start


def _stats(server: Icecast) -> bytes:
    return get(server.port, "/admin/stats", user="admin")[1].partition(b"<source")[2]
