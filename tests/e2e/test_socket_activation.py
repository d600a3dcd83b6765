"""A server whose port systemd holds: while it restarts clients wait, and none is refused."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pycast import launch
from tests.e2e.connects import Connects
from tests.e2e.processes import listening_ports
from tests.e2e.wire import get

# What systemd does between its fork and the program: the socket becomes descriptor 3, for this process.
PASS = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


def start(sock: socket.socket, config: Path) -> launch.Process:
    program = (sys.executable, "-c", PASS, str(sock.fileno()), *launch.PROGRAM)
    process = launch.start(
        "--config", str(config), program=program, stderr=subprocess.DEVNULL, pass_fds=(sock.fileno(),)
    )
    assert launch.wait_until_ready(process, 20) is not None
    return process


@pytest.mark.parametrize("workers", [1, 2])
def test_a_restart_refuses_and_resets_nobody(workers: int, tmp_path: Path) -> None:
    config = tmp_path / "pycast.toml"
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as systemds:
        port = systemds.getsockname()[1]
        config.write_text(
            f'[server]\nworkers = {workers}\n[logging]\naccess_log = ""\n'
            f'[[listen]]\nbind_address = "127.0.0.1"\nport = {port}\n'
        )
        first = start(systemds, config)
        assert get(port, "/livez").status == 200
        clients = Connects(port, 100, 3.0)
        first.send_signal(signal.SIGTERM)
        assert first.wait(20) == 0
        launch.close_pipes(first)
        second = start(systemds, config)
        counts = clients.counts()
        assert port in listening_ports(second.pid)
        assert launch.end([second], 10)
    assert set(counts) <= {"200", "503"}
    assert counts["200"] > 100
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
