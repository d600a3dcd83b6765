"""How the configuration of one worker follows from the machine's. Pure: no sockets, no clock, no processes.

Each worker is a node of its own, named after the machine and its number. Alone on its machine the group is a cluster
of its workers and behaves as one server would; in a cluster of machines each worker is one of its nodes. The one
invariant: `adapt` gives the same for the same file, so that a reload changes what the operator changed and no more.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pycast.config.load import loads, with_port
from pycast.config.schema import Config

# The kernel deals connections out by a hash, not in turn: a worker gets somewhat more than its part.
SLACK_PERCENT = 10


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """One worker's place among the others."""

    index: int
    count: int
    machine: str
    """The name that all workers of this machine share; a worker's own is this, a dot and its number."""
    ports: tuple[int, ...]
    """The port of each [[listen]] section as the parent holds it."""
    links: tuple[str, ...]
    """`host:port` at which each worker is reached by other nodes."""
    link_address: str
    """Where the link's port listens."""
    secret: str
    """What the nodes of the cluster know: the file's, or one made up for this run."""

    @property
    def link_port(self) -> int:
        """The port on which this worker takes links of other nodes."""
        return int(self.links[self.index].rpartition(":")[2])

    @property
    def tag(self) -> str:
        """What stands before the text of its log lines."""
        return f"[{self.index}] "

    def adapt(self, config: Config) -> Config:
        """What this worker makes of the machine's configuration."""
        listen = [
            one if one.port else one.replace(port=port) for one, port in zip(config.listen, self.ports, strict=False)
        ]
        return config.replace(
            listen=(*listen, *config.listen[len(listen) :]),
            limits=config.limits.replace(clients=self._part_of(config.limits.clients)),
            cluster=config.cluster.replace(**self._cluster(config)),
            balancer=config.balancer.replace(**self._balancer(config)),
        )

    def _part_of(self, whole: int) -> int:
        return -(-whole * (100 + SLACK_PERCENT) // (100 * self.count))

    def _cluster(self, config: Config) -> dict[str, Any]:
        cluster = config.cluster
        others = [link for index, link in enumerate(self.links) if index != self.index]
        changes: dict[str, Any] = {
            "secret": self.secret,
            "node": f"{self.machine}.{self.index}",
            "advertise": self.links[self.index],
            "peers": (*others, *cluster.peers),
        }
        if cluster.state_file:
            changes["state_file"] = f"{cluster.state_file}.{self.index}"
        if not cluster.secret:
            # One machine is one server to its sources: a second one for a mount is refused, as Icecast does, unless the
            # file says otherwise. And workers that speak over loopback need no TLS.
            changes |= {"registry": "mesh", "tls": False}
            if "on_conflict" not in cluster.given:
                changes["on_conflict"] = "reject"
        return changes

    def _balancer(self, config: Config) -> dict[str, Any]:
        """The balancer asks one of them: the first, whose headroom stands for all."""
        balancer = config.balancer
        port = balancer.agent_port if self.index == 0 else 0
        return {"agent_port": port, "egress": balancer.egress // self.count}


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What the parent tells a worker at its start, as one line of JSON on its standard input.

    Not in arguments or the environment, which others can read: there are a secret and passwords in it. The text of the
    configuration comes along so that a worker that is started again does not trip over a mistake in the file.
    """

    worker: WorkerPlace
    text: str
    path: str | None
    """The file that the text is from, to be read again by a reload."""
    port: int | None
    """That of the command line."""

    def to_json(self) -> bytes:
        """The line with its LF."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """From what `to_json` gave."""
        data = json.loads(line)
        worker = data.pop("worker")
        worker |= {"ports": tuple(worker["ports"]), "links": tuple(worker["links"])}
        return cls(worker=WorkerPlace(**worker), **data)

    @property
    def config_path(self) -> Path | None:
        """The path of the configuration, if it is a file."""
        return None if self.path is None else Path(self.path)

    def config(self, environ: Mapping[str, str]) -> Config:
        """The worker's configuration. Raises ConfigError."""
        config = loads(self.text, environ, self.path or "defaults")
        return self.worker.adapt(config if self.port is None else with_port(config, self.port))
