"""Tests of pycast.app.local_cluster: its ports, and that nothing is left. As a whole: tests/cli/test_cluster.py."""

import os
import socket
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from pycast.app.local_cluster import LocalCluster
from pycast.app.local_node import HOST
from pycast.errors import ConfigError, ExternalError
from pycast.testing.ports import Ports


def test_without_haproxy_on_the_machine_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None)
    with Ports() as ports:
        cluster = LocalCluster(1, ports.take(row=2), "/demo.mp3", is_balanced=True)
        try:
            with pytest.raises(ExternalError, match="apt-get install haproxy"):
                cluster.start()
            assert not any(node.pid for node in cluster.nodes)
        finally:
            cluster.stop()


@pytest.mark.parametrize("is_balanced", [False, True], ids=["alone", "haproxy"])
@pytest.mark.parametrize("position", [0, 1])
def test_a_port_that_is_taken_is_told_before_anything_starts(
    position: int, is_balanced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Ports() as ports:
        first = ports.take(row=3)
        with (
            closing(socket.create_server((HOST, first + position))),
            pytest.raises(ConfigError, match=f"port {first + position}: .*choose another one with --port") as caught,
        ):
            LocalCluster(2, first, "/demo.mp3", is_balanced=is_balanced)
    assert f"from {first} to {first + 1 + is_balanced}" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_nodes_get_the_ports_that_were_asked_for_and_agents_any_others() -> None:
    with Ports() as ports:
        first = ports.take(row=3)
        cluster = LocalCluster(2, first, "/demo.mp3", is_balanced=True)
        cluster.stop()
    assert [node.port for node in cluster.nodes] == [first + 1, first + 2]
    assert not {node.agent_port for node in cluster.nodes} & {first, first + 1, first + 2}


def test_no_other_program_is_given_an_agents_port_before_its_node_has_it() -> None:
    with Ports() as ports:
        cluster = LocalCluster(1, ports.take(row=2), "/demo.mp3", is_balanced=True)
        port = cluster.nodes[0].agent_port
        with closing(socket.socket()) as other, pytest.raises(OSError, match="Address already in use"):
            other.bind((HOST, port))
        cluster.stop()
        socket.create_server((HOST, port)).close()


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
