"""`pycast.testing.Cluster`: nodes know each other's addresses, die and come back one by one, and all go at last."""

import os
import socket
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from pycast.testing import Cluster, Server, ServerDied, ServerTimeout
from tests.e2e.wire import get, source
from tests.testing.test_docs import run_pytest

MOUNT = "/live.mp3"


@pytest.fixture(scope="module")
def two() -> Iterator[Cluster]:
    """Two nodes that no test of this file kills."""
    with Cluster(2, zones=["x", "y"], mount=[{"mount_name": MOUNT, "password": "own"}]) as nodes:
        yield nodes


def settings_of(server: Server) -> dict[str, Any]:
    return tomllib.loads(server.config_path.read_text())


def test_nodes_have_names_and_numbers(two: Cluster) -> None:
    assert two["a"] is two[0] and two["b"] is two[1] and list(two) == [two["a"], two["b"]] and len(two) == 2
    assert two[-1] is two["b"]
    assert [get(server.port, "/livez").status for server in two] == [200, 200]
    with pytest.raises(KeyError):
        two["c"]


def test_each_node_is_told_who_it_is_and_where_the_others_are(two: Cluster) -> None:
    ports = {"a": two["a"].port, "b": two["b"].port}
    for name, other, zone in (("a", "b", "x"), ("b", "a", "y")):
        section = settings_of(two[name])["cluster"]
        assert (section["node"], section["zone"]) == (name, zone)
        assert section["advertise"] == f"127.0.0.1:{ports[name]}"
        assert section["peers"] == [f"127.0.0.1:{ports[other]}"]
    assert len({settings_of(server)["cluster"]["secret"] for server in two}) == 1


def test_settings_hold_for_every_node(two: Cluster) -> None:
    for server in two:
        (mount, _default) = settings_of(server)["mount"]
        assert mount == {"mount_name": MOUNT, "password": "own"}


def test_wait_for_mount_returns_when_the_nodes_serve_it(two: Cluster) -> None:
    with source(two["a"].port, MOUNT, "own"):
        two.wait_for_mount(MOUNT, on=["a"])
    with pytest.raises(ServerTimeout, match=r"/none\.mp3 on the nodes a, b"):
        two.wait_for_mount("/none.mp3", timeout=0.1)


def test_any_port_is_free_and_no_other_is_given_it(two: Cluster) -> None:
    ports = [two.any_port() for _ in range(20)]
    assert len({*ports, *(node.port for node in two)}) == 22
    with socket.create_server(("127.0.0.1", ports[0])):
        pass


def test_node_that_was_killed_comes_back_on_its_port_with_its_config() -> None:
    with Cluster(2) as nodes:
        port, pid, config = nodes["b"].port, nodes["b"].pid, nodes["b"].config_path.read_text()
        nodes.kill("b")
        with pytest.raises(ConnectionRefusedError):
            get(port, "/livez")
        assert get(nodes["a"].port, "/livez").status == 200
        nodes.restart("b")
        assert (nodes["b"].port, nodes["b"].config_path.read_text()) == (port, config)
        assert nodes["b"].pid != pid
        assert get(port, "/livez").status == 200
        assert nodes["b"].log().count("is ready at") == 2, "the log of its first life is gone"


def test_paused_node_answers_when_it_is_resumed() -> None:
    with Cluster(2) as nodes:
        nodes.pause("a")
        with pytest.raises(TimeoutError):
            nodes["a"].get("/livez", timeout=0.2)
        nodes.resume("a")
        assert nodes["a"].get("/livez")[0] == 200
        nodes.pause("a")  # and is ended all the same


def test_no_node_is_left_after_the_block() -> None:
    with Cluster(2) as nodes:
        pids, directories = [server.pid for server in nodes], [server.directory for server in nodes]
        nodes.kill("a")
    nodes.stop()
    assert not any(directory.exists() for directory in directories)
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_what_is_advertised_may_stand_before_a_node() -> None:
    asked: dict[str, str] = {}

    def advertise(name: str, address: str) -> str:
        asked[name] = address
        return f"127.0.0.1:{9 if name == 'a' else 11}"

    with Cluster(2, advertise=advertise) as nodes:
        assert asked == {name: f"127.0.0.1:{nodes[name].port}" for name in nodes.names}
        assert settings_of(nodes["a"])["cluster"]["advertise"] == "127.0.0.1:9"
        assert settings_of(nodes["b"])["cluster"]["peers"] == ["127.0.0.1:9"]


def test_node_that_cannot_start_takes_the_others_along() -> None:
    with pytest.raises(ServerDied, match="queue_size"):
        Cluster(2, queue_size="much").start()


@pytest.mark.parametrize("wrong", [{"size": 0}, {"size": 27}, {"zones": ["x"]}, {"hosts": ["127.0.0.1"]}])
def test_shape_that_cannot_be_is_told_before_anything_runs(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="node"):
        Cluster(**wrong)


def test_setting_that_is_none_is_told_before_anything_runs() -> None:
    with pytest.raises(TypeError, match="max_listenrs"):
        Cluster(max_listenrs=1)


@pytest.mark.pycast(size=1, zones=["z"], hostname="radio.example.org")
def test_fixture_is_a_running_cluster(pycast_cluster: Cluster) -> None:
    assert b"radio.example.org" in pycast_cluster[0].get("/status-json.xsl")[1]
    assert settings_of(pycast_cluster["a"])["cluster"]["zone"] == "z"


def test_report_of_a_failed_test_has_every_nodes_log(tmp_path: Any) -> None:
    file = tmp_path / "test_it.py"
    file.write_text("import pytest\n\n\n@pytest.mark.pycast(size=2)\ndef test_it(pycast_cluster):\n    assert False\n")
    done = run_pytest(file, "--strict-markers")
    assert done.returncode == 1
    assert "--- node a" in done.stdout and "--- node b" in done.stdout


def test_who_fails_beside_running_nodes_is_shown_their_logs() -> None:
    with pytest.raises(ZeroDivisionError) as caught, Cluster(2):
        _ = 1 / 0
    (note,) = caught.value.__notes__
    assert note.count("is ready at") == 2
