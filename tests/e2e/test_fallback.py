"""Listeners are moved to another mount while theirs has no source, and back."""

from itertools import groupby
from typing import Any

import pytest

from pycast.testing import Cluster, Server
from tests.cluster_e2e.nodes import metric
from tests.e2e.deadline import until
from tests.e2e.wire import get

LIVE, BACKUP, LAST = "/live.mp3", "/backup.mp3", "/last.mp3"
MOUNTS: list[dict[str, Any]] = [
    {"mount_name": LIVE, "fallback_mount": BACKUP, "fallback_override": True, "fallback_when_full": True},
    {"mount_name": BACKUP, "fallback_mount": LAST},
]
# Where each programme's numbers begin: a frame's thousands say of which it is.
ON_BACKUP, BACK = 1000, 2000


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_listeners_go_to_the_fallback_and_come_back_frame_by_frame(pycast_server: Server) -> None:
    server = pycast_server
    with server.stream(BACKUP, speed=0, first=ON_BACKUP) as backup, server.stream(LIVE, speed=0) as live:
        backup.send(50)
        live.send(50)
        with server.listen(LIVE, icy=False) as heard, server.listen(BACKUP, icy=False) as own:
            live.send(50)
            heard.wait_for_frame(99)
            live.disconnect()
            until(lambda: server.listeners(BACKUP) == 2, "the listener on the fallback")
            backup.send(50)
            heard.wait_for_frame(ON_BACKUP + 99)
            with server.stream(LIVE, speed=0, first=BACK) as back:
                back.send(10)  # it is on the air once its format is known
                until(lambda: server.listeners(LIVE) == 1, "the listener to be back")
                back.send(40)
                heard.wait_for_frame(BACK + 49)
                own.wait_for_frame(ON_BACKUP + 99)
                assert server.listeners(BACKUP) == 1, "who asked for the fallback was taken along"
        assert not heard.frames.foreign and not heard.frames.rest, "a frame was cut"
        # In which of the live frames the listener began depends on who was quicker, it or the source.
        runs = [list(of_one) for _, of_one in groupby(heard.frames.numbers, lambda number: number // 1000)]
        assert [run[-1] for run in runs] == [99, ON_BACKUP + 99, BACK + 49]
        assert all(run == list(range(run[0], run[-1] + 1)) for run in runs), "a frame is missing"
        assert len(runs[0]) >= 50 and len(runs[2]) >= 40


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_a_player_with_titles_never_loses_count(pycast_server: Server) -> None:
    server = pycast_server
    with (
        server.stream(BACKUP, title="Backup", speed=0, first=ON_BACKUP) as backup,
        server.stream(LIVE, title="Live", speed=0) as live,
    ):
        backup.send(50)
        live.send(50)
        with server.listen(LIVE) as heard:
            interval = int(heard.headers["icy-metaint"])
            live.send(90)
            heard.wait_for_bytes(interval)
            live.disconnect()
            until(lambda: server.listeners(BACKUP) == 1, "the listener on the fallback")
            backup.send(200)
            heard.wait_for_bytes(5 * interval)
    assert [title.raw for title in heard.titles] == [b"StreamTitle='Live';", b"StreamTitle='Backup';"]
    assert not heard.frames.foreign and heard.frames.is_in_order


@pytest.mark.pycast(mount=MOUNTS)
def test_a_mount_without_a_source_is_answered_by_the_chain_of_its_fallbacks(pycast_server: Server) -> None:
    server = pycast_server
    assert get(server.port, LIVE).status == 404
    with server.stream(LAST, speed=0) as last:
        last.send(50)
        with server.listen(LIVE) as heard:
            heard.wait_for_frame(49)
        with server.stream(LIVE, headers={"Content-Type": "application/ogg"}, speed=0):
            assert b"<fallback>/backup.mp3</fallback>" in server.get("/admin/listmounts", admin=True)[1]
            with server.listen(LAST) as heard:
                heard.wait_for_frame(49)
                assert server.listeners(LIVE) == 0, "moved to a stream of another kind"


@pytest.mark.pycast(mount=[MOUNTS[0] | {"max_listeners": 1}])
def test_a_listener_of_a_full_mount_gets_the_fallback(pycast_server: Server) -> None:
    server = pycast_server
    with server.stream(LIVE, speed=0) as live, server.stream(BACKUP, speed=0, first=ON_BACKUP) as backup:
        live.send(50)
        backup.send(50)
        with server.listen(LIVE) as first, server.listen(LIVE) as second:
            first.wait_for_frames(50)
            second.wait_for_frames(50)
    assert (first.frames.numbers[-1], second.frames.numbers[-1]) == (49, ON_BACKUP + 49)


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_a_fallback_on_another_node_serves_as_well(pycast_cluster: Cluster) -> None:
    a, b, c = pycast_cluster
    with b.stream(BACKUP, speed=0, first=ON_BACKUP) as backup, a.stream(LIVE, speed=0) as live:
        backup.send(50)
        live.send(50)
        pycast_cluster.wait_for_mount(LIVE)
        with c.listen(LIVE) as heard:
            live.send(50)
            heard.wait_for_frame(99)
            live.disconnect()
            until(lambda: metric(c, "pycast_mount_listeners", mount=BACKUP) == 1, "the listener on the fallback")
            backup.send(50)
            heard.wait_for_frame(ON_BACKUP + 99)
            with b.stream(LIVE, speed=0, first=BACK) as back:
                back.send(10)
                until(lambda: metric(c, "pycast_mount_listeners", mount=LIVE) == 1, "the listener to be back")
                back.send(40)
                heard.wait_for_frame(BACK + 49)
                assert {number // 1000 for number in heard.frames.numbers} == {0, 1, 2} and not heard.frames.foreign
