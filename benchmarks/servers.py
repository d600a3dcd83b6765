"""The servers that are compared, with the same interface: pycast, icecast2 and the kernel's floor.

Starts and stops them (only what it started, by its pid), pinned to one core, with their own temporary folder for config
and logs; measures nothing. The one invariant: when `start()` has returned the server accepts on 127.0.0.1:`port`; when
`stop()` has returned its process and its folder are gone.
"""

import base64
import http.client
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Protocol
from urllib.parse import quote

from benchmarks.procfs import children, pinned
from pycast import launch
from pycast.auth.password_file import hashed
from pycast.formats.silence import StreamShape, silence
from pycast.testing.ports import Ports

PASSWORD = "benchmark"
GUARDED = "/guarded.mp3"
"""A mount of pycast whose listeners are a user with a slow hash. Each of them sends `LOGIN`."""
INTRODUCED = "/introduced.mp3"
"""A mount of pycast that has an intro."""
BACKED, BACKED_OGG = "/backed.mp3", "/backed.ogg"
"""Mounts of pycast that fall back to files."""
LOGIN = f"Authorization: Basic {base64.b64encode(f'bench:{PASSWORD}'.encode()).decode()}\r\n"
ROOT = Path(__file__).resolve().parent.parent
MASTER_UPDATE_S = 10
"""How often an icecast2 slave asks its master for mounts; it does so every 120 s unless told otherwise."""

_PORTS = Ports()
_START_S = 15.0
# pycast promises a clean stop within 5 s; icecast2 with 8,000 listeners may need the SIGKILL.
_STOP_S = 6.0


class ServerError(Exception):
    """A server is not installed, or did not start."""


class Server(Protocol):
    """The interface that the benchmarks need of a server."""

    name: str
    port: int
    pid: int

    def start(self) -> None:
        """Starts the process; raises ServerError."""

    def stop(self) -> None:
        """Stops the process; does nothing if it is not running."""


