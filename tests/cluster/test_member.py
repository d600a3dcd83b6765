"""A node's membership in its cluster: it joins, announces its load and state, answers pings, and leaves."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pycast.cluster import member
from pycast.cluster.link.questions import AskTail, Beat, Ping
from pycast.cluster.member import AnnouncedLoad, answers, own_host
from pycast.cluster.mesh import mesh_registry
from pycast.cluster.registry.records import NodeState
from pycast.config.load import loads
from pycast.errors import ConfigError
from tests.cluster.hosts import Host
from tests.cluster.members import Fleet, Member
from tests.conftest import WaitUntil


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    made = Fleet()
    yield made
    made.stop()


def test_nodes_that_join_see_each_other_and_not_themselves(fleet: Fleet, wait_until: WaitUntil) -> None:
    a = fleet.join("a", zone="x")
    b = fleet.join("b")
    wait_until(lambda: a.sees(b) is not None and b.sees(a) is not None, "each other")
    seen = b.sees(a)
    assert seen is not None and seen == a.member.me
    assert (seen.node, seen.zone, seen.address, seen.slots) == ("a", "x", a.address, 100)
    assert [node.node for node in a.member.others()] == ["b"]


def test_siblings_are_the_other_workers_of_one_machine(fleet: Fleet, wait_until: WaitUntil) -> None:
    a, b = fleet.join("a", machine="m"), fleet.join("b", machine="m")
    c, d = fleet.join("c", machine="other"), fleet.join("d")
    wait_until(lambda: all(len(one.member.others()) == 3 for one in (a, b, c, d)), "all of them")
    assert [node.node for node in a.member.siblings()] == ["b"]
    assert [node.node for node in b.member.siblings()] == ["a"]
    assert c.member.siblings() == () == d.member.siblings()


def test_a_changed_load_is_announced_to_the_others(
    fleet: Fleet, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "LOAD_S", 0.05)
    a, b = fleet.join("a"), fleet.join("b")
    wait_until(lambda: b.sees(a), "a to be known")
    a.load = AnnouncedLoad(slots=100, used=50, listeners=40, weight=60)
    wait_until(lambda: (seen := b.sees(a)) is not None and seen.weight == 60, "the load")
    seen = b.sees(a)
    assert seen is not None and (seen.used, seen.listeners) == (50, 40)


def test_it_is_announced_that_a_node_drains_and_that_it_serves_again(fleet: Fleet, wait_until: WaitUntil) -> None:
    a, b = fleet.join("a"), fleet.join("b")
    wait_until(lambda: b.sees(a), "a to be known")
    for is_draining, state in ((True, NodeState.DRAINING), (False, NodeState.UP)):
        a.member.set_draining(is_draining)
        wait_until(lambda state=state: (seen := b.sees(a)) is not None and seen.state is state, state)


def test_f_18_a_name_that_a_living_node_has_is_an_error_of_the_configuration(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mesh_registry, "DUPLICATE_PATIENCE_S", 0.2)
    fleet.join("a")
    with pytest.raises(ConfigError, match="a name of its own"):
        fleet.join("a")


def test_a_node_that_stops_is_gone_at_once_with_its_lines(fleet: Fleet, wait_until: WaitUntil) -> None:
    a, b = fleet.join("a"), fleet.join("b")
    wait_until(lambda: a.sees(b) and b.sees(a), "each other")
    beats: list[Beat] = []
    b.answers.on(Beat, beats.append)
    wait_until(lambda: beats, "the line to be past its hello")
    a.close_the_port()  # as a server does first
    a.member.stop()
    wait_until(lambda: b.registry.state.peer("a") is None, "a to be gone")
    assert not a.member._links


def test_a_node_that_has_not_joined_can_stop() -> None:
    alone = Member("a")
    alone.member.set_draining(True)
    alone.member.stop()
    alone.stop()


def test_a_ping_is_answered_only_by_the_process_in_the_record(fleet: Fleet, wait_until: WaitUntil) -> None:
    a, b = fleet.join("a"), fleet.join("b")
    wait_until(lambda: a.sees(b), "b to be known")
    assert answers(a.peers, b.member.me)
    assert not answers(a.peers, replace(b.member.me, boot="former"))
    b.answers.on(Ping, lambda question: b.mirrors.tail(AskTail("/x")))  # no proper answer
    assert not answers(a.peers, b.member.me)
    closed = Host()
    closed.close_the_port()
    assert not answers(a.peers, replace(b.member.me, address=closed.address))
    closed.stop()


@pytest.mark.parametrize(
    ("listen", "peers", "host"),
    [("192.0.2.7", "[]", "192.0.2.7"), ("0.0.0.0", '["127.0.0.1:9"]', "127.0.0.1")],
    ids=["as it is bound", "as it reaches the others"],
)
def test_a_node_announces_the_address_on_which_it_listens(listen: str, peers: str, host: str) -> None:
    config = loads(
        f'[[listen]]\nbind_address = "{listen}"\n[cluster]\nsecret = "long enough"\npeers = {peers}', {}, "t"
    )
    assert own_host(config) == host
