"""Connections of a mount's mirrors are told of its audio and its end, and of no other mount's."""

import gevent

from pycast.cluster.mirror.children import Children
from pycast.net.group import Group
from pycast.stream.events import MountClosed, NewAudio


class Connection:
    """One connection, and what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def wake(self) -> None:
        self.told.append("news")

    def finish(self) -> None:
        self.told.append("end")


def three() -> tuple[Children, Connection, Connection, Connection]:
    """Returns two connections of one mount, and one of another."""
    children, first, second, other = Children(), Connection(), Connection(), Connection()
    for mount, child in (("/x", first), ("/x", second), ("/y", other)):
        children.add(mount, child)
    return children, first, second, other


def test_new_audio_and_the_end_reach_all_mirrors_of_the_mount_and_no_others() -> None:
    children, *connections = three()
    children.on_new_audio(NewAudio("/x"))
    children.on_mount_closed(MountClosed("/x"))
    assert [one.told for one in connections] == [["news", "end"], ["news", "end"], []]


def test_they_are_counted_by_mount() -> None:
    children, first, _, _ = three()
    assert (children.count("/x"), children.count("/y"), children.count("/z")) == (2, 1, 0)
    children.remove("/x", first)
    assert children.count("/x") == 1


def test_a_removed_connection_is_told_nothing() -> None:
    children, gone, stays, _ = three()
    children.remove("/x", gone)
    children.on_new_audio(NewAudio("/x"))
    children.on_mount_closed(MountClosed("/x"))
    assert (gone.told, stays.told) == ([], ["news", "end"])


def test_a_mount_without_mirrors_is_no_error() -> None:
    Children().on_new_audio(NewAudio("/x"))
    Children().on_mount_closed(MountClosed("/x"))


def test_when_the_node_stops_all_are_told_and_waited_for_until_they_are_gone_or_the_time_is_over() -> None:
    (children, *connections), group = three(), Group()
    with gevent.Timeout(5):
        children.finish(0.01)
        assert [one.told for one in connections] == [["end"]] * 3
        for mount, one in zip(("/x", "/x", "/y"), connections, strict=True):
            group.spawn_later(0.01, "leaves", children.remove, mount, one)
        children.finish(60)
        assert children.count("/x") == children.count("/y") == 0
        children.finish(60)
