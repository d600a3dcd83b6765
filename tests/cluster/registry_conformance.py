"""The promises of every registry's driver, written against the Protocol only.

Each of `PROMISES` is a function that takes a `Fleet`: the driver's test makes one and calls it.

    @pytest.mark.parametrize("promise", PROMISES, ids=lambda one: one.__name__)
    def test_it_keeps_the_promises_of_every_registry(promise): ...
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import gevent

from pycast.cluster.registry.cluster_state import NodeChanged, OriginChanged
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, NodeState, OriginRecord
from pycast.cluster.registry.registry import Claimed, DuplicateNode, Held, Registry
from pycast.net.group import Group

MOUNT = "/live.mp3"
WAIT_S = 15.0  # how long it may take until all nodes know that an owner is gone


class Fleet(Protocol):
    """Registries that share a cluster, in this process."""

    def node(self, name: str) -> NodeRecord:
        """Returns the record that `make(name)` starts with."""

    def make(self, name: str) -> Registry:
        """Starts a registry and returns it."""

    def start_twin(self, name: str) -> None:
        """Starts another process of that name at another address; `name` still runs. Raises what starting raises."""

    def vanish(self, registry: Registry) -> None:
        """Ends the registry's process without a goodbye."""


def wait_until(is_so: Callable[[], object], what: str, timeout: float = WAIT_S) -> None:
    """Runs greenlets until `is_so`."""
    deadline = time.monotonic() + timeout
    while not is_so():
        assert time.monotonic() < deadline, f"waited {timeout:g} s for {what}"
        gevent.sleep(0.005)


def offer(fleet: Fleet, name: str, mount: str = MOUNT, base: int = 0) -> OriginRecord:
    """Returns the record with which a node claims a mount."""
    node = fleet.node(name)
    return OriginRecord(mount, name, node.boot, NO_EPOCH, base, True, content_type="audio/mpeg")


def claimed(fleet: Fleet, registry: Registry, name: str, mount: str = MOUNT, over: Epoch = NO_EPOCH) -> Epoch:
    """Claims a mount, which has to succeed, and returns the epoch."""
    answer = registry.claim(offer(fleet, name, mount), over)
    assert isinstance(answer, Claimed), answer
    assert not answer.is_provisional
    return answer.epoch


def acquainted(*registries: Registry) -> None:
    """Waits until all know each other."""
    wait_until(lambda: all(len(one.state.up_nodes()) == len(registries) for one in registries), "all nodes to be known")


def knows(registry: Registry, epoch: Epoch, mount: str = MOUNT) -> None:
    """Waits until the registry has the origin with that epoch."""

    def is_known() -> bool:
        origin = registry.state.origin(mount)
        return origin is not None and origin.epoch == epoch

    wait_until(is_known, f"{mount} with epoch {epoch}")


def nodes_see_each_other(fleet: Fleet) -> None:
    a, b, c = (fleet.make(name) for name in "abc")
    acquainted(a, b, c)
    wait_until(lambda: a.is_reachable and b.is_reachable and c.is_reachable, "the registry")
    assert [node.node for node in a.state.up_nodes()] == ["a", "b", "c"]


