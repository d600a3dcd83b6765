"""The pacer: small loads are quick, large loads are batched, many small ones count as one large one."""

import pytest

from pycast.stream.pacer import CROWDED_SHARE, LONGEST_READ_WAIT_S, SHARE, SHORTEST_S, Pacer


def test_without_listeners_the_interval_is_the_shortest() -> None:
    assert Pacer(0.5, lambda: 0.0).interval == SHORTEST_S


def test_the_interval_keeps_passes_at_their_share_of_the_core() -> None:
    pacer = Pacer(0.5, lambda: 0.0)
    pacer.record("a", 0.01)
    assert pacer.interval == pytest.approx(0.01 / SHARE)


def test_the_interval_never_exceeds_the_flush_interval() -> None:
    pacer = Pacer(0.5, lambda: 0.0)
    pacer.record("a", 10.0)
    assert pacer.interval == 0.5
    assert pacer.read_wait == LONGEST_READ_WAIT_S


def test_mounts_count_together_and_by_their_latest_pass() -> None:
    pacer = Pacer(0.5, lambda: 0.0)
    for mount in range(100):
        pacer.record(mount, 1.0)
        pacer.record(mount, 0.0001)
    assert pacer.interval == pytest.approx(100 * 0.0001 / SHARE)
    for mount in range(100):
        pacer.forget(mount)
    assert pacer.interval == SHORTEST_S


def test_only_a_crowded_node_takes_longer_and_at_most_twice_as_long() -> None:
    pacer = Pacer(0.5, lambda: 0.0)
    for cost, extra in ((0.0, 0.0), (0.5 * CROWDED_SHARE, 0.0), (0.8 * CROWDED_SHARE, 0.3), (10.0, 0.5)):
        pacer.record("a", cost)
        assert pacer.extra_wait == pytest.approx(extra)
