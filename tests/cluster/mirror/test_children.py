"""Connections of a mount's mirrors are woken by its audio, and by no other mount's."""

from gevent.event import Event

from pycast.cluster.mirror.children import Children
from pycast.stream.events import NewAudio


def test_new_audio_wakes_all_mirrors_of_the_mount_and_no_others() -> None:
    children, first, second, other = Children(), Event(), Event(), Event()
    for mount, news in (("/x", first), ("/x", second), ("/y", other)):
        children.add(mount, news)
    children.on_new_audio(NewAudio("/x"))
    assert [news.is_set() for news in (first, second, other)] == [True, True, False]


def test_they_are_counted_by_mount() -> None:
    children, first, second = Children(), Event(), Event()
    assert children.count("/x") == 0
    children.add("/x", first)
    children.add("/x", second)
    assert (children.count("/x"), children.count("/y")) == (2, 0)
    children.remove("/x", first)
    assert children.count("/x") == 1


def test_a_removed_connection_is_not_woken() -> None:
    children, gone, stays = Children(), Event(), Event()
    children.add("/x", gone)
    children.add("/x", stays)
    children.remove("/x", gone)
    children.on_new_audio(NewAudio("/x"))
    assert (gone.is_set(), stays.is_set()) == (False, True)


def test_audio_of_a_mount_without_mirrors_is_no_error() -> None:
    Children().on_new_audio(NewAudio("/x"))
