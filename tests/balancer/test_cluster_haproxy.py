"""conf/haproxy.cfg before a cluster: any way in reaches any node, and when a node dies or drains, listeners of the
others do not notice.

HAProxy has the example's own pace: a check every two seconds, the third failure counts.
"""

import time
from collections.abc import Iterator

import pytest

from tests.balancer.cluster_nodes import (
    BACKENDS,
    HTTP,
    NAMES,
    TCP,
    Site,
    audio_again_s,
    behind_haproxy,
    connected_listeners,
    site,
    wait_for_all,
)
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Address, Encoder
from tests.cluster_e2e.nodes import LAST_WORDS_S, assert_same_ending, assert_sockets_kept, metric
from tests.e2e.deadline import until
from tests.e2e.haproxy import HAProxy
from tests.e2e.wire import basic, get

RETRY_S = 0.2
REHOMED_S = 3.0
LEAD_S, RATE = 3.0, 0.2
Behind = tuple[Site, HAProxy]


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    """One cluster for the tests of this file: each has a mount of its own."""
    with site(drain={"lead": LEAD_S, "rate": RATE, "deadline": 60}) as one, behind_haproxy(one) as proxy:
        yield one, proxy


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners


def way_in(proxy: HAProxy, bind: str = TCP) -> list[Address]:
    return [("127.0.0.1", proxy.ports[bind])]


def wait_for_listeners(one: Site, count: int) -> dict[str, int]:
    """Returns what each node has, once it is `count` in all."""
    until(lambda: sum(connected_listeners(one).values()) == count, f"{count} listeners")
    return connected_listeners(one)


def test_lb_19_listeners_of_both_ways_in_spread_over_all_nodes_and_hear_the_same(behind: Behind, crowd: Crowd) -> None:
    one, proxy = behind
    with Encoder(way_in(proxy), "/any.mp3") as encoder:
        one.wait_for_mount("/any.mp3")
        ids = crowd.add(way_in(proxy), "/any.mp3", 45) + crowd.add(way_in(proxy, HTTP), "/any.mp3", 45, icy=True)
        crowd.wait_playing(90)
        assert min(wait_for_listeners(one, 90).values()) > 10
        encoder.wait_sent(2.0)
        crowd.wait_heard(ids, 0, encoder.count_sent() - 40)
        assert all(report.is_flawless for report in crowd.reports())
        crowd.hang_up(ids)
        wait_for_listeners(one, 0)


def test_lb_05_a_listener_is_known_by_its_own_address_on_whichever_node(behind: Behind, crowd: Crowd) -> None:
    one, proxy = behind
    with Encoder(way_in(proxy), "/known.mp3"):
        one.wait_for_mount("/known.mp3")
        crowd.add(way_in(proxy), "/known.mp3", 9)
        crowd.wait_playing(9)
        wait_for_listeners(one, 9)
        _, listed = one.cluster["c"].get("/admin/listclients?mount=/known.mp3", admin=True)
        assert listed.count(b"<IP>127.0.0.1</IP>") == 9
        _, stats = one.cluster["c"].get("/admin/stats?mount=/known.mp3", admin=True)
        assert b"<source_ip>127.0.0.1</source_ip>" in stats


def drain(one: Site, name: str, query: str = "") -> None:
    login = basic("admin", "adminpass")
    path = f"/admin/drain?{query}"
    assert get(one.port, path, login, method="POST", host=one.cluster[name].host).status == 200


