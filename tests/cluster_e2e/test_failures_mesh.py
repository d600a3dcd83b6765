"""Failure cases of a mesh, with nodes as processes and as hosts: what listeners receive, and how long they wait.

Each test carries the number of its case. Encoders and listeners take the next address after a loss, as they do behind
one name or balancer. The figures are those that the cases promise; in a mesh a silent
node is suspect after 3 s and dead after 5.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from pycast.testing import Cluster
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.lateness import Lateness
from tests.cluster_e2e.netns import Network
from tests.cluster_e2e.nodes import (
    LAST_WORDS_S,
    MOUNT,
    RESUME_S,
    STEAL_S,
    SUSPECT_S,
    assert_same_ending,
    assert_sockets_kept,
    at,
    metric,
)
from tests.e2e.deadline import until


def test_f01_origin_process_crashes_and_its_encoder_returns(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with Encoder(at(a, b, c), MOUNT, retry_s=0.3) as encoder:
        pycast_cluster.wait_for_mount(MOUNT)
        others = [*crowd.add(at(b), MOUNT, 3), *crowd.add(at(c), MOUNT, 3), *crowd.add(at(c), MOUNT, icy=True)]
        own = [*crowd.add(at(a, b), MOUNT, reconnect_s=0.2), *crowd.add(at(a, c), MOUNT, reconnect_s=0.2)]
        crowd.wait_playing(9)
        encoder.wait_sent(2.0)
        killed = time.monotonic()
        pycast_cluster.kill("a")
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        back = encoder.wait_on_air()
        crowd.wait_heard([*others, *own], 0, back.first + 40)
        reports, moved = crowd.reports(others), crowd.reports(own)
    assert back.accepted - back.began < STEAL_S
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    for report in reports:
        (gap,) = report.gaps
        assert gap.seq + gap.frames == back.first
        lost = encoder.sent(gap.seq, gap.frames, before=killed - LAST_WORDS_S)
        assert not lost, "more was lost than the dead node alone had"
        assert gap.at - back.accepted < STEAL_S
    for report in moved:
        assert report.connections[-1].status == 200 and not report.damage


def test_f01_standby_encoder_goes_on_when_the_origin_crashes(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with Encoder(at(a), MOUNT, programme=1, retry_s=None) as first:
        pycast_cluster.wait_for_mount(MOUNT)
        ids = [*crowd.add(at(b), MOUNT, 3), *crowd.add(at(c), MOUNT, 3), *crowd.add(at(b), MOUNT, icy=True)]
        crowd.wait_playing(7)
        with Encoder(at(c), MOUNT, programme=2, retry_s=None) as second:
            first.wait_sent(2.0)
            assert metric(c, "pycast_standbys") == 1
            assert not any(report.switches for report in crowd.reports(ids)), "two encoders are heard"
            pycast_cluster.kill("a")
            killed = time.monotonic()
            crowd.wait_heard(ids, 2)
            second.wait_sent(1.0)
            reports = crowd.reports(ids)
            assert len(second.sessions) == 1
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    for report in reports:
        ((before, after),) = [(switch.before, switch.after) for switch in report.switches]
        assert (before, after) == (1, 2) and not report.gaps
        assert report.switches[0].at - killed < STEAL_S
        assert report.longest_silence_ms < STEAL_S * 1000


def test_f02_origin_host_vanishes_without_closing_its_connections() -> None:
    with (
        Network("a", "b", "c", "clients") as net,
        Cluster(3, hosts=net.addresses("abc"), build=net.server) as cluster,
        Encoder(at(*cluster), MOUNT, retry_s=0.3, patience_s=2.0, place=net["clients"].inside) as encoder,
    ):
        cluster.wait_for_mount(MOUNT)
        with net["clients"].inside():
            crowd = Crowd()
        with crowd:
            ids = crowd.add(at(cluster["b"]), MOUNT, 3) + crowd.add(at(cluster["c"]), MOUNT, 3)
            crowd.wait_playing(6)
            encoder.wait_sent(2.0)
            net["a"].link_down()
            until(lambda: not encoder.is_on_air, "the encoder to lose patience")
            back = encoder.wait_on_air()
            crowd.wait_heard(ids, 0, back.first + 40)
            reports = crowd.reports(ids)
        assert back.accepted - back.began < STEAL_S + SUSPECT_S
        assert_sockets_kept(reports)
        assert_same_ending(reports)
        for report in reports:
            (gap,) = report.gaps
            assert gap.at - back.began < STEAL_S + SUSPECT_S
        until(lambda: metric(cluster["b"], "pycast_cluster_nodes", status="dead") == 1, "a to be called dead", 6)


def test_f07_partition_gives_two_programmes_until_it_heals_and_one_afterwards() -> None:
    with (
        Network("a", "b", "c", "clients") as net,
        Cluster(3, hosts=net.addresses("abc"), build=net.server) as cluster,
        Encoder(at(cluster["a"]), MOUNT, programme=1, retry_s=None, place=net["a"].inside) as first,
    ):
        a, b, c = cluster
        cluster.wait_for_mount(MOUNT)
        with net["a"].inside():
            minority = Crowd()
        with net["clients"].inside():
            majority = Crowd()
        with minority, majority:
            mine = minority.add(at(a), MOUNT, 3) + minority.add(at(a), MOUNT, icy=True)
            theirs = majority.add(at(b), MOUNT, 3) + majority.add(at(c), MOUNT, 3)
            minority.wait_playing(4)
            majority.wait_playing(6)
            net["a"].link_down()
            with Encoder(at(b), MOUNT, programme=2, place=net["clients"].inside, retry_s=None) as second:
                majority.wait_heard(theirs, 2)
                first.wait_sent(SUSPECT_S)
                minority.wait_heard(mine, 1, first.sessions[0].after_last - 40)
                assert all(report.is_flawless for report in minority.reports()), "the minority's own programme suffered"
                net["a"].link_up()
                minority.wait_heard(mine, 2)
                second.wait_sent(2.0)
                until(lambda: metric(a, "pycast_standbys") == 1, "the old encoder to stand by")
                assert metric(a, "pycast_stepdowns_total") == 1
                for report in [*minority.reports(mine), *majority.reports(theirs)]:
                    assert [(switch.before, switch.after) for switch in report.switches] == [(1, 2)]
                assert_sockets_kept([*minority.reports(mine), *majority.reports(theirs)])
                assert first.is_on_air and second.is_on_air and len(first.sessions) == 1


RACES = 200


@pytest.mark.pycast(size=2, on_conflict="reject")
def test_f08_of_two_encoders_at_once_exactly_one_wins(pycast_cluster: Cluster) -> None:
    start = Barrier(2)

    def race(which: int, number: int) -> int:
        encoder = Encoder(at(pycast_cluster[which]), f"/race{number}.mp3", programme=which, retry_s=None)
        start.wait(10)
        encoder.start()
        until(lambda: encoder.sessions and (encoder.is_on_air or encoder.sessions[0].ended), "an answer")
        status = encoder.sessions[0].status
        start.wait(10)  # neither leaves before both have an answer
        encoder.stop()
        return status

    with ThreadPoolExecutor(2) as pool:
        for number in range(RACES):
            statuses = sorted(pool.map(race, (0, 1), (number, number)))
            assert statuses == [200, 403], f"race {number}"
    assert sum(metric(server, "pycast_claims_total", result="won") for server in pycast_cluster) == RACES


def test_f08_loser_stands_by_and_goes_on_when_the_winner_ends(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    encoders = [
        Encoder(at(server), MOUNT, programme=number, retry_s=None) for number, server in enumerate((a, b), start=1)
    ]
    for encoder in encoders:
        encoder.start()
    try:
        for encoder in encoders:
            encoder.wait_on_air()
        pycast_cluster.wait_for_mount(MOUNT)
        ids = crowd.add(at(a, b, c), MOUNT, 6)
        crowd.wait_playing(6)
        encoders[0].wait_sent(2.0)
        (winner,) = {report.last_programme for report in crowd.reports(ids)}
        assert not any(report.switches for report in crowd.reports(ids)), "two programmes are mixed"
        assert metric(a, "pycast_standbys") + metric(b, "pycast_standbys") == 1
        encoders[winner - 1].stop()
        ended = time.monotonic()
        crowd.wait_heard(ids, 3 - winner)
        encoders[2 - winner].wait_sent(1.0)
        reports = crowd.reports(ids)
    finally:
        for encoder in encoders:
            encoder.stop()
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    assert all(len(report.switches) == 1 and report.switches[0].at - ended < STEAL_S for report in reports)


@pytest.mark.parametrize("lost", ["x", "z"])
@pytest.mark.pycast(size=6, zones=["x", "x", "y", "y", "z", "z"])
def test_f12_zone_is_lost_and_the_others_take_its_listeners(pycast_cluster: Cluster, crowd: Crowd, lost: str) -> None:
    zones = dict(zip(pycast_cluster.names, "xxyyzz", strict=True))
    dead = [name for name, zone in zones.items() if zone == lost]
    alive = [name for name in pycast_cluster.names if name not in dead]
    everywhere = at(*pycast_cluster)
    with Encoder(everywhere, MOUNT, retry_s=0.2) as encoder:
        pycast_cluster.wait_for_mount(MOUNT)
        moved: list[int] = []
        kept = [which for name in alive for which in crowd.add(at(pycast_cluster[name]), MOUNT, 10)]
        for name in dead:  # each begins at this node, and then takes the next one that lives
            ways = at(pycast_cluster[name], *(pycast_cluster[one] for one in alive))
            moved += [crowd.add(ways, MOUNT, reconnect_s=0.2)[0] for _ in range(10)]
        crowd.wait_playing(len(kept) + len(moved))
        encoder.wait_sent(2.0)
        killed = time.monotonic()
        for name in dead:
            pycast_cluster.kill(name)
        if lost == "x":
            until(lambda: not encoder.is_on_air, "the encoder to notice")
        with Lateness(encoder, [crowd.pid, *(pycast_cluster[name].pid for name in alive)]) as lateness:
            crowd.wait_heard(kept + moved, 0, encoder.wait_on_air().after_last)
        encoder.wait_sent(2.0)
        reports = crowd.reports(kept)
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    # Without the source's zone they miss nothing.
    limit_s = 5.0 if lost == "x" else 2.0
    for report in reports:
        assert report.longest_silence_ms < limit_s * 1000
        assert not any(encoder.sent(gap.seq, gap.frames, before=killed - LAST_WORDS_S) for gap in report.gaps)
        assert len(report.gaps) == (lost == "x")
    if lost == "z":  # half a second is between two passes
        assert lateness.longest_s(reports) < RESUME_S + 0.25
    for report in crowd.reports(moved):
        assert report.connections[-1].status == 200 and report.connections[-1].first_audio - killed < 5.0
