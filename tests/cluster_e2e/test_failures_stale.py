"""F-09: an owner is suspended for longer than any time limit, resumes, and finds another owner in its place."""

import os
import time

import pytest

from pycast.testing import Cluster
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.lateness import ProcessorWaits
from tests.cluster_e2e.nodes import (
    MOUNT,
    STEAL_S,
    assert_same_ending,
    assert_sockets_kept,
    at,
    metric,
)
from tests.e2e.deadline import until

PAUSE_S = 30.0
"""Longer than every lease and time limit in the cluster."""


@pytest.mark.timeout(150)
def test_f09_owner_that_resumes_after_30_s_gives_up_within_one(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with Encoder(at(a), MOUNT, programme=1, retry_s=None) as first:
        pycast_cluster.wait_for_mount(MOUNT)
        stale, others = crowd.add(at(a), MOUNT, 2), crowd.add(at(b), MOUNT, 2) + crowd.add(at(c), MOUNT, 2)
        crowd.wait_playing(6)
        first.wait_sent(1.0)
        pycast_cluster.pause("a")
        with Encoder(at(b), MOUNT, programme=2, retry_s=None) as second:
            taken = second.wait_on_air()
            assert taken.accepted - taken.began < STEAL_S
            crowd.wait_heard(others, 2)
            second.wait_sent(PAUSE_S, PAUSE_S + 15)
            with ProcessorWaits([os.getpid(), a.pid, b.pid, c.pid]) as waits:
                pycast_cluster.resume("a")
                resumed = time.monotonic()
                until(lambda: metric(a, "pycast_stepdowns_total") == 1, "the old owner to step down")
                took = time.monotonic() - resumed
            assert took - waits.seconds < 1.0
            crowd.wait_heard(stale, 2)
            second.wait_sent(2.0)
            reports, woken = crowd.reports(others), crowd.reports(stale)
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    for report in [*reports, *woken]:
        assert [(switch.before, switch.after) for switch in report.switches] == [(1, 2)]
    assert not any(report.disconnects or report.damage for report in woken)
