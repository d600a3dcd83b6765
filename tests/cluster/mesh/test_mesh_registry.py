"""The mesh over real connections on loopback: the promises of every registry, and its lines."""

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from pycast.cluster.mesh import mesh_registry
from pycast.cluster.mesh.mesh_registry import MeshRegistry
from pycast.cluster.mesh.protocol import DEAD_S
from pycast.cluster.registry.records import NodeRecord
from pycast.cluster.registry.registry import DuplicateNode, Held, Registry
from pycast.testing.ports import Ports
from tests.cluster import registry_conformance as conformance
from tests.cluster.hosts import Host, dead_port
from tests.cluster.registry_conformance import acquainted, claimed, knows, wait_until


class MeshFleet:
    """Nodes of one mesh in this process. Each new one is configured with the addresses of all before."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.registries: dict[Registry, Host] = {}

    def node(self, name: str) -> NodeRecord:
        return NodeRecord(name, f"{name}1", self._host(name).address, slots=1000)

    def make(self, name: str, boot: str = "1", secret: str = "secret") -> MeshRegistry:
        host = self._host(name)
        others = tuple(other.address for other in self.hosts.values() if other is not host)
        host.configure(peers=others, secret=secret)
        registry = host.mesh()
        self.registries[registry] = host
        host.is_node(NodeRecord(name, f"{name}{boot}", host.address, slots=1000))
        registry.start(host.own.now)
        return registry

    def start_twin(self, name: str) -> None:
        twin = Host()
        self.hosts[f"twin of {name}"] = twin
        twin.configure(peers=(self.hosts[name].address,))
        registry = twin.mesh()
        twin.is_node(NodeRecord(name, f"{name}2", twin.address))
        registry.start(twin.own.now)

    def vanish(self, registry: Registry) -> None:
        host = self.registries[registry]
        self.hosts = {name: one for name, one in self.hosts.items() if one is not host}
        host.stop()

    def stop(self) -> None:
        for host in self.hosts.values():
            host.stop()

    def _host(self, name: str) -> Host:
        if name not in self.hosts:
            self.hosts[name] = Host()
        return self.hosts[name]


@pytest.fixture
def fleet() -> Iterator[MeshFleet]:
    made = MeshFleet()
    yield made
    made.stop()


@pytest.mark.parametrize("promise", conformance.PROMISES, ids=lambda one: one.__name__)
def test_it_keeps_the_promises_of_every_registry(fleet: MeshFleet, promise: object) -> None:
    assert callable(promise)
    promise(fleet)


def test_a_node_that_is_configured_with_one_finds_all(fleet: MeshFleet) -> None:
    first = fleet.make("a")
    rest = [fleet.make(name) for name in "bcd"]
    acquainted(first, *rest)


def test_a_node_that_joins_knows_all_mounts_when_it_has_started(fleet: MeshFleet) -> None:
    a = fleet.make("a")
    epoch = claimed(fleet, a, "a")
    b = fleet.make("b")
    origin = b.state.origin(conformance.MOUNT)
    assert origin is not None and origin.epoch == epoch


def test_f_07_an_unknown_owner_does_not_lose_its_mount_to_the_next_try(fleet: MeshFleet) -> None:
    a, b, c = (fleet.make(name) for name in "abc")
    acquainted(a, b, c)
    epoch = claimed(fleet, b, "b")
    for registry in (a, c):
        knows(registry, epoch)
    a.state.remove_origin(conformance.MOUNT, epoch)
    answer = a.claim(conformance.offer(fleet, "a"), epoch)
    assert isinstance(answer, Held) and answer.origin is not None and answer.origin.node == "b"


def test_a_line_that_breaks_is_opened_again_and_nothing_is_missed(fleet: MeshFleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    for host in fleet.hosts.values():
        host.hang_up()
    epoch = claimed(fleet, a, "a")
    knows(b, epoch)
    acquainted(a, b)


def test_a_node_that_comes_back_is_dialled_at_once(fleet: MeshFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would not receive any change for seconds after its start."""
    monkeypatch.setattr(mesh_registry, "FIRST_RETRY_S", 60.0)
    with Ports() as ports:
        port = ports.take()
        a = join(fleet, "a", peers=(f"127.0.0.1:{port}",))
        wait_until(lambda: a._troubles, "a to find no node at the port")
        fleet.hosts["b"] = Host(port=port)
        b = fleet.make("b")
        acquainted(a, b)
        knows(b, claimed(fleet, a, "a"))


