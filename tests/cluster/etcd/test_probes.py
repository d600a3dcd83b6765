"""Nodes without a key are asked again and again until it is clear whether they are alive.

What follows for the cluster's state is in test_cache.py.
"""

import time
from collections.abc import Callable, Iterator

import gevent.event
import pytest

from pycast.cluster.etcd import probes
from pycast.cluster.etcd.probes import LivenessProbes
from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.records import NodeRecord
from pycast.net.group import Group

A = NodeRecord("a", "a1", "a.example:8000")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "PROBE_EVERY_S", 0.01)
    monkeypatch.setattr(probes, "PROBE_S", 0.05)


@pytest.fixture
def group() -> Iterator[Group]:
    one = Group()
    yield one
    one.kill()


def probes_of(group: Group, answers: Callable[[NodeRecord], bool]) -> tuple[ClusterState, LivenessProbes]:
    state = ClusterState()
    state.put_node(A)
    return state, LivenessProbes(state, group, answers, time.monotonic)


def test_a_node_without_a_key_is_removed_with_the_first_probe_that_fails(group: Group) -> None:
    answers = iter([True, True, False])
    state, probes = probes_of(group, lambda node: next(answers))
    probes.on_node_missing("a")
    group.join(5)
    assert state.peer("a") is None and next(answers, None) is None


def test_a_node_that_does_not_answer_in_time_is_removed(group: Group) -> None:
    state, probes = probes_of(group, lambda node: gevent.event.Event().wait(10))
    probes.on_node_missing("a")
    group.join(5)
    assert state.peer("a") is None


def test_a_node_is_asked_by_one_greenlet_until_its_key_is_back(group: Group) -> None:
    state, probes = probes_of(group, lambda node: True)
    probes.on_node_missing("a")
    probes.on_node_missing("a")
    probes.probe("a")
    assert len(group) == 1
    gevent.sleep(0)
    assert probes.on_node_present("a")
    group.join(5)
    assert len(group) == 0 and state.is_up("a")


def test_a_key_that_comes_back_during_a_probe_wins(group: Group) -> None:
    asked = gevent.event.Event()

    def answer(node: NodeRecord) -> bool:
        asked.set()
        gevent.sleep(0.02)
        return False

    state, probes = probes_of(group, answer)
    probes.on_node_missing("a")
    assert asked.wait(5)
    probes.on_node_present("a")
    group.join(5)
    assert state.is_up("a")


def test_while_the_registry_does_not_answer_a_silent_node_is_suspect_and_may_come_back(
    group: Group, wait_until: Callable[..., None]
) -> None:
    alive = False
    state, probes = probes_of(group, lambda node: alive)
    probes.probe("a")
    wait_until(lambda: state.peers[0].status is Status.SUSPECT, "the node to be suspect")
    alive = True
    wait_until(lambda: state.is_up("a"), "the node to be up")
