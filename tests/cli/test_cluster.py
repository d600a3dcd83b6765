"""`pycast cluster up`: nodes that are there, a stream that survives one of them, and nothing left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest
from click.testing import CliRunner

from pycast.cli.main import main
from pycast.testing.heard import Heard
from pycast.testing.ports import Ports
from pycast.testing.wire_heads import ServerAddress
from tests.cli.terminal import Terminal
from tests.e2e.deadline import POLL_S, until
from tests.e2e.processes import is_alive


class Up:
    """The command as a process, with its files below `folder`, and what it has printed."""

    def __init__(self, folder: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pycast", "cluster", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A setting that is there for another server holds for none of these.
            env=os.environ
            | {"PYTHONUNBUFFERED": "1", "PYCAST_AUTHENTICATION__ADMIN_PASSWORD": "another", "TMPDIR": folder},
        )
        self.text = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, pattern: str, timeout: float = 30.0) -> "re.Match[str]":
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.text)) is None:
            assert self.process.poll() is None, f"it ended: {self.text}"
            assert time.monotonic() < deadline, f"no {pattern!r} after {timeout:g} s: {self.text}"
            time.sleep(POLL_S)
        return found

    def pids(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"pid (\d+)", self.text)]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(20) == 0, self.text
        self.join()

    def join(self) -> None:
        self._reader.join(5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as pipe:
            for line in pipe:
                self.text += line.decode()


@contextmanager
def up(*arguments: str) -> Iterator[Up]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # one that is killed cannot remove its files
        command = Up(folder, *arguments)
        try:
            yield command
        finally:
            if command.process.poll() is None:
                command.process.kill()
            command.process.wait()
            command.join()


@pytest.fixture
def port() -> Iterator[int]:
    """The first of as many as three nodes, their agents and HAProxy take."""
    with Ports() as ports:
        yield ports.take(row=7)


@pytest.mark.parametrize("options", [(), ("--haproxy",)], ids=["alone", "haproxy"])
def test_listeners_hear_on_when_the_node_of_the_source_is_killed(options: tuple[str, ...], port: int) -> None:
    with up("-n", "3", "--port", str(port), *options) as command:
        pid = int(command.wait_for(r"kill -9 (\d+)")[1])
        pages = {int(pid): int(port) for port, pid in re.findall(r":(\d+)/   pid (\d+)", command.text)}
        other = next(port for process, port in pages.items() if process != pid)
        with Heard(ServerAddress("127.0.0.1", other), "/demo.mp3") as heard:
            heard.wait_for_bytes(64_000)
            os.kill(pid, signal.SIGKILL)
            command.wait_for(r"dead")
            heard.wait_for_bytes(224_000, 20.0)  # more than the other nodes had of it
        pids = command.pids()
        command.stop()
        assert len(pids) == 3
        until(lambda: not any(map(is_alive, pids)), "all nodes to be gone")
        assert "Everything has stopped." in command.text


def test_who_listens_through_the_balancer_hears_it_again_at_once_and_the_next_to_kill_is_told(port: int) -> None:
    with up("--haproxy", "--port", str(port)) as command:
        first = command.wait_for(r"on node (\w): kill -9 (\d+)")
        with Heard(ServerAddress("127.0.0.1", port), "/demo.mp3") as heard:
            heard.wait_for_bytes(64_000)
        os.kill(int(first[2]), signal.SIGKILL)
        command.wait_for(rf"on node [^{first[1]}\W]: kill -9 \d+")
        with Heard(ServerAddress("127.0.0.1", port), "/demo.mp3") as heard:
            heard.wait_for_bytes(110_000, 20.0)  # more than a burst
        command.stop()


def test_a_dead_node_comes_back_with_restart(port: int) -> None:
    with up("-n", "2", "--port", str(port), "--restart") as command:
        os.kill(int(command.wait_for(r"kill -9 (\d+)")[1]), signal.SIGKILL)
        command.wait_for(r"(?s)dead.*(a up.*b up)")
        command.stop()


def test_enter_restarts_a_dead_node_where_the_table_is_drawn_on_a_terminal(port: int) -> None:
    with Terminal("cluster", "up", "-n", "2", "--port", str(port)) as terminal:
        pid = int(terminal.wait_for(r"The source is on node \w: kill -9 (\d+)")[1])
        os.kill(pid, signal.SIGKILL)
        terminal.wait_for("Enter restarts the dead nodes")
        terminal.press("\n")
        terminal.wait_for(r"(?s)Enter restarts.*\x1b\[\d+A(?:(?!Enter|\x1b\[J).)*\x1b\[J")
        assert terminal.interrupt() == 0
    assert "Everything has stopped." in terminal.shown


def test_nothing_outlives_it_even_if_it_is_killed(port: int) -> None:
    with up("-n", "2", "--port", str(port)) as command:
        command.wait_for(r"kill -9 (\d+)")
        pids = command.pids()
        command.process.kill()
        until(lambda: not any(map(is_alive, pids)), "all nodes to be gone")


def test_a_port_that_is_taken_is_told_and_nothing_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with up("-n", "1", "--haproxy", "--port", str(port)) as command:
            assert command.process.wait(30) == 1
            command.wait_for(f"port {port}")


def test_a_mount_that_cannot_be_one_is_told_before_anything_starts() -> None:
    result = CliRunner().invoke(main, ["cluster", "up", "--mount", "radio"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert """Invalid value for --mount: this name cannot be a mount: it has to begin with "/\"""" in result.stderr
    assert "Starting" not in result.stderr
