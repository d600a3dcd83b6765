"""The messages of `pycast serve` to systemd: ready once it listens, reloading, stopping, and a watchdog while its loop
runs.
"""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pycast import launch
from tests.e2e.processes import go_on, suspend

MESSAGE_S = 10.0
WATCHDOG_S = 0.5


class Manager:
    """systemd's end of the socket, and the node that it has started."""

    def __init__(self, folder: Path) -> None:
        address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        settings = folder / "pycast.toml"
        settings.write_text('[[listen]]\nbind_address = "127.0.0.1"\nport = 0\n')
        told = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6))}
        environment = launch.clean_environment() | told
        self.stderr = folder / "stderr"
        with self.stderr.open("wb") as file:
            self.node = launch.start("--config", str(settings), environment=environment, stderr=file)

    def wait_for(self, begins_with: str) -> str:
        """Returns the next message that begins with `begins_with`."""
        deadline = time.monotonic() + MESSAGE_S
        while True:
            self._socket.settimeout(max(0.01, deadline - time.monotonic()))
            message = self._socket.recv(4096).decode()
            if message.startswith(begins_with):
                return message

    def gets_nothing(self, seconds: float) -> bool:
        self._socket.settimeout(0)
        try:
            while True:
                self._socket.recv(4096)
        except BlockingIOError:
            self._socket.settimeout(seconds)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        launch.kill(self.node)
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with closing(Manager(tmp_path)) as one:
        yield one


def test_systemd_is_notified_of_the_start_a_reload_and_the_stop(manager: Manager) -> None:
    port = int(manager.wait_for("READY=1\nSTATUS=listening on").split()[-1])
    with socket.create_connection(("127.0.0.1", port), timeout=MESSAGE_S):
        pass
    manager.node.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    manager.node.terminate()
    manager.wait_for("STOPPING=1")
    assert manager.node.wait(MESSAGE_S) == 0


def test_watchdog_messages_stop_while_the_node_stands_still(manager: Manager) -> None:
    manager.wait_for("READY=1")
    manager.wait_for("WATCHDOG=1")
    suspend(manager.node.pid)
    assert manager.gets_nothing(2 * WATCHDOG_S)
    go_on(manager.node.pid)
    manager.wait_for("WATCHDOG=1")


def test_a_node_that_the_watchdog_aborts_says_where_it_stood(manager: Manager) -> None:
    manager.wait_for("READY=1")
    manager.node.send_signal(signal.SIGABRT)
    assert manager.node.wait(MESSAGE_S) == -signal.SIGABRT
    said = manager.stderr.read_text()
    assert "Fatal Python error: Aborted" in said
    assert "pycast/app/node.py" in said or "gevent" in said
