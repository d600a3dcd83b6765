"""The registry in etcd, against the real etcd: the promises of every registry, and the failures of etcd."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pycast.cluster.etcd.client import EtcdClient, delete, put
from pycast.cluster.etcd.etcd_records import Keys, encode_meta
from pycast.cluster.etcd.etcd_registry import EtcdRegistry
from pycast.cluster.registry.cluster_state import ClusterState, OriginChanged
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import CALL_S, Claimed, DuplicateNode, Held, Registry
from pycast.cluster.registry.state_file import StateFile
from pycast.config.schema import ClusterSection
from pycast.net.group import Group
from tests.cluster import registry_conformance as conformance
from tests.cluster.etcd_server import Etcd
from tests.cluster.patched import in_patched_process
from tests.cluster.registry_conformance import MOUNT, acquainted, claimed, knows, offer, wait_until
from tests.e2e.processes import suspend
from tests.e2e.stopwatch import Stopwatch

KEYS = Keys("radio")
NODE_KEYS = {KEYS.node("a"), KEYS.node("b")}


@dataclass
class EtcdFleet:
    """Registries in this process, over one etcd. `alive` are the nodes that answer when they are asked directly."""

    etcd: Etcd
    state: Path | None = None
    lease_s: int = 2
    alive: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    groups: dict[EtcdRegistry, Group] = field(default_factory=dict)
    names: dict[EtcdRegistry, str] = field(default_factory=dict)

    def node(self, name: str, boot: str = "1", address: str = "") -> NodeRecord:
        return NodeRecord(name, f"{name}{boot}", address or f"{name}.example:8000", slots=1000)

    def make(self, name: str, boot: str = "1", address: str = "") -> EtcdRegistry:
        group = Group()
        settings = ClusterSection(
            name="radio", registry="etcd", etcd=self.etcd.urls, state_file=str(self.state / name) if self.state else ""
        )
        registry = etcd_registry(settings, group, self._answers, Random(name + boot), self.lease_s)
        self.groups[registry] = group
        registry.start(self.node(name, boot, address))
        self.alive.add(name)
        self.names[registry] = name
        return registry

    def start_twin(self, name: str) -> None:
        self.make(name, "2", "elsewhere.example:8000")

    def vanish(self, registry: Registry) -> None:
        assert isinstance(registry, EtcdRegistry)
        self.groups.pop(registry).kill()
        self.alive.discard(self.names[registry])

    def revoke(self, registry: EtcdRegistry) -> None:
        """Ends the registry's lease as if it had not been renewed."""
        client = EtcdClient(self.etcd.urls, time.monotonic)
        client.revoke(registry._session.claims.lease)
        client.close()

    def stop(self) -> None:
        for registry, group in self.groups.items():
            registry.stop()
            group.kill()
            assert not len(group)

    def _answers(self, node: NodeRecord) -> bool:
        self.asked.append(node.node)
        return node.node in self.alive


@contextmanager
def fleet_of(directory: Path, members: int = 1, state: Path | None = None, lease_s: int = 2) -> Iterator[EtcdFleet]:
    with Etcd(directory, members) as etcd:
        fleet = EtcdFleet(etcd, state, lease_s)
        yield fleet
        fleet.stop()


@contextmanager
def pair_of(directory: Path, **options: Any) -> Iterator[tuple[EtcdFleet, EtcdRegistry, EtcdRegistry]]:
    """Yields two nodes that know each other."""
    with fleet_of(directory, **options) as fleet:
        a, b = fleet.make("a"), fleet.make("b")
        acquainted(a, b)
        yield fleet, a, b


@contextmanager
def client_of(fleet: EtcdFleet) -> Iterator[EtcdClient]:
    client = EtcdClient(fleet.etcd.urls, time.monotonic)
    yield client
    client.close()


@in_patched_process
def keep_promise(directory: Path, promise: str) -> None:
    with fleet_of(directory) as fleet:
        getattr(conformance, promise)(fleet)


@pytest.mark.parametrize("promise", [one.__name__ for one in conformance.PROMISES])
def test_it_keeps_the_promises_of_every_registry(promise: str, tmp_path: Path) -> None:
    keep_promise(tmp_path, promise)