def test_lb_16_lb_17_f13_a_node_that_drains_gets_no_listener_and_its_own_move_at_the_rate(
    behind: Behind, crowd: Crowd
) -> None:
    one, proxy = behind
    with Encoder(way_in(proxy), "/drain.mp3") as encoder:
        one.wait_for_mount("/drain.mp3")
        ids = crowd.add(way_in(proxy), "/drain.mp3", 300, reconnect_s=RETRY_S)
        crowd.wait_playing(300)
        name = one.source_node()
        there = wait_for_listeners(one, 300)[name]
        began = time.monotonic()
        drain(one, name)
        until(lambda: proxy.seen(f"nodes_tcp/{name}").status != "UP", "HAProxy to hear of it")
        assert time.monotonic() - began < LEAD_S
        taken = metric(one.cluster[name], "pycast_listener_connections_total")
        late = crowd.add(way_in(proxy), "/drain.mp3", 30)
        until(lambda: connected_listeners(one)[name] == 0, "the node to be empty", 30)
        back = encoder.wait_on_air()
        crowd.wait_heard(ids + late, 0, back.first + 80)
        assert metric(one.cluster[name], "pycast_listener_connections_total") == taken
        reports = crowd.reports()
    drain(one, name, "cancel=1")
    wait_for_all(proxy, status="UP")
    moved = [report for report in reports if report.disconnects]
    assert len(moved) == there, "somebody else was cut off"
    assert all(report.disconnects == 1 and not report.damage for report in moved)
    gone = sorted(report.connections[0].ended - began for report in moved)
    assert gone[0] >= LEAD_S
    # A fifth of them in each second; what else runs on this machine may hold them up, but nobody goes ahead.
    assert max(number / (RATE * there) - (at - LEAD_S) for number, at in enumerate(gone)) < 0.3
    kept = [report for report in reports if not report.disconnects]
    assert_sockets_kept(kept)
    for report in kept:
        # A frame may be on its way to the node at the moment at which its encoder is sent away.
        assert sum(encoder.sent(gap.seq, gap.frames) for gap in report.gaps) <= 2, "a planned move lost audio"


@pytest.mark.timeout(180)
def test_f01_f17_the_node_of_the_source_dies_under_2000_listeners(behind: Behind, crowd: Crowd) -> None:
    one, proxy = behind
    with Encoder(way_in(proxy), "/live.mp3", retry_s=RETRY_S) as encoder:
        one.wait_for_mount()
        # A busy machine lets them all connect when it can: who gives up and comes again would count as cut off.
        ids = crowd.add(way_in(proxy), "/live.mp3", 2000, reconnect_s=RETRY_S, connect_s=60.0)
        crowd.wait_heard(ids, 0, timeout=60)
        name = one.source_node()
        lost = wait_for_listeners(one, 2000)[name]
        assert lost > 400, "HAProxy did not spread them"
        encoder.wait_sent(2.0)
        killed = time.monotonic()
        one.cluster.kill(name)
        until(lambda: not encoder.is_on_air, "the encoder to notice")
        back = encoder.wait_on_air()
        crowd.wait_heard(ids, 0, back.first + 40)
        encoder.wait_sent(1.0)
        reports = crowd.reports()
    one.cluster.restart(name)
    kept = [report for report in reports if not report.disconnects]
    moved = [report for report in reports if report.disconnects]
    again = audio_again_s(moved, killed)
    print(f"audio again: {again[len(again) // 2]:.2f} s half, {again[-1]:.2f} s all of {len(again)}")
    print(f"encoder back: {back.accepted - killed:.2f} s")
    assert len(moved) == lost, "listeners of other nodes were cut off"
    assert_sockets_kept(kept)
    assert_same_ending(kept)
    for report in kept:
        (gap,) = report.gaps
        assert gap.seq + gap.frames == back.first, "the encoder's own absence is the only gap"
        assert not encoder.sent(gap.seq, gap.frames, before=killed - LAST_WORDS_S)
    assert again[-1] < REHOMED_S
    wait_for_all(proxy, status="UP")


def test_lb_13_with_all_nodes_full_listeners_stay_new_ones_get_503_and_no_node_flaps(crowd: Crowd) -> None:
    with site(clients=20) as one, behind_haproxy(one) as proxy:
        ends = {bind: way_in(proxy, bind)[0][1] for bind in (TCP, HTTP)}
        with Encoder(way_in(proxy), "/live.mp3") as encoder:
            one.wait_for_mount()
            ids = crowd.add(way_in(proxy), "/live.mp3", 60)
            wait_for_all(proxy, weight=0, status="UP")
            for port in list(ends.values()) * 6:
                reply = get(port, "/live.mp3")
                assert (reply.status, reply.header("Retry-After")) == (503, "5")
            for server in one.cluster:
                assert server.get("/readyz")[0] == 200
            playing = crowd.playing()
            assert playing > 40
            encoder.wait_sent(2.0)
            accepted = [report for report in crowd.reports(ids) if report.connections[0].status == 200]
            assert len(accepted) == playing and all(report.is_flawless for report in accepted)
            assert {report.connections[0].status for report in crowd.reports(ids)} <= {200, 503}
            crowd.hang_up(ids)
            wait_for_all(proxy, status="UP", failures=0)
            until(lambda: all(proxy.seen(f"{one}/{name}").weight > 50 for one in BACKENDS for name in NAMES), "room")
