"""Listeners are moved to another mount while theirs has no source, and back."""

from itertools import groupby
from typing import Any

import pytest

from pycast.testing import Cluster, Server
from tests.cluster_e2e.nodes import metric
from tests.e2e.deadline import until
from tests.e2e.wire import IcyReader, Wire, get, listen, source

LIVE, BACKUP, LAST = "/live.mp3", "/backup.mp3", "/last.mp3"
MOUNTS: list[dict[str, Any]] = [
    {"mount_name": LIVE, "fallback_mount": BACKUP, "fallback_override": True, "fallback_when_full": True},
    {"mount_name": BACKUP, "fallback_mount": LAST},
]
FRAME = 417


def numbered(letter: bytes, first: int, count: int) -> bytes:
    """Returns frames that have their programme and number in them."""
    return b"".join(
        b"\xff\xfb\x90\x64" + b"%b%08d" % (letter, number) + bytes(FRAME - 13) for number in range(first, first + count)
    )


def read_until(wire: Wire, mark: bytes) -> bytes:
    return wire.read_to(mark) + wire.read(FRAME - 4 - len(mark))


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_listeners_go_to_the_fallback_and_come_back_frame_by_frame(pycast_server: Server) -> None:
    server = pycast_server
    with source(server.port, BACKUP, "sourcepass") as backup:
        backup.send(numbered(b"B", 0, 50))
        live = source(server.port, LIVE, "sourcepass").send(numbered(b"L", 0, 50))
        with listen(server.port, LIVE)[0] as wire, listen(server.port, BACKUP)[0] as own:
            live.send(numbered(b"L", 50, 50))
            heard = read_until(wire, b"L%08d" % 99)
            live.close()
            until(lambda: server.listeners(BACKUP) == 2, "the listener on the fallback")
            backup.send(numbered(b"B", 50, 50))
            heard += read_until(wire, b"B%08d" % 99)
            with source(server.port, LIVE, "sourcepass") as back:
                back.send(numbered(b"L", 100, 10))  # it is on the air once its format is known
                until(lambda: server.listeners(LIVE) == 1, "the listener to be back")
                back.send(numbered(b"L", 110, 40))
                heard += read_until(wire, b"L%08d" % 149)
                own.read_to(b"B%08d" % 99)
                assert server.listeners(BACKUP) == 1, "who asked for the fallback was taken along"
        frames = [heard[at : at + FRAME] for at in range(0, len(heard), FRAME)]
        assert all(one[:4] == b"\xff\xfb\x90\x64" for one in frames), "a frame was cut"
        # In which of the live frames the listener began depends on who was quicker, it or the source.
        numbers = [(letter, [int(one[5:13]) for one in of_one]) for letter, of_one in groupby(frames, lambda f: f[4:5])]
        assert [letter for letter, _ in numbers] == [b"L", b"B", b"L"]
        for (_, heard_numbers), last in zip(numbers, (99, 99, 149), strict=True):
            assert heard_numbers == list(range(last + 1 - len(heard_numbers), last + 1)), "a frame is missing"
        assert len(numbers[0][1]) >= 50 and len(numbers[2][1]) >= 40


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_a_player_with_titles_never_loses_count(pycast_server: Server) -> None:
    server = pycast_server
    with source(server.port, BACKUP, "sourcepass") as backup:
        backup.send(numbered(b"B", 0, 50))
        server.get(f"/admin/metadata?mount={BACKUP}&mode=updinfo&song=Backup", admin=True)
        live = source(server.port, LIVE, "sourcepass").send(numbered(b"L", 0, 50))
        server.get(f"/admin/metadata?mount={LIVE}&mode=updinfo&song=Live", admin=True)
        wire, reply = listen(server.port, LIVE, "Icy-MetaData: 1\r\n")
        with wire:
            ear = IcyReader(wire, int(reply.header("icy-metaint")))
            live.send(numbered(b"L", 50, 90))
            heard = ear.interval()
            live.close()
            until(lambda: server.listeners(BACKUP) == 1, "the listener on the fallback")
            backup.send(numbered(b"B", 50, 200))
            heard += ear.intervals(4)
    assert ear.titles[0] == b"StreamTitle='Live';" and ear.titles[1] == b"StreamTitle='Backup';"
    frames = [heard[at : at + 4] for at in range(0, len(heard) - 4, FRAME)]
    assert set(frames) == {b"\xff\xfb\x90\x64"}


@pytest.mark.pycast(mount=MOUNTS)
def test_a_mount_without_a_source_is_answered_by_the_chain_of_its_fallbacks(pycast_server: Server) -> None:
    server = pycast_server
    assert get(server.port, LIVE).status == 404
    with source(server.port, LAST, "sourcepass") as last:
        last.send(numbered(b"Z", 0, 50))
        with listen(server.port, LIVE)[0] as wire:
            wire.read_to(b"Z%08d" % 49)
        with source(server.port, LIVE, "sourcepass", content_type="application/ogg"):
            assert b"<fallback>/backup.mp3</fallback>" in server.get("/admin/listmounts", admin=True)[1]
            with listen(server.port, LAST)[0] as wire:
                wire.read_to(b"Z%08d" % 49)
                assert server.listeners(LIVE) == 0, "moved to a stream of another kind"


@pytest.mark.pycast(mount=[MOUNTS[0] | {"max_listeners": 1}])
def test_a_listener_of_a_full_mount_gets_the_fallback(pycast_server: Server) -> None:
    port = pycast_server.port
    with source(port, LIVE, "sourcepass") as live, source(port, BACKUP, "sourcepass") as backup:
        live.send(numbered(b"L", 0, 50))
        backup.send(numbered(b"B", 0, 50))
        with listen(port, LIVE)[0] as first, listen(port, LIVE)[0] as second:
            first.read_to(b"L%08d" % 49)
            second.read_to(b"B%08d" % 49)


@pytest.mark.pycast(mount=MOUNTS, burst_size=0)
def test_a_fallback_on_another_node_serves_as_well(pycast_cluster: Cluster) -> None:
    a, b, c = pycast_cluster
    with source(b.port, BACKUP, "sourcepass") as backup:
        backup.send(numbered(b"B", 0, 50))
        live = source(a.port, LIVE, "sourcepass").send(numbered(b"L", 0, 50))
        pycast_cluster.wait_for_mount(LIVE)
        with listen(c.port, LIVE)[0] as wire:
            live.send(numbered(b"L", 50, 50))
            wire.read_to(b"L%08d" % 99)
            live.close()
            until(lambda: metric(c, "pycast_mount_listeners", mount=BACKUP) == 1, "the listener on the fallback")
            backup.send(numbered(b"B", 50, 50))
            wire.read_to(b"B%08d" % 99)
            with source(b.port, LIVE, "sourcepass") as back:
                back.send(numbered(b"L", 100, 10))
                until(lambda: metric(c, "pycast_mount_listeners", mount=LIVE) == 1, "the listener to be back")
                back.send(numbered(b"L", 110, 40))
                wire.read_to(b"L%08d" % 149)
