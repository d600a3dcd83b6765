"""Registries over an etcd that dies, hangs and forgets at random: an epoch has one holder, and all agree in the end."""

import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random

import gevent
import pytest

from pycast.cluster.etcd.client import LeaseGone
from pycast.cluster.etcd.etcd_registry import EtcdRegistry
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import OriginRecord
from pycast.cluster.registry.registry import Claimed
from pycast.net.group import Group
from tests.cluster.etcd.test_etcd_registry import EtcdFleet, fleet_of
from tests.cluster.patched import in_patched_process
from tests.cluster.registry_conformance import acquainted, offer, wait_until

NAMES = "abc"
MOUNTS = ("/1", "/2", "/3")
STEPS = 60


class Owner:
    """A user of one registry that claims, publishes and releases as a node does, and trusts the cluster's state."""

    def __init__(self, fleet: EtcdFleet, name: str, rng: Random) -> None:
        self.registry: EtcdRegistry = fleet.make(name)
        self.won: list[tuple[str, Epoch]] = []
        self._fleet = fleet
        self._name = name
        self._rng = rng

    def run(self) -> None:
        for _ in range(STEPS):
            mount = self._rng.choice(MOUNTS)
            origin = self.registry.state.origin(mount)
            if origin is None or origin.node != self._name:
                self._claim(mount)
            elif self._rng.random() < 0.3:
                self.registry.release(mount, origin.epoch)
            else:
                self.registry.publish(offer_as(origin, self._rng.random() < 0.5))
            gevent.sleep(self._rng.random() * 0.1)

    def _claim(self, mount: str) -> None:
        answer = self.registry.claim(offer(self._fleet, self._name, mount), self.registry.state.highest(mount))
        if isinstance(answer, Claimed):
            self.won.append((mount, answer.epoch))


def offer_as(origin: OriginRecord, is_live: bool) -> OriginRecord:
    return replace(origin, is_live=is_live)


@in_patched_process
def live_through(directory: Path, seed: str) -> None:
    rng = Random(seed)
    group = Group()
    with fleet_of(directory, lease_s=2) as fleet:
        owners = [Owner(fleet, name, Random(seed + name)) for name in NAMES]
        acquainted(*(owner.registry for owner in owners))
        for owner in owners:
            group.spawn("owner", owner.run)
        while len(group):
            harm(fleet, rng, [owner.registry for owner in owners])
            gevent.sleep(rng.random())
        fleet.etcd.start()
        wait_until(lambda: all(owner.registry.is_reachable for owner in owners), "the registry")
        wait_until(lambda: agree([owner.registry for owner in owners]), "all to agree")
        won = [one for owner in owners for one in owner.won]
        assert len(won) == len(set(won)), "an epoch was won twice"
        print(len(won), "claims won,", sum(1 for _, epoch in won if epoch.rank), "of them provisional", file=sys.stderr)


def harm(fleet: EtcdFleet, rng: Random, registries: list[EtcdRegistry]) -> None:
    kind = rng.randrange(4)
    if kind == 0:
        fleet.etcd.kill()
        gevent.sleep(rng.random())
        fleet.etcd.start()
    elif kind == 1:
        fleet.etcd.pause()
        gevent.sleep(rng.random() * 3)
        fleet.etcd.resume()
    elif kind == 2 and all(registry.is_reachable for registry in registries):
        with suppress(LeaseGone):  # the lease may have expired a moment ago
            fleet.revoke(rng.choice(registries))


def agree(registries: list[EtcdRegistry]) -> bool:
    """Whether all know the same origins, all confirmed, and all nodes."""
    first, *others = (registry.state for registry in registries)
    return (
        all(state.origins == first.origins and state.peers == first.peers for state in others)
        and all(registry.is_reachable for registry in registries)
        and not any(origin.is_provisional for origin in first.origins)
        and len(first.up_nodes()) == len(registries)
    )


@pytest.mark.parametrize("seed", range(3))
def test_each_epoch_has_one_holder_and_all_agree_in_the_end_f_07(tmp_path: Path, seed: int) -> None:
    live_through(tmp_path, str(seed))
