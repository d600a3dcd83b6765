"""Hosts in namespaces: they reach each other, vanish when their link is down, and leave nothing behind."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pycast.testing import Cluster
from tests.cluster_e2e.netns import Host, Network, NoNamespaces
from tests.cluster_e2e.remote import ROOT
from tests.e2e.wire import FRAME_BYTES, Wire, basic, frames

DEADLINE_S = 5.0
SILENT_S = 0.5


@pytest.fixture
def net() -> Iterator[Network]:
    with Network("a", "b", "clients") as network:
        yield network


def connected(one: Host, other: Host) -> tuple[socket.socket, socket.socket]:
    """Returns both ends of a connection from `one` to `other`."""
    with other.inside():
        listening = socket.create_server((other.address, 0))
    with listening:
        listening.settimeout(DEADLINE_S)
        with one.inside():
            near = socket.create_connection(listening.getsockname(), DEADLINE_S)
        far, _ = listening.accept()
    far.settimeout(DEADLINE_S)
    return near, far


def test_link_that_is_down_loses_nothing_of_a_connection_that_outlives_it(net: Network) -> None:
    near, far = connected(net["a"], net["b"])
    with near, far:
        net["b"].link_down()
        near.sendall(b"late")
        far.settimeout(SILENT_S)
        with pytest.raises(TimeoutError):
            far.recv(4)
        net["b"].link_up()
        far.settimeout(DEADLINE_S)
        assert far.recv(4) == b"late"


def test_link_of_one_host_does_not_touch_the_others(net: Network) -> None:
    near, far = connected(net["a"], net["clients"])
    with near, far:
        net["b"].link_down()
        near.sendall(b"now")
        assert far.recv(3) == b"now"


def test_host_whose_link_is_down_still_reaches_itself(net: Network) -> None:
    net["a"].link_down()
    near, far = connected(net["a"], net["a"])
    with near, far:
        near.sendall(b"here")
        assert far.recv(4) == b"here"


def test_only_the_calling_thread_is_on_the_host_and_it_comes_back(net: Network) -> None:
    here = "/proc/thread-self/ns/net"
    requested_mount = os.readlink(here)
    with ThreadPoolExecutor(1) as other:
        other.submit(os.getpid).result()  # its thread was made outside
        with net["a"].inside():
            assert os.readlink(here) != requested_mount
            assert other.submit(os.readlink, here).result() == requested_mount
    assert os.readlink(here) == requested_mount


def test_two_networks_do_not_meet(net: Network) -> None:
    with Network("a", "b") as other, net["b"].inside(), socket.create_server((net["b"].address, 8000)):
        assert other["b"].address == net["b"].address
        with other["a"].inside(), pytest.raises(ConnectionRefusedError):
            socket.create_connection((other["b"].address, 8000), DEADLINE_S)


def test_nothing_is_left_after_the_block() -> None:
    with Network("a") as network:
        stem = network._stem
        assert {path.name for path in Path("/run/netns").glob(f"{stem}*")} == {f"{stem}-hub", f"{stem}-a"}
    assert not list(Path("/run/netns").glob(f"{stem}*"))
    network.close()


def test_namespaces_of_a_killed_process_are_removed_by_the_next_network() -> None:
    script = (
        "import os; from tests.cluster_e2e.netns import Network; net = Network('a'); os.write(1, net._stem.encode())"
    )
    script += "; os._exit(1)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    stem = done.stdout
    assert Path(f"/run/netns/{stem}-a").exists()
    with Network():
        assert not list(Path("/run/netns").glob(f"{stem}*"))


def test_error_of_a_kernel_that_refuses_names_what_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "ip"
    program.write_text("#!/bin/sh\necho 'mount --make-shared /run/netns failed: Operation not permitted' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NoNamespaces, match=r"Operation not permitted.*CAP_SYS_ADMIN"):
        Network("a")


def test_listeners_bytes_stop_with_the_link_and_go_on_with_it(net: Network) -> None:
    host = net["a"].address
    with net.server("a", {"listen": [{"bind_address": host}]}) as server, net["a"].inside():
        head = f"SOURCE /live.mp3 HTTP/1.0\r\n{basic('source', server.source_password)}Content-Type: audio/mpeg\r\n\r\n"
        with Wire(server.port, host) as feed:
            feed.send(head).read_to(b"\r\n\r\n")
            feed.send(frames(0, 10))
            with net["clients"].inside():
                listener = Wire(server.port, host)
            with listener:
                listener.send("GET /live.mp3 HTTP/1.0\r\n\r\n").read_head()
                assert listener.read(10 * FRAME_BYTES) == frames(0, 10)
                net["a"].link_down()
                feed.send(frames(10, 10))  # on the host itself
                server.wait_until(lambda: server.received("/live.mp3") == frames(0, 20), DEADLINE_S, "the frames")
                with pytest.raises(AssertionError, match="in time"):
                    listener.read(1, SILENT_S)
                net["a"].link_up()
                assert listener.read(10 * FRAME_BYTES) == frames(10, 10)


def test_nodes_of_a_cluster_run_on_hosts_and_are_asked_there(net: Network) -> None:
    with Cluster(2, hosts=net.addresses("ab"), build=net.server) as cluster:
        net["a"].link_down()
        assert [server.get("/livez")[0] for server in cluster] == [200, 200]
        with net["clients"].inside():
            socket.create_connection((net["b"].address, cluster["b"].port), DEADLINE_S).close()
            began = time.monotonic()
            with pytest.raises(OSError):
                socket.create_connection((net["a"].address, cluster["a"].port), SILENT_S)
            assert time.monotonic() - began < DEADLINE_S
        cluster.restart("b")
        assert cluster["b"].url == f"http://{net['b'].address}:{cluster['b'].port}"
