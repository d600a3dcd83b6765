"""conf/nginx.conf before a cluster: it learns that a node is gone from connections that fail, and that is enough."""

import time

from tests.balancer.cluster_nodes import audio_again_s, connected_listeners, site
from tests.balancer.nodes import CONF
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import LAST_WORDS_S, MOUNT, assert_same_ending, assert_sockets_kept
from tests.e2e.deadline import until
from tests.e2e.nginx import Nginx

STREAM, HTTP = "8000", "80"
RETRY_S = 0.2
REHOMED_S = 3.0


def test_f01_the_node_of_the_source_dies_behind_nginx_and_only_its_own_listeners_have_to_connect_again() -> None:
    with site() as one, Crowd() as crowd:
        text = one.adapted((CONF / "nginx.conf").read_text()).replace("worker_processes auto", "worker_processes 1")
        text = text.replace("worker_connections 40000", "worker_connections 2000")
        with Nginx(text.replace("worker_rlimit_nofile 100000;", ""), [STREAM, HTTP]) as proxy:
            ways = {name: [("127.0.0.1", proxy.ports[name])] for name in (STREAM, HTTP)}
            with Encoder(ways[STREAM], MOUNT, retry_s=RETRY_S) as encoder:
                one.wait_for_mount()
                ids = [id for way in ways.values() for id in crowd.add(way, MOUNT, 150, reconnect_s=RETRY_S)]
                crowd.wait_playing(300)
                until(lambda: sum(connected_listeners(one).values()) == 300, "all of them")
                name = one.source_node()
                lost = connected_listeners(one)[name]
                assert lost > 60, "nginx did not spread them"
                encoder.wait_sent(2.0)
                killed = time.monotonic()
                one.cluster.kill(name)
                until(lambda: not encoder.is_on_air, "the encoder to notice")
                back = encoder.wait_on_air()
                crowd.wait_heard(ids, 0, back.first + 40)
                reports = crowd.reports(ids)
    kept = [report for report in reports if not report.disconnects]
    moved = [report for report in reports if report.disconnects]
    again = audio_again_s(moved, killed)
    print(f"audio again: {again[len(again) // 2]:.2f} s half, {again[-1]:.2f} s all of {len(again)}")
    assert len(moved) == lost, "listeners of other nodes were cut off"
    assert_sockets_kept(kept)
    assert_same_ending(kept)
    for report in kept:
        (gap,) = report.gaps
        assert gap.seq + gap.frames == back.first, "the encoder's own absence is the only gap"
        assert not encoder.sent(gap.seq, gap.frames, before=killed - LAST_WORDS_S)
    assert again[-1] < REHOMED_S
