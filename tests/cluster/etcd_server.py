"""The real etcd on the loopback interface, of one member or more, which tests kill, pause and start again."""

import json
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pycast.testing.ports import Ports
from tests.e2e.processes import suspend

READY_S = 20.0

# Short elections: a test waits for them.
TUNING = ("--heartbeat-interval=50", "--election-timeout=500", "--logger=zap", "--log-level=error")


class Etcd:
    """`with Etcd(tmp_path, members=3) as etcd:`"""

    def __init__(
        self, directory: Path, members: int = 1, *, authority: Path | None = None, tls: Mapping[str, str] | None = None
    ) -> None:
        """`tls`: its certificate, signed by `authority`; clients connect by TLS then."""
        if shutil.which("etcd") is None:
            raise AssertionError("etcd is missing: apt-get install --no-install-recommends etcd-server")
        self._directory = directory
        self._held = Ports()
        ports = [self._held.take() for _ in range(2 * members)]
        self._tls = tls
        self._context = ssl.create_default_context(cafile=authority) if authority else None
        self.urls = tuple(f"{'https' if tls else 'http'}://127.0.0.1:{port}" for port in ports[:members])
        self._peers = tuple(f"http://127.0.0.1:{port}" for port in ports[members:])
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.kill()
        self._held.release()

    def start(self) -> None:
        """Starts the members that do not run, and waits until they have a leader."""
        for member in range(len(self.urls)):
            if member not in self._running:
                self._running[member] = self._start(member)
        deadline = time.monotonic() + READY_S
        while not all(_is_healthy(url, self._context) for url in self.urls):
            assert time.monotonic() < deadline, f"etcd is not ready after {READY_S:g} s"
            time.sleep(0.02)

    def kill(self, *members: int) -> None:
        """Kills members, or all."""
        for member in members or tuple(self._running):
            process = self._running.pop(member)
            process.kill()
            process.wait()

    def pause(self, *members: int) -> None:
        """Suspends members, or all: their sockets stay open and silent."""
        for member in members or tuple(self._running):
            suspend(self._running[member].pid)

    def resume(self) -> None:
        """Resumes all members."""
        for process in self._running.values():
            process.send_signal(signal.SIGCONT)

    def lose_everything(self) -> None:
        """Kills all members and starts them without data."""
        self.kill()
        for member in range(len(self.urls)):
            shutil.rmtree(self._data(member))
        self.start()

    def save(self, copy: Path) -> None:
        """Makes a backup. All members are stopped for it and started again."""
        self.kill()
        shutil.copytree(self._directory / "etcd", copy)
        self.start()

    def restore(self, copy: Path) -> None:
        """Restarts all members with the data of the backup."""
        self.kill()
        shutil.rmtree(self._directory / "etcd")
        shutil.copytree(copy, self._directory / "etcd")
        self.start()

    def _data(self, member: int) -> Path:
        return self._directory / "etcd" / str(member)

    def _start(self, member: int) -> "subprocess.Popen[bytes]":
        self._data(member).parent.mkdir(exist_ok=True)
        members = ",".join(f"m{number}={url}" for number, url in enumerate(self._peers))
        command = (
            *("etcd", "--name", f"m{member}", "--data-dir", str(self._data(member))),
            *("--listen-client-urls", self.urls[member], "--advertise-client-urls", self.urls[member]),
            *("--listen-peer-urls", self._peers[member], "--initial-advertise-peer-urls", self._peers[member]),
            *("--initial-cluster", members, *TUNING),
        )
        tls = ("--cert-file", self._tls["certificate"], "--key-file", self._tls["private_key"]) if self._tls else ()
        with (self._directory / f"etcd-{member}.log").open("ab") as log:
            return subprocess.Popen((*command, *tls), stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _is_healthy(url: str, context: ssl.SSLContext | None) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1, context=context) as answer:
            return bool(json.load(answer).get("health") == "true")
    except (OSError, ValueError):
        return False
