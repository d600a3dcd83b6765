"""pycast in Icecast's place: started by a link that is called icecast, with an icecast.xml."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from sysconfig import get_path
from types import TracebackType
from typing import Self

from pycast import launch
from tests.e2e.deadline import until
from tests.e2e.processes import is_alive, listening_ports

STATION = """<icecast>
  <hostname>{hostname}</hostname>
  <limits><clients>100</clients><sources>5</sources></limits>
  <authentication>
    <source-password>{password}</source-password><relay-password>r</relay-password>
    <admin-user>admin</admin-user><admin-password>adminpass</admin-password>
  </authentication>
  <listen-socket><port>{port}</port><bind-address>{address}</bind-address></listen-socket>
  <http-headers><header name="X-Station" value="{header}"/></http-headers>
{more}
  <fileserve>0</fileserve>
  <paths>
    <basedir>/usr/share/icecast2</basedir><logdir>{logs}</logdir><pidfile>{folder}/icecast.pid</pidfile>
    <ssl-certificate>{certificate}</ssl-certificate>
  </paths>
  <logging><accesslog>{access_log}</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
  <security><chroot>0</chroot>{security}</security>
</icecast>
"""


def python_for(user: str) -> str:
    """Returns an interpreter of this version that the user can run: root's own may be in a folder of root's. It needs
    `modules` as its PYTHONPATH.
    """
    found = [sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"]
    for one in filter(os.path.exists, found):
        with suppress(PermissionError):
            if not subprocess.run([one, "-c", "import pprint"], user=user, capture_output=True, check=False).returncode:
                return one
    raise AssertionError(f"none of {', '.join(found)} can be run by {user}: install python3")


def modules() -> str:
    """Returns where an interpreter finds pycast and what it needs."""
    return os.pathsep.join([str(Path(__file__).parents[2]), get_path("purelib"), get_path("platlib")])


class AsIcecast:
    """`with AsIcecast(folder) as server:`. `set` changes values of its file, and `reload` sends it SIGHUP."""

    def __init__(
        self,
        folder: Path,
        *,
        background: bool = False,
        environment: dict[str, str] | None = None,
        python: tuple[str, ...] = (),
    ) -> None:
        """`python` runs the link, instead of the interpreter that it names."""
        self._python = python
        self.folder = folder
        self.file = folder / "icecast.xml"
        self.pidfile = folder / "icecast.pid"
        self.pid = 0
        self.port = 0
        self.said = ""
        self._values = {
            "hostname": "radio.example",
            "password": "sourcepass",
            "port": "0",
            "address": "127.0.0.1",
            "header": "one",
            "more": "",
            "folder": str(folder),
            "logs": str(folder),
            "access_log": "access.log",
            "certificate": "",
            "security": "",
        }
        self._background = background
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, **values: str) -> None:
        """Writes the file with these values, and the others as they are."""
        self._values |= values
        self.file.write_text(STATION.format(**self._values))
        self.file.chmod(0o644)

    def __enter__(self) -> Self:
        link = self.folder / "icecast"
        link.symlink_to(Path(sys.executable).parent / "pycast")
        self.set()
        with (self.folder / "stderr").open("wb") as stderr:
            options = ["-b"] if self._background else []
            self._process = subprocess.Popen(
                [*self._python, link, *options, "-c", self.file],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=launch.clean_environment() | self._environment,
                cwd=self.folder,
            )
        if self._background:
            self.said = self._process.communicate(timeout=20)[0].decode()
            assert self._process.returncode == 0, self.stderr()
        until(lambda: (self._process and self._process.poll()) or self._is_ready(), "the server", 20)
        assert self.port, self.stderr()
        return self

    def stderr(self) -> str:
        """Returns what it has written to stderr so far."""
        return (self.folder / "stderr").read_text()

    def _is_ready(self) -> bool:
        if not self.pidfile.exists() or not self.pidfile.read_text().endswith("\n"):
            return False
        return self._find_port()

    def _find_port(self) -> bool:
        self.pid = int(self.pidfile.read_text())
        self.port = int(self._values["port"]) or min(listening_ports(self.pid), default=0)
        return bool(self.port) and "listen" in self.log()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(self.log()[-3000:] + self.stderr()[-3000:])
        self.end()

    def end(self) -> None:
        """Ends it as an init script does: by the number in its pidfile."""
        if self.pid and is_alive(self.pid):
            with suppress(ProcessLookupError):  # it has just ended by itself
                os.kill(self.pid, signal.SIGTERM)
        until(lambda: not (self.pid and is_alive(self.pid)), "its end")
        if self._process:
            launch.kill(self._process)

    def reload(self) -> None:
        """Sends SIGHUP, and waits until the reload is over."""
        before = len(self.log())
        os.kill(self.pid, signal.SIGHUP)
        until(lambda: any(word in self.log()[before:] for word in ("again", "reload refused")), "the reload")

    def log(self) -> str:
        """Returns the error log so far."""
        file = Path(self._values["logs"]) / "error.log"
        return file.read_text() if file.exists() else ""
