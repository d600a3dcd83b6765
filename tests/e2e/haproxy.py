"""HAProxy before a server, in either mode, as an operator would configure it.

It is handed a listening socket that is there already: no port can be taken meanwhile, and clients that come before it
is up just wait. Invariant: it is dead, and its files are gone, when the `with` block ends.
"""

import csv
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.deadline import until

CONFIG = """global
    stats socket {directory}/stats mode 600 level admin
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen radio
    mode {mode}
    bind fd@{listening}
{lines}
    server node 127.0.0.1:{port} {options}
"""


def haproxy_program() -> str:
    """Its path. Fails the test when it is not installed."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "haproxy is not installed: apt-get install haproxy"
    return found


class HAProxy:
    """`with HAProxy(server.port, mode="tcp", options="send-proxy") as proxy:` listens on `proxy.port`.

    `options` stand behind its server's address, `lines` are further lines of the configuration.
    """

    def __init__(self, server_port: int, *, mode: str, options: str = "", lines: tuple[str, ...] = ()) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="haproxy-"))
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listening.getsockname()[1]
        config = self._directory / "haproxy.cfg"
        config.write_text(
            CONFIG.format(
                directory=self._directory,
                mode=mode,
                listening=self._listening.fileno(),
                lines="\n".join(f"    {line}" for line in lines),
                port=server_port,
                options=options,
            )
        )
        with open(self._directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                [haproxy_program(), "-db", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._listening.fileno()],
            )

    def __enter__(self) -> Self:
        try:
            until(self._is_up, "haproxy to start")
        except BaseException as error:
            error.add_note((self._directory / "log").read_text())
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()
        self._listening.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def wait_for_check(self, status: str, result: str) -> None:
        """Returns once the server's state (`UP`, `DOWN`) and the last check's result (`L7OK`, …) are these."""
        until(lambda: self._node() == (status, result), f"haproxy to say {status} {result}; it says {self._node()}")

    def _node(self) -> tuple[str, str]:
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        row = next(row for row in rows if row["svname"] == "node")
        return row["status"].split()[0], row["check_status"].removeprefix("* ")

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "haproxy ended"
        try:
            return "node" in self._ask("show stat")
        except OSError:
            return False

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as stats:
            stats.settimeout(5)
            stats.connect(str(self._directory / "stats"))
            stats.sendall(f"{command}\n".encode())
            answer = b""
            while data := stats.recv(65536):
                answer += data
        return answer.decode()