def test_a_node_that_is_dead_gets_a_new_line(fleet: MeshFleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    taken = len(fleet.hosts["b"].links)
    a._started_mesh().tick(time.monotonic() + DEAD_S)
    assert not a.state.is_up("b")
    wait_until(lambda: len(fleet.hosts["b"].links) > taken and not a._troubles, "a new line", 1.0)
    acquainted(a, b)


def test_a_stop_tells_all_nodes_although_some_do_not_answer(fleet: MeshFleet) -> None:
    b = fleet.make("b")
    with dead_port() as one, dead_port() as two, dead_port() as three:
        dead = tuple(f"127.0.0.1:{port}" for port in (one, two, three))
        a = join(fleet, "a", peers=(*dead, fleet.hosts["b"].address))
        acquainted(a, b)
        begun = time.monotonic()
        a.stop()
        assert time.monotonic() - begun < 2 * mesh_registry.GOODBYE_S
        wait_until(lambda: b.state.peer("a") is None, "the goodbye", 1.0)


def test_what_was_wrong_with_a_node_that_is_gone_is_forgotten(fleet: MeshFleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    address = fleet.hosts["b"].address
    fleet.vanish(b)
    wait_until(lambda: a._troubles, "the end of the line")
    a.state.remove_node("b")
    wait_until(lambda: address not in a._lines, "the end of the tries")
    assert not a._troubles


def test_a_problem_is_logged_once(fleet: MeshFleet, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pycast.cluster.mesh.mesh_registry")
    fleet.make("a")
    fleet.make("b", secret="another")
    wait_until(lambda: "cluster.secret the same there?" in caplog.text, "the reason")
    gevent.sleep(0.5)  # some tries later
    lines = [record for record in caplog.records if "cluster.secret" in record.getMessage()]
    assert len(lines) == len({record.getMessage() for record in lines})


def test_a_duplicate_is_refused_while_the_first_process_lives_f_18(fleet: MeshFleet) -> None:
    fleet.make("a")
    with pytest.raises(DuplicateNode, match="'a'"):
        fleet.start_twin("a")


def test_each_node_that_knows_of_a_duplicate_is_told_of_once(
    fleet: MeshFleet, caplog: pytest.LogCaptureFixture
) -> None:
    """As when a process that was suspended wakes up, and another one has taken its place."""
    registry = fleet.make("a")
    for address in ("x:1", "y:1", "x:1", "y:1"):  # each is dialled every second
        registry._warn_duplicate(address)
    assert caplog.text.count("another node has this node's name") == 2


def join(fleet: MeshFleet, name: str, boot: str = "1", **settings: object) -> MeshRegistry:
    """Starts a node that finds the others in another way than by all their addresses."""
    host = fleet.hosts[name] = Host()
    host.configure(**settings)
    registry = host.mesh()
    fleet.registries[registry] = host
    host.is_node(replace(fleet.node(name), boot=f"{name}{boot}"))
    registry.start(host.own.now)
    return registry


def test_one_node_that_runs_is_enough_to_know_them_all(fleet: MeshFleet) -> None:
    first = fleet.make("a")
    rest = [join(fleet, name, peers=(fleet.hosts["a"].address,)) for name in "bcd"]
    acquainted(first, *rest)


def test_the_addresses_of_a_name_are_nodes(fleet: MeshFleet) -> None:
    first = fleet.make("a")
    acquainted(first, join(fleet, "b", dns=f"localhost:{fleet.hosts['a'].address.rpartition(':')[2]}"))


def test_a_node_finds_the_nodes_in_its_state_file_again(fleet: MeshFleet, tmp_path: Path) -> None:
    a, c = fleet.make("a"), fleet.make("c")
    addresses = tuple(fleet.hosts[name].address for name in "ac")
    b = join(fleet, "b", peers=addresses, state_file=str(tmp_path / "b.json"))
    acquainted(a, b, c)
    epoch = claimed(fleet, a, "a")
    knows(b, epoch)
    b.stop()
    fleet.vanish(b)
    fleet.vanish(c)
    again = join(fleet, "b", boot="2", state_file=str(tmp_path / "b.json"))
    knows(again, epoch)
    wait_until(lambda: {one.node for one in again.state.up_nodes()} == {"a", "b"}, "the one that runs")
    wait_until(lambda: not again.state.is_up("c"), "c to be down")
    acquainted(a, again)


def test_a_superseded_owner_is_notified_although_the_winner_is_gone(fleet: MeshFleet) -> None:
    a, b, c = (fleet.make(name) for name in "abc")
    acquainted(a, b, c)
    first = claimed(fleet, a, "a")
    knows(c, first)
    higher = claimed(fleet, c, "c", over=first)
    knows(b, higher)
    fleet.vanish(c)
    # A process that was restarted and knows nothing of it.
    fleet.vanish(a)
    wait_until(lambda: len(b.state.up_nodes()) == 1, "both to go")
    a = fleet.make("a", boot="2")
    origin = replace(conformance.offer(fleet, "a"), boot="a2", epoch=first)
    a.state.put_origin(origin)
    wait_until(lambda: a.state.highest(conformance.MOUNT) == higher, "the higher epoch")
    assert a.state.origin(conformance.MOUNT) is None
