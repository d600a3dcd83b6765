"""Claims in a mesh over a thousand seeded schedules: one holder for each epoch, and in the end one owner.

A schedule is a small network, its faults and its claims, all drawn from the seed that the test's message names. The
network itself raises if an epoch has two owners, or if a node accepts what is lower than what it had.
"""

from itertools import pairwise
from random import Random

import pytest

from pycast.cluster.mesh.protocol import DEAD_S
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.registry import Claimed, Held
from tests.cluster.mesh_network import Network

MOUNT = "/live.mp3"
SEEDS = range(0, 1000, 100)  # each names the first of a hundred

# After the last fault: for lines to be dialled anew, for a beat, and for the hello that it may ask for.
QUIET_S = 4.0


def race(network: Network, rng: Random, over: Epoch) -> Epoch:
    """Has some nodes claim at once. Returns the winner's epoch."""
    claims = []
    for name in rng.sample(network.names, rng.randint(2, network.size)):
        network.at(rng.random() * 0.03, lambda name=name: claims.append(network.claim(name, MOUNT, over)))  # type: ignore[misc]
    network.run(2.0)
    answers = [claim.answer for claim in claims]
    won = [answer for answer in answers if isinstance(answer, Claimed)]
    assert len(won) == 1, answers
    assert all(answer is won[0] or isinstance(answer, Held) for answer in answers)
    return won[0].epoch


def disturb(network: Network, rng: Random) -> None:
    """Makes one random event happen, and some time pass."""
    name = rng.choice(network.names)
    what = rng.choices(
        ("claim", "late claim", "release", "crash", "restart", "cut", "heal"), (30, 15, 5, 15, 15, 12, 8)
    )[0]
    node = network.nodes[name]
    if what == "claim" and node.is_alive:
        network.claim(name, MOUNT)  # over the highest that it knows: it takes the mount from an owner
    elif what == "late claim" and node.is_alive:
        network.claim(name, MOUNT, NO_EPOCH)
    elif what == "release" and MOUNT in node.owned:
        node.release(MOUNT)
    elif what == "crash" and node.is_alive:
        network.crash(name)
    elif what == "restart":
        for dead in [one for one in network.nodes.values() if not one.is_alive]:
            network.start(dead.name)
    elif what == "cut":
        part = set(rng.sample(network.names, rng.randint(1, network.size - 1)))
        network.partition(part, breaks=rng.random() < 0.5)
    elif what == "heal":
        network.heal()
    network.run(rng.choice((0.0, 0.01, 0.05, 0.3, 1.0)))


def quiet_down(network: Network) -> None:
    """Ends all faults, and runs until all messages have arrived."""
    network.heal()
    network.loss, network.delay = 0.0, 0.01
    network.run(QUIET_S)


@pytest.mark.parametrize("first", SEEDS)
def test_f_08_in_a_whole_network_each_race_has_exactly_one_winner(first: int) -> None:
    for seed in range(first, first + 100):
        rng = Random(f"race {seed}")
        network = Network(rng.randint(3, 5), rng)
        network.run(0.6)
        over = NO_EPOCH
        for _ in range(3):
            won = race(network, rng, over)
            assert won > over, seed
            over = won
            for node in network.alive():
                origin = node.state.origin(MOUNT)
                assert origin is not None and origin.epoch == won, (seed, node.name)
        assert [one.epoch for one in network.history] == sorted(one.epoch for one in network.history), seed


@pytest.mark.parametrize("first", SEEDS)
def test_f_08_after_any_schedule_all_nodes_agree_on_one_owner(first: int) -> None:
    for seed in range(first, first + 100):
        rng = Random(f"storm {seed}")
        delay, loss = rng.choice((0.005, 0.05, 0.3)), rng.choice((0.0, 0.02, 0.1))
        network = Network(rng.randint(3, 5), rng, delay=delay, loss=loss, skew=rng.choice((0.0, 3600.0)))
        network.run(rng.random() * 2)
        for _ in range(rng.randint(4, 12)):
            disturb(network, rng)
        quiet_down(network)
        owners = network.owners(MOUNT)
        assert len(owners) <= 1, (seed, owners)
        wanted = owners[0].owned[MOUNT].epoch if owners else None
        for node in network.alive():
            origin = node.state.origin(MOUNT)
            if wanted is None:
                assert origin is None or not network.nodes[origin.node].is_alive, (seed, node.name, origin)
            else:
                assert origin is not None and origin.epoch == wanted == node.state.highest(MOUNT), (seed, node.name)


def test_f_08_the_schedules_have_many_owners_and_overlaps() -> None:
    owners = overlaps = 0
    for seed in range(100):
        rng = Random(f"storm {seed}")
        network = Network(3, rng, delay=0.05, loss=0.02)
        network.run(1.0)
        for _ in range(12):
            disturb(network, rng)
        quiet_down(network)
        owners += len(network.history)
        ends = [(one.begun, one.ended if one.ended is not None else network.now) for one in network.history]
        overlaps += sum(begun < end for (_, end), (begun, _) in pairwise(ends))
    assert owners > 200
    assert overlaps > 20, "no partition ever had two owners"


def test_f_07_when_the_network_heals_only_the_owner_with_the_lower_epoch_gives_up() -> None:
    for seed in range(50):
        rng = Random(seed)
        network = Network(3, rng)
        network.run(1.0)
        network.claim("a", MOUNT)
        network.run(1.0)
        network.partition({"a"}, breaks=rng.random() < 0.5)
        network.run(DEAD_S + 1)
        assert [node.name for node in network.owners(MOUNT)] == ["a"]
        network.claim("b", MOUNT)
        network.run(1.5)
        assert [node.name for node in network.owners(MOUNT)] == ["a", "b"]
        quiet_down(network)
        assert [node.name for node in network.owners(MOUNT)] == ["b"], seed
        assert network.nodes["a"].state.origin(MOUNT) == network.nodes["b"].state.origin(MOUNT)
