"""One pycast server in a process of its own, with methods for tests.

Starts `pycast serve` on a free loopback port with a config made from keywords, requests its public and admin pages, and
reads the files that it writes: what a source sent (its dump) and the titles (its playlist log). It uses only what every
user has. It imports only the standard library, most of that on first use. The one invariant: every wait has a deadline,
and ends at once with `ServerDied`, whose text has the server's log, if the process has ended.
"""

import shutil
import signal
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import quote

from pycast import launch
from pycast.testing import forked
from pycast.testing.failures import ServerDied, ServerTimeout
from pycast.testing.gates import INNER_HOST, Gates, aired_titles
from pycast.testing.log_marks import leave_mark, since, without_marks
from pycast.testing.orders import Orders
from pycast.testing.ports import LOOPBACK, Ports
from pycast.testing.refusals import RefusalLog
from pycast.testing.settings import arrange, default_mount, to_toml
from pycast.testing.waits import POLL_S, Awaited, listeners_on, polls, source_on, stands_still, title_on

if TYPE_CHECKING:
    import ssl

    from pycast.testing.aio import AsyncServer

__tracebackhide__ = True
"""A failed test shows where it called this file, and not what is in it."""

START_S = 20.0
"""A start usually takes half a second; on a machine that runs many tests at once, longer."""
STOP_S = 10.0
LOG_LINES = 40

CLUSTER_MODULES = ("pycast.app.cluster_assembly",)


