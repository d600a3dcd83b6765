"""Derives the configuration of one worker from the machine's. Pure: no sockets, no clock, no processes.

Each worker is a node, named after the machine and its number. Without [cluster], the workers form a cluster that
behaves as one server would; in a cluster of machines, each worker is a node of that. The one invariant: `adapt` returns
the same for the same file, so that a reload changes only what the operator changed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pycast.config.load import loads, with_port
from pycast.config.schema import Config
from pycast.config.secret_files import read_secret

# The kernel distributes connections by a hash, not in turn, so a worker can get somewhat more than its share.
SLACK_PERCENT = 10


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """The number, names and ports of one worker, and what it has from its parent."""

    index: int
    count: int
    machine: str
    """The name of this machine; a worker's own name is this, a dot and its number."""
    ports: tuple[int, ...]
    """The port of each [[listen]] section, as the parent holds it."""
    links: tuple[str, ...]
    """`host:port` at which other nodes reach each worker."""
    link_address: str
    """The address on which the link port listens."""
    secret: str
    """The cluster's secret: the file's, or a random one for this run."""
    sockets: tuple[int, ...] = ()
    """The descriptors of the listening sockets that the parent has opened for this worker."""
    from_systemd: bool = False
    """Whether some of them are systemd's, which keeps them when the parent is gone."""
    life: int = -1
    """The descriptor of the sign of life that it gives its parent; -1 for none."""

    @property
    def link_port(self) -> int:
        """The port on which this worker accepts links of other nodes."""
        return int(self.links[self.index].rpartition(":")[2])

    @property
    def tag(self) -> str:
        """The prefix of its log lines."""
        return f"[{self.index}] "

    def adapt(self, config: Config) -> Config:
        """Returns this worker's configuration, made from the machine's."""
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
            "secret_file": "",  # a reload must not change what the links of this run know
            "node": f"{self.machine}.{self.index}",
            "advertise": self.links[self.index],
            "peers": (*others, *cluster.peers),
        }
        if cluster.state_file:
            changes["state_file"] = f"{cluster.state_file}.{self.index}"
        if not cluster.secret:
            # To its sources one machine is one server: a second one for a mount is refused, as Icecast does, unless the
            # file says otherwise. Workers are linked over loopback and need no TLS.
            changes |= {"registry": "mesh", "tls": False}
            if "on_conflict" not in cluster.given:
                changes["on_conflict"] = "reject"
        return changes

    def _balancer(self, config: Config) -> dict[str, Any]:
        """Returns the changes of [balancer]: only the first worker answers the agent-check, on behalf of all."""
        balancer = config.balancer
        port = balancer.agent_port if self.index == 0 else 0
        return {"agent_port": port, "egress": balancer.egress // self.count}


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """The specification that a worker reads at its start, as one line of JSON on its standard input.

    It has a secret and passwords, so it is not in arguments or the environment, which other users may read. It has the
    text of the configuration, and what the files of secrets held, so that a restarted worker has what the others have,
    and does not fail because of an error made in a file meanwhile.
    """

    worker: WorkerPlace
    text: str
    path: str | None
    """The file that the text is from, which a reload reads again."""
    port: int | None
    """The port that the command line gave."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """What each file of a secret held, by the file's name."""

    def to_json(self) -> bytes:
        """Returns the line, with its LF."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> Self:
        """Reads a line that `to_json` made."""
        data = json.loads(line)
        worker = data.pop("worker")
        worker |= {name: tuple(worker[name]) for name in ("ports", "links", "sockets")}
        return cls(worker=WorkerPlace(**worker), **data)

    @property
    def config_path(self) -> Path | None:
        """The path of the configuration file, if there is one."""
        return None if self.path is None else Path(self.path)

    def config(self, environ: Mapping[str, str]) -> Config:
        """Returns the worker's configuration. Raises ConfigError."""
        config = loads(self.text, environ, self.path or "defaults", self._read)
        return self.worker.adapt(config if self.port is None else with_port(config, self.port))

    def _read(self, name: str) -> str:
        return self.secrets[name] if name in self.secrets else read_secret(name)
