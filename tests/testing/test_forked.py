"""A forked server is as a started one, and is gone with the process that forked it or asked for it."""

import os
import resource
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from pycast import __version__, launch
from pycast.testing import Server, forked
from pycast.testing.forked import ForkedProcess, ForkServer
from pycast.testing.server_program import ServerProgram
from tests.e2e.deadline import until

ENVIRONMENT = launch.clean_environment()
PROGRAM = ServerProgram(launch.PROGRAM, ENVIRONMENT)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    made = ForkServer(PROGRAM)
    yield made
    made.close()


@pytest.fixture
def log() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as file:
        yield file


def output(process: ForkedProcess) -> bytes:
    with process.stdout as stdout:
        return stdout.read()


def run_node(server: ForkServer, log: IO[bytes]) -> ForkedProcess:
    args = ("serve", "--port", "0", "--ready-file", "-")
    process = server.start(*args, environment=ENVIRONMENT, stderr=log)
    ready = launch.wait_until_ready(process, 20)
    assert ready is not None and ready["pid"] == process.pid
    return process


def children(server: ForkServer) -> list[int]:
    pid = server._process.pid
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def spare_of(server: ForkServer, *others: int) -> int:
    """The pid of the fork that is made in advance, when there is one: some seconds after the begin."""
    until(lambda: set(children(server)).difference(others), "a spare", 60)
    (spare,) = set(children(server)).difference(others)
    return spare


def is_there(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_it_has_its_arguments_output_and_status(server: ForkServer, log: IO[bytes]) -> None:
    process = server.start("--version", environment=ENVIRONMENT, stderr=log)
    assert output(process) == f"pycast {__version__}\n".encode()
    assert process.wait(10) == process.poll() == 0


def test_it_has_its_folder_environment_and_stderr(
    server: ForkServer, log: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.toml").write_text("[limits]\nclients = 5\n")
    environment = ENVIRONMENT | {"PYCAST_LIMITS__CLIENTS": "none"}
    process = server.start("check", "here.toml", environment=environment, stderr=log)
    output(process)
    assert process.wait(10) == 1
    log.seek(0)
    assert b"PYCAST_LIMITS__CLIENTS" in log.read()
    assert "PYCAST_LIMITS__CLIENTS" not in os.environ


def test_signals_reach_it_and_it_ends_as_they_say(server: ForkServer, log: IO[bytes]) -> None:
    killed, ended = run_node(server, log), run_node(server, log)
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0.01)
    killed.kill()
    assert killed.wait(10) == -signal.SIGKILL
    assert launch.end([killed, ended], 10) and ended.poll() == 0  # who is gone gets no signal
    assert not is_there(killed.pid) and not is_there(ended.pid)


def test_a_fork_that_is_made_in_advance_becomes_the_next_server(server: ForkServer, log: IO[bytes]) -> None:
    spare = spare_of(server)
    process = run_node(server, log)
    assert process.pid == spare
    launch.kill(process)
    assert process.poll() == -signal.SIGKILL
    killed = spare_of(server)
    kill_and_wait(killed)
    process = run_node(server, log)
    assert process.pid != killed
    assert launch.end([process], 10) and process.poll() == 0
    assert spare_of(server) not in (killed, process.pid)


def kill_and_wait(pid: int) -> None:
    """Kills another process's child, and returns once the last of its threads is gone, and so are its files."""
    ended = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGKILL)
        assert select.select([ended], [], [], 30)[0], "it still runs"
    finally:
        os.close(ended)


def test_servers_that_are_left_are_killed_with_the_process_that_asked_for_them(log: IO[bytes]) -> None:
    server = ForkServer(PROGRAM)
    process = run_node(server, log)
    spare = spare_of(server, process.pid)
    server.close()
    assert process.wait(10) == -signal.SIGKILL and not is_there(process.pid) and not is_there(spare)
    launch.close_pipes(process)
    with pytest.raises(OSError, match=r".+"):
        server.start("--version", environment=ENVIRONMENT, stderr=log)


def test_servers_whose_forking_process_was_killed_end_when_they_are_asked(log: IO[bytes]) -> None:
    server = ForkServer(PROGRAM)
    process = run_node(server, log)
    spare = spare_of(server, process.pid)
    server._process.kill()
    assert process.wait(10) == -signal.SIGKILL
    until(lambda: not is_there(process.pid) and not is_there(spare), "their end")
    launch.close_pipes(process)
    with pytest.raises(OSError, match=r".+"):
        server.start("--version", environment=ENVIRONMENT, stderr=log)
    server.close()


def test_where_a_fork_would_differ_a_process_is_started(server: ForkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.suits(PROGRAM._replace(environment=ENVIRONMENT | {"PYCAST_X": "1", "PATH": "/bin"}))
    assert not server.suits(PROGRAM._replace(environment=ENVIRONMENT | {"PYTHONMALLOC": "debug"}))
    assert not server.suits(PROGRAM._replace(command=("pycast.pyz",)))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0] - 1, limits[1]))
    try:
        assert not server.suits(PROGRAM)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert server.suits(PROGRAM)
    monkeypatch.setattr(forked, "_fork_server", server)
    with Server() as first:
        assert isinstance(first._process, ForkedProcess)
        statuses = [first.exit_status]
    assert [*statuses, first.exit_status] == [None, 0]
    monkeypatch.setenv("PYTHONMALLOC", "debug")
    with Server() as second:
        assert isinstance(second._process, subprocess.Popen)


def test_a_wrapped_command_is_no_fork() -> None:
    class Wrapped(Server):
        command = ("env", *launch.PROGRAM)

    with Wrapped() as server:
        assert isinstance(server._process, subprocess.Popen)
