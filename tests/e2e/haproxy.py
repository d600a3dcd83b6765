"""HAProxy before servers, as an operator would configure it.

It is handed listening sockets that are there already: no port can be taken meanwhile, and clients that come before it
is up just wait. Invariant: it is dead, and its files are gone, when the `with` block ends.
"""

import csv
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.deadline import until

# Without a timeout of its own a check has as long as the time between two checks, which tests make short.
ONE_SERVER = """global
defaults
    timeout connect 5s
    timeout check 5s
    timeout client 30s
    timeout server 30s
listen radio
    mode {mode}
    bind :8000
{lines}
    server node 127.0.0.1:{port} {options}
"""


def haproxy_program() -> str:
    """Its path. Fails the test when it is not installed."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found, "haproxy is not installed: apt-get install haproxy"
    return found


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a server in HAProxy."""

    status: str
    """UP, DOWN, DRAIN, MAINT, or "no check"."""
    check: str
    """The last check's result: L7OK, L4CON …"""
    agent: str
    """The last agent-check's result: L7OK, L7STS …"""
    agent_text: str
    weight: int
    maxconn: int
    failures: int
    """How often it went from UP to DOWN."""


class HAProxy:
    """`with HAProxy(text, [":8000"]) as proxy:` runs that configuration; for `bind :8000` it listens on `proxy.port`.

    `binds` are the addresses of its `bind` lines; `ports` has for each of them the port of 127.0.0.1 in its place.
    """

    def __init__(self, config: str, binds: Sequence[str] = (":8000",)) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="haproxy-"))
        self._listening = {bind: socket.create_server(("127.0.0.1", 0), backlog=4096) for bind in binds}
        self.ports: dict[str, int] = {bind: sock.getsockname()[1] for bind, sock in self._listening.items()}
        self.port = self.ports[binds[0]]
        path = self._directory / "haproxy.cfg"
        path.write_text(self._adapted(config))
        with open(self._directory / "log", "wb") as log:
            self._process = subprocess.Popen(
                [haproxy_program(), "-db", "-f", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[sock.fileno() for sock in self._listening.values()],
            )

    @classmethod
    def before(cls, server_port: int, *, mode: str, options: str = "", lines: Sequence[str] = ()) -> Self:
        """Makes HAProxy for a server called "node". `options` stand behind its address, `lines` are further lines."""
        text = "\n".join(f"    {line}" for line in lines)
        return cls(ONE_SERVER.format(mode=mode, lines=text, port=server_port, options=options))

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
        for sock in self._listening.values():
            sock.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def seen(self, server: str = "node") -> Seen:
        """Returns that server's state from `show stat`: `name`, or `backend/name` where there are more of that name."""
        rows = csv.DictReader(self._ask("show stat").removeprefix("# ").splitlines())
        row = next(row for row in rows if server in (row["svname"], f"{row['pxname']}/{row['svname']}"))
        return Seen(
            status=row["status"] if row["status"] == "no check" else row["status"].split()[0],
            check=row["check_status"].removeprefix("* "),
            agent=row["agent_status"].removeprefix("* "),
            agent_text=row["last_agt"],
            weight=int(row["weight"] or 0),
            maxconn=int(row["slim"] or 0),
            failures=int(row["chkdown"] or 0),
        )

    def wait_for(self, server: str = "node", **wanted: object) -> Seen:
        """Returns once the server is seen so: `wait_for(status="UP", weight=50)`. A range means one of its values."""
        seen: list[Seen] = []

        def is_so() -> bool:
            seen.append(self.seen(server))
            found = ((getattr(seen[-1], name), value) for name, value in wanted.items())
            return all(one in value if isinstance(value, range) else one == value for one, value in found)

        try:
            until(is_so, f"haproxy to see {server} with {wanted}")
        except AssertionError as error:
            error.add_note(f"it was last seen as {seen[-1]}")
            raise
        return seen[-1]

    def _adapted(self, config: str) -> str:
        assert config.count("global\n") == 1
        text = config.replace("global\n", f"global\n    stats socket {self._directory}/stats mode 600 level admin\n")
        for bind, sock in self._listening.items():
            assert f"bind {bind}\n" in text, f"no bind {bind}"
            text = text.replace(f"bind {bind}\n", f"bind fd@{sock.fileno()}\n")
        return text

    def _is_up(self) -> bool:
        assert self._process.poll() is None, "haproxy ended"
        try:
            return bool(self._ask("show stat"))
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