def a_changed_node_is_announced_to_all(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    a.update(replace(fleet.node("a"), state=NodeState.DRAINING))
    assert a.state.peers[0].record.state is NodeState.DRAINING
    wait_until(lambda: b.state.peers[0].record.state is NodeState.DRAINING, "the new state")


def a_free_mount_is_claimed_and_all_know(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    epoch = claimed(fleet, a, "a")
    origin = a.state.origin(MOUNT)
    assert origin is not None and origin.epoch == epoch > NO_EPOCH and not origin.is_provisional
    knows(b, epoch)
    assert b.state.origin(MOUNT) == origin


def a_mount_that_is_held_is_not_claimed_over_an_old_epoch(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    epoch = claimed(fleet, a, "a")
    answer = b.claim(offer(fleet, "b"), NO_EPOCH)
    assert isinstance(answer, Held) and answer.epoch == epoch
    knows(b, epoch)


def a_mount_is_claimed_over_its_epoch_and_the_owner_is_notified(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    first = claimed(fleet, a, "a")
    knows(b, first)
    second = claimed(fleet, b, "b", over=first)
    assert second > first
    knows(a, second)
    answer = a.claim(offer(fleet, "a"), first)
    assert isinstance(answer, Held) and answer.epoch == second
    third = claimed(fleet, a, "a", over=second)
    assert third > second


def a_superseded_owner_changes_nothing(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    first = claimed(fleet, a, "a")
    knows(b, first)
    second = claimed(fleet, b, "b", over=first)
    knows(a, second)
    a.publish(replace(offer(fleet, "a"), epoch=first, is_live=False))
    a.release(MOUNT, first)
    third = claimed(fleet, b, "b", "/marker.mp3")
    knows(a, third, "/marker.mp3")
    knows(a, second)
    knows(b, second)


def a_released_mount_is_gone_on_all_nodes_and_epochs_still_rise(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    first = claimed(fleet, a, "a")
    knows(b, first)
    a.release(MOUNT, first)
    assert a.state.origin(MOUNT) is None
    wait_until(lambda: b.state.origin(MOUNT) is None, "the release")
    assert b.state.highest(MOUNT) == first
    assert claimed(fleet, b, "b", over=b.state.highest(MOUNT)) > first


def a_mount_that_waits_is_announced_and_keeps_its_epoch(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    epoch = claimed(fleet, a, "a")
    knows(b, epoch)
    for is_live in (False, True, False):
        a.publish(replace(offer(fleet, "a"), epoch=epoch, is_live=is_live))

        def is_known(is_live: bool = is_live) -> bool:
            origin = b.state.origin(MOUNT)
            return origin is not None and origin.is_live is is_live

        wait_until(is_known, f"is_live {is_live}")
        knows(b, epoch)
    assert claimed(fleet, b, "b", over=epoch) > epoch


def changes_are_reported_in_order(fleet: Fleet) -> None:
    a = fleet.make("a")
    nodes: list[NodeChanged] = []
    mounts: list[OriginChanged] = []
    a.state.node_changed.subscribe(nodes.append)
    a.state.origin_changed.subscribe(mounts.append)
    b = fleet.make("b")
    acquainted(a, b)
    epoch = claimed(fleet, b, "b")
    knows(a, epoch)
    b.release(MOUNT, epoch)
    wait_until(lambda: a.state.origin(MOUNT) is None, "the release")
    assert [(one.node, one.before) for one in nodes][:1] == [("b", None)]
    origins = [(one.before is None, one.after is None) for one in mounts]
    assert origins == [(True, False), (False, True)]


def epochs_rise_with_each_claim_of_any_mount(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    over = NO_EPOCH
    for turn in range(6):
        registry, name = (a, "a") if turn % 2 else (b, "b")
        epoch = claimed(fleet, registry, name, over=over)
        assert epoch > over
        over = epoch
        knows(a, epoch)
        knows(b, epoch)


def of_two_claims_at_once_one_wins(fleet: Fleet) -> None:
    registries = {name: fleet.make(name) for name in "ab"}
    acquainted(*registries.values())
    group = Group()
    for race in range(20):
        mount = f"/race{race}.mp3"
        answers: dict[str, Claimed | Held] = {}

        def run(name: str, mount: str = mount, answers: dict[str, Claimed | Held] = answers) -> None:
            answers[name] = registries[name].claim(offer(fleet, name, mount), NO_EPOCH)

        for name in registries:
            group.spawn(f"claim of {name}", run, name)
        group.join(10)
        winners = [name for name, answer in answers.items() if isinstance(answer, Claimed)]
        assert len(answers) == 2 and len(winners) == 1, answers
        for registry in registries.values():
            knows(registry, answers[winners[0]].epoch, mount)


def a_node_that_stops_is_gone_with_its_mounts(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    knows_epoch = claimed(fleet, a, "a")
    knows(b, knows_epoch)
    begun = time.monotonic()
    a.stop()
    assert time.monotonic() - begun < 2
    wait_until(lambda: not b.state.is_up("a"), "the node to go", 5)
    assert claimed(fleet, b, "b", over=knows_epoch) > knows_epoch


def a_node_that_vanishes_is_removed_in_the_end(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    epoch = claimed(fleet, a, "a")
    knows(b, epoch)
    fleet.vanish(a)
    wait_until(lambda: not b.state.is_up("a"), "the node to go")
    assert claimed(fleet, b, "b", over=b.state.highest(MOUNT)) > epoch


def a_second_process_of_a_name_is_refused_f_18(fleet: Fleet) -> None:
    a, b = fleet.make("a"), fleet.make("b")
    acquainted(a, b)
    try:
        fleet.start_twin("a")
    except DuplicateNode as error:
        assert "'a'" in str(error) or " a" in str(error)
    else:
        raise AssertionError("it has joined")
    assert b.state.peers[0].record == fleet.node("a")
    claimed(fleet, a, "a")


PROMISES: tuple[Callable[[Fleet], None], ...] = (
    nodes_see_each_other,
    a_changed_node_is_announced_to_all,
    a_free_mount_is_claimed_and_all_know,
    a_mount_that_is_held_is_not_claimed_over_an_old_epoch,
    a_mount_is_claimed_over_its_epoch_and_the_owner_is_notified,
    a_superseded_owner_changes_nothing,
    a_released_mount_is_gone_on_all_nodes_and_epochs_still_rise,
    a_mount_that_waits_is_announced_and_keeps_its_epoch,
    changes_are_reported_in_order,
    epochs_rise_with_each_claim_of_any_mount,
    of_two_claims_at_once_one_wins,
    a_node_that_stops_is_gone_with_its_mounts,
    a_node_that_vanishes_is_removed_in_the_end,
    a_second_process_of_a_name_is_refused_f_18,
)
