"""One node of `pycast cluster up`: an ordinary `pycast serve` with a configuration file of its own.

Has the ports, files and process of a node; local_cluster.py decides when it starts and stops. The one invariant: the
file, which has the passwords, is readable by this user only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pycast import launch
from pycast.errors import ConfigError, ExternalError

HOST = "127.0.0.1"

CONFIG = """[[listen]]
bind_address = "{host}"
port = {port}
trusted_proxies = ["127.0.0.0/8"]

[server]
hostname = "localhost"
location = "node {name}"

[authentication]
source_password = "{password}"
admin_password = "{password}"
relay_password = "{password}"

[cluster]
name = "local"
node = "{name}"
advertise = "{host}:{port}"
secret = "{secret}"
peers = [{peers}]

[balancer]
agent_address = "{host}"
agent_port = {agent_port}

[logging]
access_log = ""
error_log = "-"
"""


@dataclass(slots=True)
class LocalNode:
    """A node: its name, its ports and, after the first start, its process."""

    name: str
    port: int
    agent_port: int
    """The port of HAProxy's agent-check."""
    folder: Path
    process: launch.Process | None = None

    @property
    def pid(self) -> int:
        """The number of its process; 0 before the first start."""
        return self.process.pid if self.process else 0

    @property
    def is_running(self) -> bool:
        """Whether its process is running."""
        return self.process is not None and self.process.poll() is None

    def write_config(self, peers: Iterable[int], password: str, secret: str) -> None:
        """Writes its configuration file; `peers` are the ports of the other nodes."""
        text = CONFIG.format(
            host=HOST, port=self.port, name=self.name, password=password, secret=secret, agent_port=self.agent_port,
            peers=", ".join(f'"{HOST}:{port}"' for port in peers),
        )  # fmt: skip
        self._config.touch(mode=0o600)
        self._config.write_text(text)

    def start(self) -> None:
        """Starts its process; kills the old one, if there is one, before."""
        if self.process is not None:
            launch.kill(self.process)
        program = (*launch.ends_with_us(), *launch.PROGRAM)
        with open(self._log, "ab") as log:
            # In a process group of its own, so that Ctrl-C reaches only the command, which then stops the nodes.
            self.process = launch.start("--config", str(self._config), program=program, stderr=log, own_group=True)

    def wait_until_ready(self, timeout_s: float) -> None:
        """Returns once it accepts connections. May switch.

        Raises ConfigError if its process ended before, ExternalError if `timeout_s` is over.
        """
        assert self.process is not None
        try:
            ready = launch.wait_until_ready(self.process, timeout_s)
        except TimeoutError as error:
            raise ExternalError(f"nothing answers on port {self.port} after {timeout_s:g} s") from error
        if ready is None:
            raise ConfigError([f"port {self.port}: node {self.name} did not start: {self._why(self.process)}"])

    @property
    def _config(self) -> Path:
        return self.folder / f"{self.name}.toml"

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def _why(self, process: launch.Process) -> str:
        """Returns why it ended: the first line of an error message, or the last line of its log, or its exit status."""
        lines = self._log.read_text(errors="replace").splitlines()
        errors = [line.removeprefix("pycast: ") for line in lines if line.startswith("pycast: ")]
        return (errors or lines[-1:] or [launch.describe_end(process.wait())])[0]
