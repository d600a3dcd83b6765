"""nginx before servers, as an operator would configure it: conf/nginx.conf, or a text of the test's own.

It is handed listening sockets that are there already: no port can be taken meanwhile. Invariant: it is dead, and its
files are gone, when the `with` block ends.
"""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.deadline import until

MODULES = Path("/usr/lib/nginx/modules")
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def nginx_program() -> str:
    """Its path. Fails the test when it, or its stream module, is not installed."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    assert found and (MODULES / "ngx_stream_module.so").exists(), (
        "nginx is not installed: apt-get install nginx libnginx-mod-stream"
    )
    return found


class Nginx:
    """`with Nginx(text, ["8000", "80"]) as proxy:` runs that configuration; for `listen 80` it listens on
    `proxy.ports["80"]` of 127.0.0.1.
    """

    def __init__(self, config: str, listens: Sequence[str]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="nginx-"))
        self._directory.chmod(0o755)  # its workers run as another user
        self._listening = {listen: socket.create_server(("127.0.0.1", 0), backlog=4096) for listen in listens}
        self.ports: dict[str, int] = {name: sock.getsockname()[1] for name, sock in self._listening.items()}
        self._config = self._directory / "nginx.conf"
        self._config.write_text(self._adapted(config))
        self._command = [nginx_program(), "-e", str(self._log), "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        sockets = [sock.fileno() for sock in self._listening.values()]
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [*self._command, "-g", "daemon off;"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=sockets,
                # How nginx hands its sockets to its own successor (ngx_add_inherited_sockets).
                env={**os.environ, "NGINX": "".join(f"{number};" for number in sockets)},
            )
        try:
            until(self._is_up, "nginx to start")
        except BaseException as error:
            error.add_note(self.log())
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends it at once, with its workers."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        for sock in self._listening.values():
            sock.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def log(self) -> str:
        """Returns its error log."""
        return self._log.read_text() if self._log.exists() else ""

    @property
    def _log(self) -> Path:
        return self._directory / "error.log"

    def _adapted(self, config: str) -> str:
        folders = "".join(f"    {name}_temp_path {self._directory}/{name};\n" for name in TEMPORARY)
        text, count = re.subn(r"^http \{\n", f"http {{\n    access_log off;\n{folders}", config, flags=re.MULTILINE)
        assert count <= 1
        text = re.sub(r"^pid .*;$", f"pid {self._directory}/pid;", text, flags=re.MULTILINE)
        for name, port in self.ports.items():
            assert f" listen {name};\n" in text, f"no listen {name}"
            text = text.replace(f" listen {name};\n", f" listen 127.0.0.1:{port};\n")
        return text

    def _is_up(self) -> bool:
        assert self._process is not None and self._process.poll() is None, "nginx ended"
        return (self._directory / "pid").exists()
