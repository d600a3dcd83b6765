"""Tests of pycast.app.local_node: a node's file, its process, and what is said when it cannot start."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pycast import launch
from pycast.app.local_node import HOST, LocalNode
from pycast.config.load import load
from pycast.errors import ConfigError, ExternalError
from pycast.testing.ports import Ports
from tests.e2e.processes import suspend


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LocalNode]:
    with Ports() as ports:
        one = LocalNode("a", ports.take(), ports.take(), tmp_path)
        yield one
        if one.process is not None:
            launch.kill(one.process)


def test_its_file_is_a_right_configuration_that_nobody_else_can_read(node: LocalNode) -> None:
    node.write_config([18_001, 18_002], "password", "secret")
    (path,) = node.folder.iterdir()
    assert path.stat().st_mode & 0o077 == 0
    config = load(path, {})
    assert (config.listen[0].port, config.balancer.agent_port) == (node.port, node.agent_port)
    assert config.cluster.peers == (f"{HOST}:18001", f"{HOST}:18002")
    assert config.authentication.admin_password == "password"


def test_it_accepts_once_it_is_ready_and_can_be_started_again(node: LocalNode) -> None:
    node.write_config([], "password", "secret")
    assert (node.pid, node.is_running) == (0, False)
    pids = []
    for _ in range(2):
        node.start()
        node.wait_until_ready(20)
        socket.create_connection((HOST, node.port), 5).close()
        assert node.is_running
        pids.append(node.pid)
        os.kill(node.pid, signal.SIGKILL)
        assert node.process is not None
        node.process.wait()
        assert not node.is_running
    assert pids[0] != pids[1]


def test_one_that_cannot_start_says_why(node: LocalNode) -> None:
    with closing(socket.create_server((HOST, 0))) as taken:
        node.port = taken.getsockname()[1]
        node.write_config([], "password", "secret")
        node.start()
        with pytest.raises(ConfigError, match=rf"port {node.port}: node a did not start: .*Address already in use"):
            node.wait_until_ready(20)


def test_one_that_is_late_is_not_waited_for(node: LocalNode) -> None:
    node.write_config([], "password", "secret")
    node.start()
    assert node.process is not None
    suspend(node.process.pid)
    with pytest.raises(ExternalError, match=rf"nothing answers on port {node.port} after 0\.1 s"):
        node.wait_until_ready(0.1)


def test_one_that_ends_without_a_word_is_told_by_how_it_ended(node: LocalNode) -> None:
    node.write_config([], "password", "secret")
    node.start()
    assert node.process is not None
    node.process.kill()
    with pytest.raises(ConfigError, match="node a did not start: SIGKILL"):
        node.wait_until_ready(20)
