"""Failure cases of overload: a node that is too slow, and a thousand listeners that come back at once.

Each test carries the number of its case. Sources on the air and other listeners must not notice either.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from benchmarks.frames import BYTES_PER_S
from pycast.testing import Cluster, Server
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.nodes import MOUNT, at, behind_proxies, busiest, metric
from tests.e2e.deadline import until
from tests.e2e.wire import get

STOPPED_S, RUNNING_S = 0.6, 0.06
REPARENT_S = 20.0
"""The lag is smoothed over 2 s, announced every 2 s, and parents are reviewed every 5 s."""

STORM = 1000
IN_PEACE = 50
ROOM = 400
STORM_S = 15.0
BUFFERED_MS = 1000.0 * 64 * 1024 / BYTES_PER_S
"""What a player has in its buffer after the burst: nobody hears a shorter silence. `bench_storm` measures how short."""


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners


@contextmanager
def slow(server: Server) -> Iterator[None]:
    """Gives the server a tenth of its time, in small pieces, as on an overloaded machine."""
    over = threading.Event()

    def pulse() -> None:
        while not over.is_set():
            server.pause()
            over.wait(STOPPED_S)
            server.resume()
            over.wait(RUNNING_S)

    thread = threading.Thread(target=pulse, name="pulse")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_f10_slow_node_is_no_longer_a_parent_and_does_not_count_as_dead(crowd: Crowd) -> None:
    with (
        behind_proxies(3, zones=["x", "y", "y"]) as (cluster, proxies),
        Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder,
    ):
        cluster.wait_for_mount(MOUNT)
        crowd.add(at(*cluster), MOUNT, 9)
        crowd.wait_playing(9)
        weak = busiest(proxies, encoder, "bc")
        other = "c" if weak == "b" else "b"
        with slow(cluster[weak]):
            passed = proxies[other].passed("down")

            def is_passed_on_by_the_other() -> bool:
                for name in ("a", other):
                    assert metric(cluster[name], "pycast_cluster_nodes", status="up") == 3, "it answers, if late"
                return proxies[other].passed("down") - passed > BYTES_PER_S

            until(is_passed_on_by_the_other, "the slow node's child to be its parent", REPARENT_S)
            assert metric(cluster[weak], "pycast_headroom_percent") < 10
        encoder.wait_sent(2.0)
        crowd.wait_playing(9)
        for report in crowd.reports():
            assert report.is_flawless, report
        assert sum(metric(server, "pycast_mirror_gap_bytes_total") for server in cluster) == 0


def build(name: str, settings: Mapping[str, Any]) -> Server:
    """Returns a server: node a has room for all, the others together for fewer."""
    room = STORM + ROOM if name == "a" else ROOM
    return Server(**{**settings, "limits": {"clients": room}})


def is_full(server: Server) -> bool:
    reply = get(server.port, MOUNT, method="HEAD")
    return (reply.status, reply.header("retry-after")) == (503, "5")


@pytest.mark.timeout(180)
def test_f17_storm_of_returning_listeners_is_accepted_as_far_as_there_is_room(crowd: Crowd) -> None:
    with (
        Cluster(3, build=build) as cluster,
        Encoder(at(cluster["b"]), MOUNT, retry_s=None) as encoder,
    ):
        a, b, c = cluster
        cluster.wait_for_mount(MOUNT)
        peaceful = crowd.add(at(b), MOUNT, IN_PEACE) + crowd.add(at(c), MOUNT, IN_PEACE)
        storm = [
            crowd.add(at(a, *((b, c) if number % 2 else (c, b))), MOUNT, reconnect_s=0.5)[0] for number in range(STORM)
        ]
        crowd.wait_heard([*peaceful, *storm], 0, timeout=60)
        cluster.kill("a")
        for server in (b, c):
            until(partial(is_full, server), f"{server.url} to be full", STORM_S)
        until(lambda: crowd.playing() >= 2 * ROOM - 20, "as many to play as there is room for", STORM_S)
        encoder.wait_sent(3.0)
        for server in (b, c):
            assert [server.get(path)[0] for path in ("/livez", "/readyz")] == [200, 200]
        assert crowd.playing() <= 2 * ROOM
        reports, returned = crowd.reports(peaceful), crowd.reports(storm)
    for report in reports:
        assert report.is_flawless and report.longest_silence_ms < BUFFERED_MS, report
    statuses = {connection.status for report in returned for connection in report.connections[1:]}
    assert {200, 503} <= statuses <= {0, 200, 503}, "others than those beyond the limit were turned away"
    for report in returned:
        assert not report.damage and not report.gaps
