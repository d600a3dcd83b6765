"""F-09: an owner is suspended for longer than any time limit, resumes, and finds another owner in its place; and who
would hear what it owns does not wait for it.
"""

from contextlib import ExitStack
from functools import partial
from itertools import pairwise

import pytest

from pycast.testing import Cluster, Server
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import (
    MOUNT,
    STEAL_S,
    SUSPECT_S,
    assert_same_ending,
    assert_sockets_kept,
    at,
    metric,
)
from tests.e2e.deadline import until
from tests.e2e.stopwatch import Stopwatch

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
            with Stopwatch(a.pid, b.pid, c.pid) as watch:
                pycast_cluster.resume("a")
                until(lambda: metric(a, "pycast_stepdowns_total") == 1, "the old owner to step down")
            assert watch.seconds < 1.0
            crowd.wait_heard(stale, 2)
            second.wait_sent(2.0)
            reports, woken = crowd.reports(others), crowd.reports(stale)
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    for report in [*reports, *woken]:
        assert [(switch.before, switch.after) for switch in report.switches] == [(1, 2)]
    assert not any(report.disconnects or report.damage for report in woken)


CHAIN = ("/one.mp3", "/two.mp3", "/three.mp3", "/four.mp3")


@pytest.mark.pycast(
    source_grace=0.5,
    mount=[{"mount_name": name, "fallback_mount": other} for name, other in pairwise(CHAIN)],
)
def test_a_fallback_of_an_owner_that_is_suspended_is_passed_over(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with ExitStack() as stack:
        first, *_ = [
            stack.enter_context(Encoder(at(server), name, programme=number, retry_s=None))
            for number, (name, server) in enumerate(zip(CHAIN, (a, c, c, b), strict=True))
        ]
        for server in (a, b):  # it knows of all, and mirrors none of those on c yet
            until(partial(knows_all, server), "all mounts")
        ids = crowd.add(at(a), CHAIN[0], 2) + crowd.add(at(b), CHAIN[0], icy=True)
        crowd.wait_playing(3)
        pycast_cluster.pause("c")
        first.stop()
        crowd.wait_heard(ids, 3)
        pycast_cluster.resume("c")
        reports = crowd.reports(ids)
    assert_sockets_kept(reports)
    for report in reports:
        assert [(switch.before, switch.after) for switch in report.switches] == [(0, 3)]
        assert report.longest_silence_ms < SUSPECT_S * 1000


def knows_all(server: Server) -> bool:
    listed = server.get("/admin/listmounts", admin=True)[1].decode()
    return all(name in listed for name in CHAIN)
