"""The choice of the parent: one link into each zone, and never a circle."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from pycast.cluster.mirror.parents import WEAK_PERCENT, choose_parents, ranked
from pycast.cluster.registry.records import NodeRecord, NodeState

MOUNTS = [f"/mount{number}" for number in range(300)]


def nodes(**zones: str) -> dict[str, NodeRecord]:
    return {name: NodeRecord(name, "1", f"{name}:1", zone) for name, zone in zones.items()}


TWO_ZONES = nodes(a="1", b="1", c="1", d="2", e="2", f="2")


def first(mount: str, me: str, origin: str, known: dict[str, NodeRecord]) -> str:
    return choose_parents(mount, known[me], known[origin], known.values())[0]


def test_in_the_origins_zone_all_pull_from_it() -> None:
    for mount in MOUNTS[:20]:
        assert choose_parents(mount, TWO_ZONES["b"], TWO_ZONES["a"], TWO_ZONES.values()) == ["a"]
        assert choose_parents(mount, TWO_ZONES["a"], TWO_ZONES["a"], TWO_ZONES.values()) == []


@pytest.mark.parametrize("origin", ["a", "b"])
def test_a_mount_crosses_into_another_zone_once(origin: str) -> None:
    for mount in MOUNTS:
        pulls = {name: first(mount, name, origin, TWO_ZONES) for name in "def"}
        leaders = [name for name, parent in pulls.items() if parent == origin]
        assert len(leaders) == 1
        assert set(pulls.values()) == {origin, leaders[0]}


def test_the_origin_is_the_last_choice_of_every_node() -> None:
    for mount in MOUNTS:
        for name in "def":
            found = choose_parents(mount, TWO_ZONES[name], TWO_ZONES["a"], TWO_ZONES.values())
            assert found[-1] == "a"
            assert name not in found
            assert len(found) == len(set(found)) <= 3


def test_leaders_are_spread_and_only_those_of_a_lost_node_move() -> None:
    before = {mount: ranked(mount, [TWO_ZONES[name] for name in "def"])[0].node for mount in MOUNTS}
    counts = Counter(before.values())
    assert min(counts.values()) > len(MOUNTS) / 6
    left = {name: node for name, node in TWO_ZONES.items() if name != "d"}
    for mount, leader in before.items():
        after = first(mount, "e", "a", left)
        now = "e" if after == "a" else after  # the node from which the others in the zone pull
        assert leader in ("d", now)


@pytest.mark.parametrize("changed", [{"state": NodeState.DRAINING}, {"weight": WEAK_PERCENT}])
def test_f_10_a_node_that_drains_or_has_no_headroom_leads_no_zone(changed: dict[str, Any]) -> None:
    known = TWO_ZONES | {"d": replace(TWO_ZONES["d"], **changed)}
    assert all(first(mount, "d", "a", known) != "a" for mount in MOUNTS)


def test_a_node_alone_in_its_zone_pulls_from_the_origin() -> None:
    assert choose_parents("/x", TWO_ZONES["d"], TWO_ZONES["a"], [TWO_ZONES["d"]]) == ["a"]


def test_without_zones_all_pull_from_the_origin() -> None:
    known = nodes(a="", b="", c="")
    assert all(first(mount, "c", "a", known) == "a" for mount in MOUNTS[:20])
