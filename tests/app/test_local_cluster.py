"""Tests of pycast.app.local_cluster: its ports, and that nothing is left. As a whole: tests/cli/test_cluster.py."""

import os
import socket
from contextlib import closing

import pytest

from pycast.app.local_cluster import LocalCluster, _free_ports
from pycast.app.local_node import HOST
from pycast.errors import ConfigError, ExternalError
from pycast.testing.ports import Ports


def test_without_haproxy_on_the_machine_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None)
    cluster = LocalCluster(1, 18_000, "/demo.mp3", is_balanced=True)
    try:
        with pytest.raises(ExternalError, match="apt-get install haproxy"):
            cluster.start()
        assert not any(node.pid for node in cluster.nodes)
    finally:
        cluster.stop()


def test_a_front_port_that_is_taken_is_told_before_anything_starts() -> None:
    with closing(socket.create_server((HOST, 0))) as taken:
        cluster = LocalCluster(1, taken.getsockname()[1], "/demo.mp3", is_balanced=True)
        try:
            with pytest.raises(ConfigError, match="choose another one with --port"):
                cluster.start()
            assert not any(node.pid for node in cluster.nodes)
        finally:
            cluster.stop()


def test_a_port_that_is_taken_is_left_out() -> None:
    with closing(socket.create_server((HOST, 0))) as taken:
        port = int(taken.getsockname()[1])
        ports = _free_ports(3, first=port - 1)
    assert port not in ports
    assert len(set(ports)) == 3


@pytest.mark.parametrize("is_balanced", [False, True], ids=["alone", "haproxy"])
def test_all_ports_accept_after_the_start_and_nothing_is_left_after_the_stop(is_balanced: bool) -> None:
    with Ports() as ports:
        cluster = LocalCluster(1, ports.take(row=3), "/demo.mp3", is_balanced=is_balanced)
        folder = cluster.nodes[0].folder
        try:
            cluster.start()
            for port in cluster.ports:
                socket.create_connection((HOST, port), 5).close()
        finally:
            cluster.stop()
        cluster.stop()
    assert not folder.exists()
    for node in cluster.nodes:
        with pytest.raises(ProcessLookupError):
            os.kill(node.pid, 0)