class Child:
    """One process with its own folder; output goes to `output.txt` there."""

    def __init__(self, core: int) -> None:
        self.folder = Path(mkdtemp(prefix="pycast-bench-"))
        self._core = core
        self._process: launch.Process | None = None

    @property
    def pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def spawn(self, command: Sequence[str], *, user: str | None = None) -> None:
        """Starts any program; raises ServerError."""
        with self._place() as output:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=ROOT,
                    user=user,
                    group=None if user is None else pwd.getpwnam(user).pw_gid,
                    extra_groups=None if user is None else (),
                )
            except OSError as error:
                raise ServerError(f"{command[0]}: {error}") from error

    def serve(self, *options: str) -> list[int]:
        """Starts `pycast serve` and returns its ports once it accepts; raises ServerError with its last words."""
        environment = launch.clean_environment()
        # An installed server has its bytecode: without it, half of a start would be Python's compiler.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        with self._place() as output:
            self._process = launch.start(*options, environment=environment, stderr=output)
        try:
            ready = launch.wait_until_ready(self._process, _START_S)
        except TimeoutError:
            ready = None
        if ready is None:
            raise self._failure()
        return [int(one["port"]) for one in ready["ports"]]

    def wait_for(self, what: Callable[[], int | None], *, poll_s: float = 0.005) -> int:
        """Waits until `what()` gives a port; raises ServerError with the end of the server's output."""
        assert self._process is not None
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            port = what()
            if port:
                return port
            if self._process.poll() is not None:
                break
            time.sleep(poll_s)
        raise self._failure()

    def kill(self) -> None:
        """Kills it, as a crash would; its folder stays, and it can be spawned again."""
        if self._process is not None:
            launch.kill(self._process)

    def stop(self) -> None:
        """Stops it and removes its folder; does nothing if it is not running."""
        process, self._process = self._process, None
        if process is not None:
            launch.end([process], _STOP_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _place(self) -> Iterator[IO[bytes]]:
        """Yields the file for the child's output, while children that are started are pinned to the core."""
        with open(self.folder / "output.txt", "wb") as output, pinned(self._core):
            yield output

    def _failure(self) -> ServerError:
        words = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
        self.stop()
        return ServerError(f"the server did not start:\n{words}")


class Pycast:
    """pycast, as its users start it."""

    name = "pycast"

    def __init__(
        self,
        core: int,
        *,
        queue_size: str = "512k",
        clients: int = 15_000,
        workers: int = 1,
        master_port: int = 0,
        has_mounts: bool = True,
        certificate: Path | None = None,
    ) -> None:
        """With `master_port` it relays all mounts of the server there; without `has_mounts` none is configured. With
        `certificate`, a file that has its key as well, it has a port for TLS.
        """
        self._has_mounts = has_mounts
        self._master_port = master_port
        self._certificate = certificate
        self.port = self.tls_port = 0
        self.pid = 0
        self._workers = workers
        self._queue_size = queue_size
        self._clients = clients
        self._child = Child(core)

    def start(self) -> None:
        """Starts `pycast serve` with a config of its own and waits until it accepts."""
        config = self._child.folder / "pycast.toml"
        config.write_text(self._config())
        if self._has_mounts:
            self._make_files()
        self.port, *others = self._child.serve("--config", str(config))
        self.tls_port = others[0] if others else 0
        self.pid = self._child.pid

    def stop(self) -> None:
        self._child.stop()

    def worker_pids(self) -> list[int]:
        """Returns the processes that serve listeners: its own, or its workers."""
        return [self.pid] if self._workers == 1 else children(self.pid)

    def _make_files(self) -> None:
        """Makes the files of the configured mounts."""
        (self._child.folder / "listeners.htpasswd").write_text(f"bench:{hashed(PASSWORD, b'benchmark')}\n")
        mp3, opus = StreamShape("mpeg", "", 44100, 2, 128_000), StreamShape("ogg", "Opus", 48000, 2)
        webroot = self._child.folder / "web"
        webroot.mkdir()
        # Less than 16 kB, in which the load generator looks for the first frame of the stream.
        (webroot / "intro.mp3").write_bytes(silence(mp3)[:16_000])
        (webroot / "file.mp3").write_bytes(silence(mp3) * 4)
        (webroot / "file.ogg").write_bytes(silence(opus))

    def _config(self) -> str:
        return f"""
[server]
workers = {self._workers}

[[listen]]
bind_address = "127.0.0.1"
port = 0
{self._tls()}
[limits]
clients = {self._clients}
sources = 500
queue_size = "{self._queue_size}"
burst_size = "64k"

[authentication]
source_password = "{PASSWORD}"
relay_password = "{PASSWORD}"
admin_password = "{PASSWORD}"

[logging]
access_log = "{self._child.folder}/access.log"
error_log = "{self._child.folder}/error.log"

{self._mounts() if self._has_mounts else ""}
{self._master()}"""

    def _mounts(self) -> str:
        folder = self._child.folder
        return f"""
[[mount]]
mount_name = "{GUARDED}"
[mount.authentication]
type = "htpasswd"
filename = "{folder}/listeners.htpasswd"
allow_duplicate_users = true

[paths]
webroot = "{folder}/web"

[[mount]]
mount_name = "{INTRODUCED}"
intro = "/intro.mp3"

[[mount]]
mount_name = "{BACKED}"
fallback_mount = "/file.mp3"
fallback_override = "own"

[[mount]]
mount_name = "{BACKED_OGG}"
fallback_mount = "/file.ogg"
fallback_override = "own"
"""

    def _tls(self) -> str:
        if self._certificate is None:
            return ""
        listen = '[[listen]]\nbind_address = "127.0.0.1"\nport = 0\ntls = true\n'
        return f'\n{listen}\n[tls]\ncertificate = "{self._certificate}"\n'

    def _master(self) -> str:
        if not self._master_port:
            return ""
        return f'[master]\nserver = "127.0.0.1"\nport = {self._master_port}\npassword = "{PASSWORD}"\n'


class Icecast:
    """Debian's icecast2 with its limits raised, logging as it does by default."""

    name = "icecast2"

    def __init__(self, core: int, *, queue_bytes: int = 524_288, master_port: int = 0) -> None:
        """With `master_port` it is a slave of the icecast2 there."""
        self.port = 0
        self.pid = 0
        self._queue_bytes = queue_bytes
        self._master_port = master_port
        self._child = Child(core)

    def start(self) -> None:
        """Starts icecast2 as an ordinary user (it refuses to run as root) and waits until it accepts."""
        folder, user = self._child.folder, None
        if os.geteuid() == 0:
            user = "icecast2" if _has_user("icecast2") else "nobody"
            shutil.chown(folder, user)
        port = self.port or free_port()
        (folder / "icecast.xml").write_text(self._config(port))
        self._child.spawn(["icecast2", "-c", str(folder / "icecast.xml")], user=user)
        self.pid = self._child.pid
        self.port = self._child.wait_for(lambda: port if accepts(port) else None, poll_s=0.002)

    def kill(self) -> None:
        """Kills it, as a crash would; `start` starts it again on the same port."""
        self._child.kill()

    def stop(self) -> None:
        self._child.stop()

    def _config(self, port: int) -> str:
        folder, slave = self._child.folder, ""
        if self._master_port:
            slave = f"""
<master-server>127.0.0.1</master-server><master-server-port>{self._master_port}</master-server-port>
<master-update-interval>{MASTER_UPDATE_S}</master-update-interval><master-password>{PASSWORD}</master-password>
<relays-on-demand>0</relays-on-demand>"""
        return f"""<icecast>
<limits><clients>20000</clients><sources>500</sources><queue-size>{self._queue_bytes}</queue-size>
<client-timeout>30</client-timeout><header-timeout>15</header-timeout><source-timeout>10</source-timeout>
<burst-on-connect>1</burst-on-connect><burst-size>65535</burst-size></limits>
<authentication><source-password>{PASSWORD}</source-password><relay-password>{PASSWORD}</relay-password>
<admin-user>admin</admin-user><admin-password>{PASSWORD}</admin-password></authentication>
<hostname>localhost</hostname>{slave}
<listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
<paths><basedir>/usr/share/icecast2</basedir><logdir>{folder}</logdir><webroot>/usr/share/icecast2/web</webroot>
<adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
<security><chroot>0</chroot></security>
</icecast>
"""


class Floor:
    """The C program of floor.c, built in a temporary folder: one source, plain listeners only."""

    name = "floor"

    def __init__(self, core: int, *, flush_s: float = 0.5, burst_bytes: int = 65_536) -> None:
        self.port = 0
        self.pid = 0
        self._arguments = [f"{flush_s * 1000:.1f}", str(burst_bytes)]
        self._child = Child(core)

    def start(self) -> None:
        binary = self._child.folder / "floor"
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise ServerError("no C compiler: install gcc")
        program = str(ROOT / "benchmarks" / "floor.c")
        subprocess.run([compiler, "-O2", "-o", str(binary), program], check=True, timeout=60)
        self._child.spawn([str(binary), *self._arguments])
        self.pid = self._child.pid
        self.port = self._child.wait_for(lambda: _first_number(self._child.folder / "output.txt"))

    def stop(self) -> None:
        self._child.stop()


def make_server(
    name: str,
    core: int,
    *,
    flush_s: float = 0.5,
    queue_bytes: int = 524_288,
    clients: int = 15_000,
    workers: int = 1,
) -> Server:
    """Makes a server by name; `flush_s` is for the floor, `queue_bytes` for the others, the rest for pycast."""
    if name == "pycast":
        return Pycast(core, queue_size=str(queue_bytes // 1024) + "k", clients=clients, workers=workers)
    if name == "icecast2":
        return Icecast(core, queue_bytes=queue_bytes)
    return Floor(core, flush_s=flush_s)


def get(port: int, path: str, *, user: str = "", timeout_s: float = 5.0) -> tuple[int, bytes]:
    """Returns (status, body) of a GET, with the benchmark's password if `user` is given."""
    headers = {"User-Agent": "pycast-bench"}
    if user:
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def set_title(port: int, mount: str, title: str) -> None:
    """Sets the title of a mount; raises ServerError if the server refuses."""
    query = f"mode=updinfo&mount={mount}&song={quote(title)}&charset=UTF-8"
    status, _ = get(port, f"/admin/metadata?{query}", user="source")
    if status != 200:
        raise ServerError(f"the title was refused with status {status}")


def accepts(port: int) -> bool:
    """Whether a server accepts on 127.0.0.1:`port`."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Returns a port that is held for the server until this process ends (icecast2 cannot bind port 0)."""
    return _PORTS.take(("0.0.0.0",))


def _first_number(path: Path) -> int | None:
    line = path.read_text().partition("\n")
    return int(line[0]) if line[1] and line[0].isdigit() else None


def _has_user(name: str) -> bool:
    return any(entry.pw_name == name for entry in pwd.getpwall())
