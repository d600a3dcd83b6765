"""F-11: clocks that are an hour off, or jump by one, make no difference to what anybody hears."""

import glob
import time
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from pycast.testing import Cluster, Server
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import MOUNT, STEAL_S, assert_same_ending, assert_sockets_kept, at, metric
from tests.e2e.deadline import until
from tests.e2e.wire import get

HOUR_S = 3600

SetClock = Callable[[str, int], None]
"""`set_clock("b", 3600)`: node b's clock is an hour fast from now on, to the second after this one."""


@pytest.fixture
def set_clock(tmp_path: Path) -> SetClock:
    def set_clock(node: str, off_s: int) -> None:
        (tmp_path / node).write_text(f"{off_s:+d}")

    return set_clock


@pytest.fixture
def cluster(tmp_path: Path, set_clock: SetClock) -> Iterator[Cluster]:
    """Yields three nodes with wall clocks changed by libfaketime: b is an hour fast. Other clocks stay right."""
    (library,) = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")

    def with_a_clock(name: str, settings: Mapping[str, Any]) -> Server:
        class WithAClock(Server):
            command = (
                "env", f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={tmp_path / name}",
                "FAKETIME_CACHE_DURATION=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", *Server.command,
            )  # fmt: skip

        return WithAClock(**settings)

    for name, off_s in {"a": 0, "b": HOUR_S, "c": 0}.items():
        set_clock(name, off_s)
    with Cluster(3, build=with_a_clock) as cluster:
        yield cluster


def is_off(node: Server) -> float:
    """Returns by how many seconds a node's clock is wrong, according to the Date of its answers."""
    return parsedate_to_datetime(get(node.port, "/livez").header("date")).timestamp() - time.time()


def test_f11_wrong_and_jumping_clocks_change_nothing(cluster: Cluster, set_clock: SetClock, crowd: Crowd) -> None:
    a, b, c = cluster
    assert abs(is_off(b) - HOUR_S) < 5
    with Encoder(at(b, c), MOUNT, retry_s=0.3) as encoder:
        cluster.wait_for_mount(MOUNT)
        others = crowd.add(at(a), MOUNT, 3) + crowd.add(at(c), MOUNT, 3) + crowd.add(at(c), MOUNT, icy=True)
        crowd.wait_playing(7)
        set_clock("a", HOUR_S)
        set_clock("c", -HOUR_S)
        until(lambda: is_off(a) > HOUR_S - 5 and is_off(c) < 5 - HOUR_S, "the clocks to jump")
        encoder.wait_sent(1.0)
        assert all(metric(node, "pycast_cluster_nodes", status="up") == 3 for node in cluster)
        assert all(report.is_flawless for report in crowd.reports()), "a clock that jumped was heard"
        cluster.kill("b")
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        back = encoder.wait_on_air()
        crowd.wait_heard(others, 0, back.first + 40)
        reports = crowd.reports(others)
    assert back.accepted - back.began < STEAL_S
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    assert all(gap.at - back.accepted < STEAL_S for report in reports for gap in report.gaps)
