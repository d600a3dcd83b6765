"""Planned actions of an operator: a node is drained, all are restarted one by one, a name is used twice.

Each test carries the number of its case. Only the drained node's own clients may notice.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import pytest

from benchmarks.frames import FRAME_S, offset_of
from pycast.testing import Cluster, Server, ServerDied
from pycast.testing.server_cluster import SECRET
from tests.cluster_e2e.crowd import Crowd
from tests.cluster_e2e.encoder import Encoder, Session
from tests.cluster_e2e.nodes import MOUNT, assert_same_ending, assert_sockets_kept, at, metric
from tests.e2e.deadline import until
from tests.e2e.stopwatch import ProcessorWaits

LEAD_S = 0.5
RATE = 0.25
DEADLINE_S = 2.0
STOP_S = 1.5
"""From the end of a drain to the end of the process."""


@pytest.fixture
def crowd() -> Iterator[Crowd]:
    with Crowd() as listeners:
        yield listeners


def add_at(crowd: Crowd, first: Server, others: list[Server], count: int) -> list[int]:
    """Adds players that begin at the node `first`, and take another one when that disconnects them."""
    return [
        crowd.add(at(first, *others[turn:], *others[:turn]), MOUNT, reconnect_s=0.2)[0]
        for turn in (number % len(others) for number in range(count))
    ]


def drain(server: Server) -> "subprocess.CompletedProcess[str]":
    """Runs `pycast drain` until it ends."""
    login = ("--user", server.admin_user, "--password", server.admin_password)
    command = (sys.executable, "-m", "pycast", "drain", server.url, *login)
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def has_ended(server: Server) -> bool:
    return server.exit_status == 0


def first_unread(server: Server, session: Session) -> int:
    """Returns the first frame of a session that the node has not read, or not all of it."""
    (size,) = re.findall(r"source from .* ended after (\d+) bytes", server.log())
    return max(
        number
        for number in range(session.first, session.after_last + 1)
        if offset_of(number) - offset_of(session.first) <= int(size)
    )


@pytest.mark.pycast(drain={"lead": LEAD_S, "rate": RATE, "deadline": 30.0})
def test_f13_node_with_a_source_is_scaled_in(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with Encoder(at(a, b, c), MOUNT, retry_s=0.2) as encoder:
        pycast_cluster.wait_for_mount(MOUNT)
        others = [*crowd.add(at(b), MOUNT, 3), *crowd.add(at(c), MOUNT, 3), *crowd.add(at(c), MOUNT, icy=True)]
        own = add_at(crowd, a, [b, c], 20)
        crowd.wait_playing(27)
        encoder.wait_sent(1.0)
        begun = time.monotonic()
        with ProcessorWaits([os.getpid(), a.pid, crowd.pid]) as waits:
            done = drain(a)
        assert done.returncode == 0 and done.stdout.splitlines()[-1] == "empty; 0 listeners", done
        assert a.get("/livez")[0] == 200 and a.get("/readyz")[0] == 503
        back = encoder.wait_on_air()
        assert len(encoder.sessions) == 2 and back.address != encoder.sessions[0].address
        a.stop()
        encoder.wait_sent(1.0)
        crowd.wait_playing(27)
        reports, moved = crowd.reports(others), crowd.reports(own)
    assert_sockets_kept(reports)
    assert_same_ending(reports)
    # A frame may be on its way while the node ends the connection; more, where the machine holds the node up.
    unread = first_unread(a, encoder.sessions[0])
    assert encoder.sessions[0].after_last - unread <= 1 + waits.seconds / FRAME_S
    for report in reports:
        (gap,) = report.gaps
        assert gap.seq == unread and gap.seq + gap.frames == back.first, "more than its absence"
    ends = sorted(report.connections[0].ended - begun for report in moved)
    assert ends[0] > LEAD_S, "a listener was touched before the balancer knew"
    for early, late in zip(ends, ends[6:], strict=False):
        assert late - early > 1.0 - waits.seconds, f"more than {RATE:.0%} a second: {ends}"
    for report in moved:
        assert [one.status for one in report.connections] == [200, 200], "moved more than once"
        assert not report.damage
        # Who moves while the encoder is away misses its absence in between.
        lost = {(jump.seq, jump.seq + jump.frames) for jump in [*report.gaps, *report.missed]}
        assert lost <= {(unread, back.first)}, "more than the encoder's absence"


@pytest.mark.timeout(120)
@pytest.mark.pycast(server={"drain": True}, drain={"lead": LEAD_S, "rate": 1.0, "deadline": 20.0})
def test_f14_all_nodes_are_restarted_one_by_one(pycast_cluster: Cluster, crowd: Crowd) -> None:
    nodes = {name: pycast_cluster[name] for name in pycast_cluster.names}
    restarts: list[tuple[str, float, float]] = []
    with Encoder(at(*nodes.values()), MOUNT, retry_s=0.2) as encoder:
        pycast_cluster.wait_for_mount(MOUNT)
        for name, server in nodes.items():
            add_at(crowd, server, [other for key, other in nodes.items() if key != name], 5)
        crowd.wait_playing(15)
        for name, server in nodes.items():
            begun = time.monotonic()
            os.kill(server.pid, signal.SIGTERM)
            until(partial(has_ended, server), f"node {name} to drain and to end", 20)
            restarts.append((f"{server.host}:{server.port}", begun, time.monotonic()))
            pycast_cluster.restart(name)
            encoder.wait_on_air()
            pycast_cluster.wait_for_mount(MOUNT)
            crowd.wait_playing(15)
        encoder.wait_sent(1.0)
        reports = crowd.reports()
        assert encoder.is_on_air

    def is_planned(address: str, moment: float) -> bool:
        return any(address == node and begun <= moment <= ended for node, begun, ended in restarts)

    for report in reports:
        assert not report.damage and not report.repeats
        for connection in report.connections:
            assert connection.status in (0, 200), "the mount was lost"
            if connection.status and connection.ended:
                assert is_planned(connection.address, connection.ended), f"{connection}, restarts {restarts}"
    for session in encoder.sessions:
        assert session.status in (0, 200), session
    lost = [one for one in encoder.sessions[:-1] if one.status]
    assert all(is_planned(f"{one.address[0]}:{one.address[1]}", one.ended) for one in lost), lost
    assert sum(metric(server, "pycast_cluster_nodes", status="up") for server in nodes.values()) == 9


def test_a_node_that_is_stopped_without_a_drain_keeps_nothing_to_itself(pycast_cluster: Cluster, crowd: Crowd) -> None:
    a, b, c = pycast_cluster
    with Encoder(at(a, b, c), MOUNT, retry_s=0.2) as encoder:
        pycast_cluster.wait_for_mount(MOUNT)
        own, others = crowd.add(at(a), MOUNT, 2), crowd.add(at(b, c), MOUNT, 4)
        crowd.wait_playing(6)
        encoder.wait_sent(1.0)
        a.stop()
        crowd.wait_heard(others, 0, encoder.wait_on_air().first + 40)
        last = {report.last_seq for report in crowd.reports(own)}
        reports = crowd.reports(others)
    assert_sockets_kept(reports)
    assert {gap.seq - 1 for report in reports for gap in report.gaps} == last, "they heard less than its own listeners"


@pytest.mark.parametrize(("lead", "rate"), [(60.0, 1.0), (0.1, 0.01)])
def test_f13_deadline_of_a_drain_holds_although_listeners_remain(crowd: Crowd, lead: float, rate: float) -> None:
    way = {"lead": lead, "rate": rate, "deadline": DEADLINE_S}
    with (
        Cluster(2, server={"drain": True}, drain=way) as cluster,
        Encoder(at(cluster["a"]), MOUNT, retry_s=None) as encoder,
    ):
        a = cluster["a"]
        crowd.add(at(a), MOUNT, 20)
        crowd.wait_playing(20)
        encoder.wait_sent(1.0)
        cluster.pause("b")  # nor does a node that does not answer hold it up
        begun = time.monotonic()
        os.kill(a.pid, signal.SIGTERM)
        until(partial(has_ended, a), "the node to end", DEADLINE_S + STOP_S)
        assert time.monotonic() - begun > DEADLINE_S - 0.1
        cluster.resume("b")
        until(lambda: all(report.disconnects for report in crowd.reports()), "all listeners to be let go")
        assert not any(report.damage or report.gaps for report in crowd.reports())


@pytest.mark.pycast(size=2)
def test_f18_second_node_of_a_name_in_a_mesh_refuses_to_start(pycast_cluster: Cluster) -> None:
    b = pycast_cluster["b"]
    twin = Server(cluster={"secret": SECRET, "node": "a", "peers": [f"{b.host}:{b.port}"]})
    with pytest.raises(ServerDied, match=r"(?s)status 1.*cluster\.node = 'a'.*a name of its own"):
        twin.start()
    assert [metric(server, "pycast_cluster_nodes", status="up") for server in pycast_cluster] == [2, 2]