class Server(Orders):
    """A running server: `with Server(burst_size=0, mount=[{"mount_name": "/live.mp3", "hidden": True}]) as server:`.

    Each keyword is a section of the config file (`limits={"clients": 10}`), a list of sections (`mount`, `listen`),
    or one setting by its name. Without keywords: one port on 127.0.0.1, source password "sourcepass", admin
    password "adminpass".
    """

    command: ClassVar[tuple[str, ...]] = launch.PROGRAM
    """The command that starts the server. A subclass can put a wrapper in front (`prlimit`, `taskset`, `strace` …)."""

    watch: ClassVar[bool] = True
    """Whether a server is watched if it is not told: see `gates.py`."""

    def __init__(self, **settings: Any) -> None:
        """No settings are `tls=True`: the first port takes TLS, with a certificate that clients trust by `ca_file`; and
        `watch=False`, which leaves out the door that `sources`, `listeners[…]` and `fault` need.
        """
        self._gates = Gates(settings.pop("watch", type(self).watch))
        self._makes_certificate = settings.get("tls") is True
        self._sections = arrange({name: one for name, one in settings.items() if (name, one) != ("tls", True)})
        self._ca_file: Path | None = None
        authentication = self._sections.setdefault("authentication", {})
        self.source_user: str = authentication.setdefault("source_user", "source")
        self.source_password: str = authentication.setdefault("source_password", "sourcepass")
        self.admin_user: str = authentication.setdefault("admin_user", "admin")
        self.admin_password: str = authentication.setdefault("admin_password", "adminpass")
        authentication.setdefault("relay_password", "relaypass")
        self.host = self._inner_host = LOOPBACK
        self.port = 0
        self.pid = 0
        self.ready: dict[str, Any] = {}
        self._scheme = "http"
        self._directory: Path | None = None
        self._process: launch.Process | None = None
        self._ports = Ports()
        self._refusals = RefusalLog()
        self._last_log = ""
        self._clean_up: weakref.finalize[..., Any] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._process is not None:
            error.add_note(f"The log of the server at {self.url} ends:\n{self._log_end()}")
        self.stop()

    async def __aenter__(self) -> Self:
        await self.aio.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aio.call(self.__exit__, kind, error, trace)

    @property
    def aio(self) -> "AsyncServer[Self]":
        """The same for coroutines: `await server.aio.wait_for_source("/live.mp3")`."""
        from pycast.testing.aio import AsyncServer

        return AsyncServer(self)

    def start(self) -> Self:
        """Starts the server and returns once it accepts connections. Raises ServerDied or ServerTimeout."""
        if self._process is not None:
            raise RuntimeError("this server has already been started; make a new one")
        self._directory = Path(tempfile.mkdtemp(prefix="pycast-"))
        try:
            self._write_config(self._directory)
            self._run()
        except BaseException:
            if self._clean_up is None:  # there is no process
                self._ports.release()
                shutil.rmtree(self._directory)
            raise
        return self

    def restart(self) -> None:
        """Starts it again on the same port, with the config file as it is now; kills it first if it is running.

        Its files are kept, so the log has both runs. Raises ServerDied or ServerTimeout; then its files are removed.
        """
        self.kill()
        self._run("--port", str(self.port))

    def kill(self) -> None:
        """Kills it, as a crash would (SIGKILL). Its files stay until `stop`."""
        launch.kill(self._running())
        self._gates.close("the server was killed")

    def pause(self) -> None:
        """Suspends the process (SIGSTOP): it does nothing from then on, but the kernel still accepts connections and
        bytes for it.
        """
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        self._wait(Awaited(lambda: stands_still(process.pid), "the process to stand still"), STOP_S)

    def resume(self) -> None:
        """Continues it after `pause` (SIGCONT)."""
        self._running().send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stops the server with SIGTERM and removes its files. Can be called twice.

        Raises ServerTimeout if it had to be killed.
        """
        if self._process is None or self._clean_up is None or not self._clean_up.alive:
            return
        self._gates.refuse()
        try:
            if not launch.end([self._process], STOP_S):
                raise ServerTimeout(f"the server did not stop within {STOP_S:g} s of SIGTERM\n{self._log_end()}")
        finally:
            self._last_log = self._text("error.log")
            self._clean_up()

    @property
    def exit_status(self) -> int | None:
        """The status with which it has ended, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"{self._scheme}://{self.host}:{self.port}"

    @property
    def directory(self) -> Path:
        """The folder of the server's config and logs, which exists until `stop`."""
        if self._directory is None:
            raise RuntimeError("the server has not been started")
        return self._directory

    @property
    def config_path(self) -> Path:
        """The config file, which a test can change before a reload by SIGHUP."""
        return self.directory / "pycast.toml"

    @property
    def ca_file(self) -> Path:
        """The certificate that clients have to trust, of a server with `tls=True`."""
        if self._ca_file is None:
            raise RuntimeError("only a server that was started with tls=True has a ca_file")
        return self._ca_file

    def ssl_context(self) -> "ssl.SSLContext":
        """Returns what Python's clients need to trust a server with `tls=True`."""
        import ssl

        return ssl.create_default_context(cafile=self.ca_file)

    def log(self) -> str:
        """Returns what the server has written to its error log so far, also after its end."""
        return without_marks(self._text("error.log") or self._last_log)

    def mark_log(self) -> str:
        """Marks the present end of the log, and returns the mark for `log_since`."""
        return leave_mark(lambda path, timeout: self.get(path, timeout=timeout))

    def log_since(self, mark: str) -> str:
        """Returns what the log has after a mark, with the lines of all that has happened until now."""
        end = self.mark_log() if self._is_running() else ""
        return since(mark, end, lambda: self._text("error.log") or self._last_log)

    def access_log(self) -> list[str]:
        """Returns the lines of the access log so far. A line is written when a client has gone."""
        return without_marks(self._text("access.log")).splitlines()

    def received(self, mount: str) -> bytes:
        """Returns the bytes that sources sent to `mount` so far, without framing and titles; empty if none."""
        try:
            return (self.directory / "received" / _dump_name(mount)).read_bytes()
        except FileNotFoundError:
            return b""

    def titles(self, mount: str) -> list[str]:
        """Returns the titles that `mount` has had, oldest first."""
        return [title for _, title in aired_titles(self._text("playlist.log"), mount)]

    def wait_for_source(self, mount: str, timeout: float = 10.0, *, despite_refusals: bool = False) -> None:
        """Returns once a source feeds `mount`. Raises ServerRefused at once if the server refuses one, unless
        `despite_refusals` is set: for an encoder that tries again.
        """
        self._wait(source_on(self, mount), timeout, despite_refusals)

    def wait_for_listeners(
        self, mount: str, count: int, timeout: float = 10.0, *, despite_refusals: bool = False
    ) -> None:
        """Returns once `mount` has exactly `count` listeners. Raises ServerRefused at once if the server refuses one,
        unless `despite_refusals` is set: for a player that tries again.
        """
        self._wait(listeners_on(self, mount, count), timeout, despite_refusals)

    def wait_for_title(self, mount: str, title: str, timeout: float = 10.0, *, despite_refusals: bool = False) -> None:
        """Returns once `mount` has had `title`. Raises ServerRefused at once if the server refuses a title, unless
        `despite_refusals` is set.
        """
        self._wait(title_on(self, mount, title), timeout, despite_refusals)

    def wait_until(self, is_so: Callable[[], object], timeout: float, what: str) -> None:
        """Returns once `is_so()` is true. Raises ServerDied, or ServerTimeout that names `what`."""
        self._wait(Awaited(is_so, what), timeout)

    def polls(self, awaited: Awaited, timeout: float, despite_refusals: bool = False) -> Iterator[None]:
        """Yields as long as it is not so, for loops that have another way to pause than `time.sleep`. Raises
        ServerDied, ServerTimeout, ServerRefused.
        """
        log = self.directory / "error.log"
        try:
            yield from polls(
                awaited,
                timeout,
                check_alive=self._check_alive,
                news=lambda: [] if despite_refusals or not awaited.kind else self._refusals.read(log),
                describe=self._describe,
            )
        finally:
            self._refusals.forget(log)

    def _wait(self, awaited: Awaited, timeout: float, despite_refusals: bool = False) -> None:
        for _ in self.polls(awaited, timeout, despite_refusals):
            time.sleep(POLL_S)

    def _describe(self) -> str:
        """Returns what the server has to say on a wait that failed."""
        try:
            there = ", ".join(self._listeners(timeout=1.0)) or "none"
        except (OSError, ServerDied, ServerTimeout) as error:
            there = f"not told ({error})"
        return f"its mounts: {there}; its log ends:\n{self._log_end()}"

    def get(self, path: str, *, admin: bool = False, timeout: float = 10.0) -> tuple[int, bytes]:
        """Returns status and body of a GET, which has the admin's credentials if `admin` is set."""
        from pycast.testing.page_client import get_page

        login, context = (self.admin_user, self.admin_password) if admin else None, None
        if self._scheme == "https":
            import ssl

            # The certificate that a test has given may be any, and none is for the address behind the door.
            is_known = self._ca_file and self._inner_host == self.host
            context = self.ssl_context() if is_known else ssl._create_unverified_context()
        try:
            return get_page(self._inner_host, self.port, path, login=login, context=context, timeout=timeout)
        except ConnectionError:
            self._check_alive()
            raise

    def _write_config(self, directory: Path) -> None:
        (directory / "received").mkdir()
        sections = self._sections
        if self._makes_certificate:
            from pycast.testing.certificates import give_certificate

            self._ca_file = give_certificate(sections, directory)
        # A test server is for this machine.
        listen = sections.setdefault("listen", [{}])
        for entry in listen:
            is_watched = self._gates.suit(entry)
            host = entry.setdefault("bind_address", INNER_HOST if is_watched else self.host)
            if "port" not in entry:  # SHOUTcast sources come to the next one
                entry["port"] = self._ports.take(
                    [host, LOOPBACK] if is_watched else [host], 2 if entry.get("shoutcast_mount") else 1
                )
            if is_watched:
                self._gates.add(entry, sections.get("tls", {}))
        if listen[0]["bind_address"] not in ("0.0.0.0", "::"):
            self._inner_host = listen[0]["bind_address"]
            self.host = LOOPBACK if self._inner_host == INNER_HOST else self._inner_host
        self._scheme = "https" if listen[0].get("tls") else "http"
        logging = sections.setdefault("logging", {})
        logging.setdefault("error_log", "-")
        for name in ("access_log", "playlist_log"):
            logging.setdefault(name, str(directory / f"{name.removesuffix('_log')}.log"))
        dump = str(directory / "received").replace("%", "%%")
        default_mount(sections).setdefault("dump_file", dump + "/{mount}")
        (directory / "pycast.toml").write_text(to_toml(sections), encoding="utf-8")

    def _run(self, *options: str) -> None:
        with open(self.directory / "error.log", "ab") as log:
            args = ("--config", str(self.config_path), *options)
            # A command of one's own, maybe a wrapper, needs a process of its own.
            if self.command == launch.PROGRAM:
                modules = CLUSTER_MODULES if "cluster" in self._sections else ()
                self._process = forked.start(*args, stderr=log, modules=modules)
            else:
                self._process = launch.start(*args, program=self.command, stderr=log)
        if self._clean_up is not None:
            self._clean_up.detach()
        self._clean_up = weakref.finalize(self, _remove, self._process, self.directory, self._ports, self._gates)
        try:
            self.ready = self._gates.told(self._wait_until_ready(self._process))
        except BaseException:
            self._clean_up()
            raise
        self.port = int(self.ready["port"])
        self.pid = self._process.pid
        me = weakref.proxy(self)  # or the server would never be given up, if it is not stopped
        self._gates.open(
            lambda mount: aired_titles(me._text("playlist.log"), mount),
            lambda mount: me.get(f"/admin/killsource?mount={quote(mount)}", admin=True),
        )

    def _is_running(self) -> bool:
        return self._clean_up is not None and self._clean_up.alive and self.exit_status is None

    def _running(self) -> launch.Process:
        if self._process is None or self._clean_up is None or not self._clean_up.alive:
            raise RuntimeError("the server has not been started, or was stopped")
        return self._process

    def _wait_until_ready(self, process: launch.Process) -> dict[str, Any]:
        try:
            ready = launch.wait_until_ready(process, START_S)
        except TimeoutError:
            raise ServerTimeout(f"the server was not ready after {START_S:g} s\n{self._log_end()}") from None
        if ready is None:
            raise self._death(process.wait())
        return ready

    def _check_alive(self) -> None:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        status = self._process.poll()
        if status is not None:
            raise self._death(status)

    def _death(self, status: int) -> ServerDied:
        return ServerDied(f"the server ended with status {status}; its log ends:\n{self._log_end()}")

    def _text(self, name: str) -> str:
        try:
            return (self.directory / name).read_text("utf-8", "replace")
        except FileNotFoundError:
            return ""

    def _log_end(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_LINES:])


def _dump_name(mount: str) -> str:
    return mount.removeprefix("/").replace("%", "%25").replace("/", "%2F")


def _remove(process: launch.Process, directory: Path, ports: Ports, gates: Gates) -> None:
    gates.close("the server was stopped")
    ports.release()
    launch.kill(process)
    shutil.rmtree(directory, ignore_errors=True)
