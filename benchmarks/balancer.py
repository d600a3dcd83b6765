"""HAProxy in mode tcp before several servers, with the settings of conf/haproxy.cfg: checks, retries, leastconn.

It has no PROXY header and no agent-check, which icecast2 does not support: both sides of a comparison get the same.
The one invariant: what is accepted at `port` and at `ports` goes to one of the servers named for it.
"""

import shutil
from collections.abc import Sequence

from benchmarks.servers import Child, ServerError, accepts, free_port

# As in conf/haproxy.cfg; a server counts as down when three checks have failed, two seconds apart.
_CONFIG = """global
    maxconn 9000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    balance leastconn
    option redispatch
    retries 2
    option httpchk GET {check}
    http-check expect status 200
    default-server check inter 2s fall 3 rise 2
listen streams
    bind 127.0.0.1:{port}
{servers}
"""


class Balancer:
    """`check` is the path that its health checks ask for."""

    def __init__(self, core: int, ports: Sequence[int], *, check: str) -> None:
        self.port = 0
        self._child = Child(core)
        self._ports = ports
        self._check = check

    def start(self) -> None:
        """Starts it and waits until it accepts. Raises ServerError."""
        program = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
        if program is None:
            raise ServerError("haproxy is not installed: apt-get install haproxy")
        self.port = free_port()
        path = self._child.folder / "haproxy.cfg"
        path.write_text(self._config())
        self._child.spawn([program, "-db", "-f", str(path)])
        self._child.wait_for(lambda: self.port if accepts(self.port) else None)

    def stop(self) -> None:
        self._child.kill()
        self._child.stop()

    def _config(self) -> str:
        servers = "\n".join(f"    server s{number} 127.0.0.1:{port}" for number, port in enumerate(self._ports))
        return _CONFIG.format(check=self._check, port=self.port, servers=servers)
