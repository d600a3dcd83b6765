"""The simulated cluster: the same seed gives the same figures, and its books are right."""

from xml.etree import ElementTree

import pytest

from benchmarks.sim_etcd import EtcdNetwork
from benchmarks.sim_load import Site
from benchmarks.sim_mesh import MeshNetwork
from benchmarks.sim_plot import draw


def history(seed: int) -> list[tuple[int, int, bool]]:
    """What the nodes of a mesh have said, once a second, through a start, a claim and a death."""
    network = MeshNetwork(6, seed)
    network.start_all(0.5)
    seen = []
    for second in range(10):
        if second == 2:
            network.claim("/live.mp3", network.observers[0])
        if second == 3:
            network.mute([network.observers[5].record.node])
        network.run(1.0)
        nodes = network.observers
        seen.append((sum(n.sent for n in nodes), sum(n.sent_bytes for n in nodes), network.has_converged))
    return seen


def agrees(network: MeshNetwork | EtcdNetwork) -> bool:
    """Whether all tables say what is so, now."""
    return network.has_converged


def test_one_seed_has_one_outcome() -> None:
    assert history(1) == history(1)
    assert history(1) != history(2)


def test_a_mesh_agrees_on_a_mount_at_once_and_on_a_silent_node_after_five_seconds() -> None:
    have_agreed = [one for _, _, one in history(1)]
    assert all(have_agreed[:3]), "the node is silent from the fourth second on"
    assert not any(have_agreed[3:7]) and all(have_agreed[8:])


def test_a_crash_is_known_at_once_and_its_mounts_are_nobodys() -> None:
    network = MeshNetwork(6, 1)
    network.start_all(0.5)
    network.run(2.0)
    network.claim("/live.mp3", network.observers[1])
    network.run(0.5)
    assert agrees(network) and list(network.truth) == ["/live.mp3"]
    network.crash([network.observers[1].record.node])
    network.run(0.2)
    assert agrees(network) and not network.truth


def test_nodes_with_etcd_agree_and_forget_who_is_dead_when_its_lease_is_over() -> None:
    network = EtcdNetwork(6, 1)
    network.start_all(0.5)
    network.run(1.0)
    names = list(network.nodes)
    network.claim("/live.mp3", names[0])
    network.run(0.1)
    assert agrees(network)
    network.die([names[0]])
    network.run(5.0)
    assert not agrees(network)
    network.run(6.0)
    assert agrees(network)


def test_a_balancer_deals_evenly_and_nobody_is_lost() -> None:
    site = Site(9, 90_000, 1)
    outcome = site.lose(site.nodes[:1])
    counts = [node.count for node in site.nodes[1:]]
    assert outcome.moved == 10_000 and outcome.refused == 0
    assert sum(counts) >= 89_990 and max(counts) - min(counts) < 200


def test_who_is_refused_comes_back_when_there_is_room() -> None:
    site = Site(6, 6_000, 1)
    outcome = site.lose(site.nodes[:3])  # half of the nodes have three quarters of the room that is needed
    assert outcome.worst == 1.0
    assert outcome.refused > 0 and site.missing == 1_500


def test_a_rolling_restart_keeps_everybody() -> None:
    site = Site(6, 6_000, 1)
    outcome = site.roll(1)
    assert outcome.refused == 0 and outcome.worst < 0.9
    assert site.missing == 0


@pytest.mark.parametrize("sizes", [(10,), (10, 100)])
def test_the_plot_is_xml(sizes: tuple[int, ...]) -> None:
    points = [(name, size, 9.0 * size, 0.1) for name in ("mesh", "etcd") for size in sizes]
    times = [(name, size, "a node dies", 0.5) for name in ("mesh", "etcd") for size in sizes]
    assert ElementTree.fromstring(draw(points, times)).tag.endswith("svg")
