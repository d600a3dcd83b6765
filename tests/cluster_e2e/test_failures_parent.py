"""F-03: the parent of a mirror fails, in every way a node can fail; its children lose nothing."""

import pytest

from pycast.testing import Cluster
from tests.cluster_e2e.chaos import Chaos
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.lateness import Lateness
from tests.cluster_e2e.nodes import (
    MOUNT,
    RESUME_S,
    SUSPECT_S,
    at,
    behind_proxies,
    busiest,
    metric,
)


def fail_by_kill(cluster: Cluster, parent: str, proxy: Chaos) -> None:
    cluster.kill(parent)


def fail_by_cut(cluster: Cluster, parent: str, proxy: Chaos) -> None:
    proxy.cut()


def fail_by_half_close(cluster: Cluster, parent: str, proxy: Chaos) -> None:
    proxy.half_close("down")


def fail_by_black_hole(cluster: Cluster, parent: str, proxy: Chaos) -> None:
    proxy.black_hole()


def fail_by_pause(cluster: Cluster, parent: str, proxy: Chaos) -> None:
    cluster.pause(parent)


@pytest.mark.parametrize(
    ("fail", "silence_s"),
    [
        (fail_by_kill, RESUME_S),
        (fail_by_cut, RESUME_S),
        (fail_by_half_close, RESUME_S),
        (fail_by_black_hole, SUSPECT_S + RESUME_S),
        (fail_by_pause, SUSPECT_S + RESUME_S),
    ],
)
def test_f03_relay_parent_dies_and_its_children_lose_nothing(crowd: Crowd, fail: object, silence_s: float) -> None:
    assert callable(fail)
    with behind_proxies(3, zones=["x", "y", "y"], flush_interval=0.05) as (cluster, proxies):
        with Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder:
            cluster.wait_for_mount(MOUNT)
            ids = {name: crowd.add(at(cluster[name]), MOUNT, 3) for name in "abc"}
            crowd.wait_playing(9)
            encoder.wait_sent(2.0)
            parent = busiest(proxies, encoder, "bc")
            child = "c" if parent == "b" else "b"
            fail(cluster, parent, proxies[parent])
            failed_at = encoder.sessions[0].after_last
            way = (cluster["a"], proxies["a"], proxies[parent], cluster[child], crowd)
            with Lateness(encoder, [one.pid for one in way]) as lateness:
                crowd.wait_heard(ids[child] + ids["a"], 0, failed_at)
            encoder.wait_sent(silence_s + 2.0)
            crowd.wait_heard(ids[child] + ids["a"], 0, failed_at + 60)
            reports = crowd.reports(ids[child] + ids["a"])
            gap_bytes = metric(cluster[child], "pycast_mirror_gap_bytes_total")
        assert all(report.is_flawless for report in reports), reports
        # Noticed by a deadline only (3 s), a closed connection would take longer than this.
        assert max(report.longest_silence_ms for report in reports) < silence_s * 1000 + 1_500
        assert lateness.longest_s(reports) < silence_s + 0.25
        assert gap_bytes == 0
