"""Tests of pycast.app.local_cluster: what it needs of the machine. As a whole: tests/cli/test_cluster.py."""

import socket
from contextlib import closing

import pytest

from pycast.app.local_cluster import HOST, LocalCluster, _free_ports, _to_next_frame
from pycast.demo_stream import demo_mp3
from pycast.errors import ExternalError


def test_without_haproxy_on_the_machine_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program, path=None: None)
    cluster = LocalCluster(1, 18_000, "/demo.mp3", is_balanced=True)
    try:
        with pytest.raises(ExternalError, match="apt-get install haproxy"):
            cluster.start()
    finally:
        cluster.stop()


@pytest.mark.parametrize("at", [0, 1, 416, 100_000, len(demo_mp3()) - 1])
def test_its_encoder_begins_with_a_whole_frame_wherever_it_is_in_the_tune(at: int) -> None:
    tune = demo_mp3()
    begin = at + _to_next_frame(tune, at)
    assert at <= begin <= len(tune)
    assert (tune + tune)[begin : begin + 2] == b"\xff\xfb"


def test_a_port_that_is_taken_is_left_out() -> None:
    with closing(socket.create_server((HOST, 0))) as taken:
        port = int(taken.getsockname()[1])
        ports = _free_ports(3, first=port - 1)
    assert port not in ports
    assert len(set(ports)) == 3