# -- etcd does not answer


@in_patched_process
def test_while_etcd_does_not_answer_claims_are_provisional_and_confirmed_later_f_04(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        first = claimed(fleet, a, "a")
        knows(b, first)
        fleet.etcd.kill()
        with Stopwatch() as watch:
            answer = b.claim(offer(fleet, "b", "/new.mp3"), NO_EPOCH)
        assert watch.seconds < CALL_S + 0.2
        assert answer == Claimed(Epoch(1, 0, 1, "b"), is_provisional=True)
        stolen = b.claim(offer(fleet, "b"), first)
        assert stolen == Claimed(Epoch(1, first.number, 1, "b"), is_provisional=True)
        assert not b.is_reachable
        assert {one.node for one in a.state.up_nodes()} == {"a", "b"}
        fleet.etcd.start()
        for mount in (MOUNT, "/new.mp3"):
            wait_until(partial(is_confirmed, b, mount, first), f"{mount} to be confirmed")
            epoch = b.state.highest(mount)
            knows(a, epoch, mount)
        wait_until(lambda: a.is_reachable and b.is_reachable, "both to be back")


def is_confirmed(registry: Registry, mount: str, over: Epoch) -> bool:
    origin = registry.state.origin(mount)
    return origin is not None and not origin.is_provisional and origin.epoch > over and origin.epoch.rank == 0


@in_patched_process
def test_changes_while_etcd_did_not_answer_are_announced_when_it_is_back_f_04(tmp_path: Path) -> None:
    with pair_of(tmp_path, lease_s=10) as (fleet, a, b):
        first, other = claimed(fleet, a, "a"), claimed(fleet, a, "a", "/other.mp3")
        knows(b, other, "/other.mp3")
        fleet.etcd.kill()
        wait_until(lambda: not a.is_reachable, "the loss to be noticed")
        a.update(replace(fleet.node("a"), used=500))
        a.publish(replace(offer(fleet, "a"), epoch=first, is_live=False))
        a.release("/other.mp3", other)
        fleet.etcd.start()
        wait_until(lambda: b.state.peers[0].record.used == 500, "the load")
        wait_until(lambda: (one := b.state.origin(MOUNT)) is not None and not one.is_live, "the mount to wait")
        wait_until(lambda: b.state.origin("/other.mp3") is None, "the release")


@in_patched_process
def test_a_provisional_claim_yields_to_one_that_was_confirmed_f_07(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        fleet.etcd.kill()
        for registry, name in ((a, "a"), (b, "b")):
            answer = registry.claim(offer(fleet, name), NO_EPOCH)
            assert isinstance(answer, Claimed) and answer.is_provisional
        fleet.etcd.start()
        wait_until(lambda: is_confirmed(a, MOUNT, NO_EPOCH) and is_confirmed(b, MOUNT, NO_EPOCH), "one owner")
        assert a.state.origin(MOUNT) == b.state.origin(MOUNT)


@in_patched_process
def test_a_silent_etcd_costs_a_claim_no_more_than_its_time(tmp_path: Path) -> None:
    with fleet_of(tmp_path, lease_s=10) as fleet:
        a = fleet.make("a")
        fleet.etcd.pause()
        with Stopwatch() as watch:
            answer = a.claim(offer(fleet, "a"), NO_EPOCH)
        assert isinstance(answer, Claimed) and answer.is_provisional
        assert watch.seconds < CALL_S + 0.2
        fleet.etcd.resume()
        wait_until(lambda: is_confirmed(a, MOUNT, NO_EPOCH), "the claim to be confirmed")


@in_patched_process
def test_without_a_quorum_nothing_changes_and_leases_live_on_f_05(tmp_path: Path) -> None:
    with pair_of(tmp_path, members=2) as (fleet, a, b):
        epoch = claimed(fleet, a, "a")
        knows(b, epoch)
        changes: list[OriginChanged] = []
        b.state.origin_changed.subscribe(changes.append)
        fleet.etcd.kill(1)
        wait_until(lambda: not a.is_reachable and not b.is_reachable, "the loss to be noticed")
        fleet.etcd.start()
        wait_until(lambda: a.is_reachable and b.is_reachable, "the registry to be back", 25)
        assert a.state.highest(MOUNT) == epoch
        assert not changes


@in_patched_process
def test_a_member_that_dies_costs_nothing(tmp_path: Path) -> None:
    with pair_of(tmp_path, members=3) as (fleet, a, b):
        for member in range(3):
            fleet.etcd.kill(member)
            wait_until(lambda: a.is_reachable and b.is_reachable, "another member")
            mount = f"/{member}.mp3"
            epoch = claimed_in_the_end(fleet, a, mount)
            knows(b, epoch, mount)
            fleet.etcd.start()


@in_patched_process
def test_a_member_that_hangs_delays_news_by_seconds_and_claims_less(tmp_path: Path) -> None:
    with pair_of(tmp_path, members=3, lease_s=10) as (fleet, a, b):
        for member in range(3):
            fleet.etcd.pause(member)
            begun = time.monotonic()
            mount = f"/{member}.mp3"
            with Stopwatch() as watch:
                a.claim(offer(fleet, "a", mount), NO_EPOCH)
            assert watch.seconds < CALL_S + 0.2
            wait_until(partial(is_confirmed, a, mount, NO_EPOCH), "the claim to be confirmed", 6)
            wait_until(partial(is_confirmed, b, mount, NO_EPOCH), "the news", 6)
            print(f"member {member} hangs: news after {time.monotonic() - begun:.1f} s")
            fleet.etcd.resume()


@in_patched_process
def test_of_a_thousand_races_each_has_one_winner_f_08(tmp_path: Path) -> None:
    with fleet_of(tmp_path, lease_s=10) as fleet:
        registries = {name: fleet.make(name) for name in "ab"}
        acquainted(*registries.values())
        epochs: set[Epoch] = set()
        group = Group()
        for race in range(1000):
            answers: list[Claimed | Held] = []
            mount = f"/{race % 50}.mp3"
            over = max(registry.state.highest(mount) for registry in registries.values())

            def run(name: str, mount: str = mount, over: Epoch = over, answers: list[Claimed | Held] = answers) -> None:
                answers.append(registries[name].claim(offer(fleet, name, mount), over))

            for name in registries:
                group.spawn(f"claim of {name}", run, name)
            group.join(10)
            (won,) = [answer for answer in answers if isinstance(answer, Claimed)]
            (lost,) = [answer for answer in answers if isinstance(answer, Held)]
            assert won.epoch == lost.epoch and won.epoch > over and won.epoch not in epochs
            epochs.add(won.epoch)


def claimed_in_the_end(fleet: EtcdFleet, registry: EtcdRegistry, mount: str) -> Epoch:
    """Claims a mount and returns its confirmed epoch. If the leader has died that is after the election."""
    registry.claim(offer(fleet, "a", mount), NO_EPOCH)
    wait_until(lambda: is_confirmed(registry, mount, NO_EPOCH), f"{mount} to be confirmed")
    return registry.state.highest(mount)


@in_patched_process
def test_a_node_starts_from_its_state_file_while_etcd_does_not_answer(tmp_path: Path) -> None:
    (state := tmp_path / "state").mkdir()
    with pair_of(tmp_path, state=state) as (fleet, a, b):
        epoch = claimed(fleet, a, "a")
        knows(b, epoch)
        b.stop()
        fleet.etcd.kill()
        b = fleet.make("b", "2")
        assert not b.is_reachable
        knows(b, epoch)
        wait_until(lambda: b.state.is_up("a"), "a, which answers")
        fleet.alive.discard("a")
        wait_until(lambda: not b.state.is_up("a"), "a, which does not answer")
        knows(b, epoch)


# -- leases, restores, accidents


@in_patched_process
def test_a_node_whose_lease_was_lost_registers_and_claims_anew_f_06(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        first = claimed(fleet, a, "a")
        knows(b, first)
        changes: list[OriginChanged] = []
        b.state.origin_changed.subscribe(changes.append)
        fleet.revoke(a)
        wait_until(lambda: is_confirmed(b, MOUNT, first), "the new claim")
        wait_until(lambda: is_confirmed(a, MOUNT, first), "the new claim")
        assert b.state.is_up("a")
        # It answered all the time, so it was never removed.
        assert all(one.after is not None for one in changes)


@in_patched_process
def test_an_owner_whose_lease_expired_finds_another_owner_and_gives_up_f_09(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        first = claimed(fleet, a, "a")
        knows(b, first)
        with client_of(fleet) as client:
            # Both before a receives any event: its lease is gone, and b has the mount.
            client.revoke(a._session.claims.lease)
            second = claimed(fleet, b, "b", over=first)
        knows(a, second)
        a.publish(replace(offer(fleet, "a"), epoch=first))
        wait_until(lambda: a.is_reachable and b.state.is_up("a"), "a to be back")
        assert isinstance(a.claim(offer(fleet, "a"), second), Claimed)
        wait_until(lambda: is_confirmed(a, MOUNT, second), "the claim to be confirmed, with a new lease")


SLEEPER = """
from gevent import monkey
monkey.patch_all()
import sys
from tests.cluster.etcd import test_etcd_registry
test_etcd_registry.sleep_as_owner(*sys.argv[1:])
"""


def etcd_registry(
    settings: ClusterSection, group: Group, answers: Callable[[NodeRecord], bool], rng: Random, lease_s: int
) -> EtcdRegistry:
    """Returns a registry that is connected to its state and state file as in a server."""
    state = ClusterState()
    state_file = StateFile(settings.state_file, state, group)
    registry = EtcdRegistry(settings, state, state_file, group, answers, time.monotonic, rng, lease_s)
    state.origin_changed.subscribe(registry.on_origin_changed)
    state.node_changed.subscribe(state_file.on_changed)
    state.origin_changed.subscribe(state_file.on_changed)
    return registry


def sleep_as_owner(*urls: str) -> None:
    """Claims the mount as node a, and prints when another node has it."""
    settings = ClusterSection(name="radio", registry="etcd", etcd=urls)
    registry = etcd_registry(settings, Group(), lambda node: True, Random(1), 2)
    registry.start(NodeRecord("a", "a1", "a.example:8000"))
    answer = registry.claim(OriginRecord(MOUNT, "a", "a1", NO_EPOCH, 0, True), NO_EPOCH)
    print(answer.epoch, flush=True)
    wait_until(lambda: (one := registry.state.origin(MOUNT)) is not None and one.node == "b", "b to have it", 30)
    print("stepped down", flush=True)


@in_patched_process
def test_a_suspended_process_gives_up_within_a_second_of_being_resumed_f_09(tmp_path: Path) -> None:
    with fleet_of(tmp_path) as fleet:
        b = fleet.make("b")
        command = [sys.executable, "-c", SLEEPER, *fleet.etcd.urls]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as a:
            assert a.stdout is not None
            first = Epoch.parse(a.stdout.readline().strip())
            knows(b, first)
            fleet.alive.add("a")
            suspend(a.pid)
            fleet.alive.discard("a")
            wait_until(lambda: not b.state.is_up("a"), "its lease to expire")
            second = claimed(fleet, b, "b", over=first)
            with Stopwatch(a.pid) as watch:
                a.send_signal(signal.SIGCONT)
                assert a.stdout.readline() == "stepped down\n"
            assert watch.seconds < 1
            knows(b, second)
            a.kill()


@in_patched_process
def test_an_etcd_from_an_old_backup_is_refused_until_its_generation_rises_f_15(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        fleet.etcd.save(tmp_path / "backup")
        wait_until(lambda: a.is_reachable and b.is_reachable, "the registry")
        first = claimed_in_the_end(fleet, a, MOUNT)
        for _ in range(20):
            first = claimed(fleet, a, "a", over=first)
        knows(b, first)
        fleet.etcd.restore(tmp_path / "backup")
        wait_until(lambda: not a.is_reachable and not b.is_reachable, "the refusal")
        answer = b.claim(offer(fleet, "b", "/new.mp3"), NO_EPOCH)
        assert isinstance(answer, Claimed) and answer.is_provisional
        knows(b, first)
        with client_of(fleet) as client:
            client.txn([], [put(KEYS.meta, encode_meta(2))])
        wait_until(lambda: is_confirmed(b, MOUNT, first) and is_confirmed(a, "/new.mp3", NO_EPOCH), "generation 2")
        assert a.state.highest(MOUNT).generation == 2


@in_patched_process
def test_an_emptied_etcd_removes_no_mount_f_16(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        mounts = [f"/{number}.mp3" for number in range(5)]
        for mount in mounts:
            knows(b, claimed(fleet, a, "a", mount), mount)
        before = {mount: b.state.highest(mount) for mount in mounts}
        changes: list[OriginChanged] = []
        b.state.origin_changed.subscribe(changes.append)
        with client_of(fleet) as client:
            keys = [entry.key for entry in client.range(KEYS.prefix).entries if entry.key != KEYS.meta]
            client.txn([], [delete(key) for key in keys])
        for mount in mounts:
            wait_until(partial(is_confirmed, b, mount, before[mount]), f"{mount} to be back")
        assert all(one.after is not None for one in changes)
        with client_of(fleet) as client:
            wait_until(lambda: {one.key for one in client.range(KEYS.prefix).entries} >= NODE_KEYS, "both nodes")


@in_patched_process
def test_an_etcd_without_data_is_refused_and_the_state_stays_f_16(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        epoch = claimed(fleet, a, "a")
        knows(b, epoch)
        fleet.etcd.lose_everything()
        wait_until(lambda: not b.is_reachable, "the refusal")
        knows(b, epoch)
        assert b.state.is_up("a")
        answer = b.claim(offer(fleet, "b"), NO_EPOCH)
        assert isinstance(answer, Held)


@in_patched_process
def test_a_node_cut_off_from_etcd_stays_as_long_as_it_answers_f_06(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        epoch = claimed(fleet, a, "a")
        knows(b, epoch)
        fleet.vanish(a)
        fleet.alive.add("a")
        wait_until(lambda: fleet.asked.count("a") >= 2, "a to be asked twice")
        assert b.state.is_up("a")
        knows(b, epoch)
        fleet.alive.discard("a")
        wait_until(lambda: b.state.peer("a") is None, "a to go")
        assert b.state.origin(MOUNT) is None


@in_patched_process
def test_a_node_that_is_started_again_replaces_itself_f_18(tmp_path: Path) -> None:
    with pair_of(tmp_path, lease_s=10) as (fleet, a, b):
        epoch = claimed(fleet, a, "a")
        knows(b, epoch)
        fleet.vanish(a)
        a = fleet.make("a", "2")
        wait_until(lambda: b.state.peers[0].record.boot == "a2", "the new process")
        wait_until(lambda: b.state.origin(MOUNT) is None, "the old process's mount to go")
        assert claimed(fleet, a, "a", over=a.state.highest(MOUNT)) > epoch


@in_patched_process
def test_a_node_at_a_new_address_may_join_when_its_old_lease_is_stale_f_18(tmp_path: Path) -> None:
    with fleet_of(tmp_path, lease_s=4) as fleet:
        a = fleet.make("a")
        fleet.vanish(a)
        begun = time.monotonic()
        refused = 0

        def has_joined() -> bool:
            nonlocal refused
            try:
                fleet.make("a", "2", "elsewhere.example:8000")
            except DuplicateNode:
                refused += 1
                return False
            return True

        wait_until(has_joined, "the lease to be stale", 10)
        assert refused and time.monotonic() - begun < 5


# -- how fast


@in_patched_process
def test_claims_and_news_take_milliseconds(tmp_path: Path) -> None:
    with pair_of(tmp_path) as (fleet, a, b):
        claims, news = [], []
        arrived: dict[str, float] = {}

        def record(change: OriginChanged) -> None:
            arrived[change.mount] = time.monotonic()

        b.state.origin_changed.subscribe(record)
        for number in range(100):
            mount = f"/{number}.mp3"
            begun = time.monotonic()
            claimed(fleet, a, "a", mount)
            claims.append(time.monotonic() - begun)
            wait_until(partial(arrived.__contains__, mount), "the news")
            news.append(arrived[mount] - begun)
        print_times("claim", claims)
        print_times("until another node knows", news)
        assert max(claims) < 1 and max(news) < 1


def print_times(what: str, times: list[float]) -> None:
    ordered = sorted(times)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    print(f"{what}: median {middle * 1000:.1f} ms, p99 {late * 1000:.1f} ms")
