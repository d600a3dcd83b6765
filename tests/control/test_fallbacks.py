"""Listeners are on the fallback while their mount has no source, and on their mount again when it has one."""

from collections.abc import Iterator

import pytest

from pycast.cluster.registry.cluster_state import OriginChanged
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import OriginRecord
from pycast.config.load import loads
from pycast.control.mount_finder import MOST_ORDERS
from pycast.formats.marks import Info
from pycast.stream.listener import Listener
from pycast.stream.mount import Mount
from tests.conftest import WaitUntil
from tests.control.stage import FakeMirrors, Stage, stage

MOUNT = '[[mount]]\nmount_name = "/a"\nfallback_mount = "/f"\nfallback_override = true\n'


@pytest.fixture
def node() -> Iterator[Stage]:
    with stage(MOUNT) as made:
        made.events.mount_state_changed.subscribe(made.fallbacks.on_mount_state_changed)
        yield made


def is_at(mount: Mount, listener: Listener) -> bool:
    return mount.fanout.get(listener.id) is listener


def test_listeners_go_to_the_fallback_and_come_back(node: Stage, wait_until: WaitUntil) -> None:
    a, fallback = node.begin("/a"), node.begin("/f")
    listener = node.listen(a)
    node.end("/a")
    wait_until(lambda: is_at(fallback, listener), "the fallback")
    node.begin("/a")
    wait_until(lambda: is_at(a, listener), "the way back")
    assert node.gone == []


def test_without_a_grace_they_are_moved_before_the_mount_ends(wait_until: WaitUntil) -> None:
    with stage(MOUNT + "source_grace = 0\n") as node:
        node.events.mount_state_changed.subscribe(node.fallbacks.on_mount_state_changed)
        a, fallback = node.begin("/a"), node.begin("/f")
        listener = node.listen(a)
        node.end("/a")
        wait_until(lambda: is_at(fallback, listener), "the fallback")
        assert node.gone == []


def test_without_override_they_stay_where_they_are(node: Stage, wait_until: WaitUntil) -> None:
    node.settings.replace(loads(MOUNT.replace("true", "false"), {}, "test"))
    a, fallback = node.begin("/a"), node.begin("/f")
    listener = node.listen(a)
    node.end("/a")
    wait_until(lambda: is_at(fallback, listener), "the fallback")
    node.begin("/a")
    wait_until(lambda: all(name != "back to /a" for name in names(node)), "the decision")
    assert is_at(fallback, listener)


def test_all_who_are_on_the_fallback_are_moved_to_the_mount_if_it_says_so(node: Stage, wait_until: WaitUntil) -> None:
    node.settings.replace(loads(MOUNT.replace("true", '"all"'), {}, "test"))
    fallback = node.begin("/f")
    own, other = node.listen(fallback), node.listen(fallback)
    other.requested_mount = "/b"
    a = node.begin("/a")
    wait_until(lambda: is_at(a, own) and is_at(a, other), "all")
    assert (own.requested_mount, other.requested_mount) == ("", "")
    bystander = node.listen(node.begin("/c"))
    node.end("/a")
    node.begin("/a")
    wait_until(lambda: all(name != "back to /a" for name in names(node)), "the decision")
    assert bystander.requested_mount == "" and not is_at(a, bystander)


def names(node: Stage) -> list[str]:
    """Returns the names of the greenlets that still run."""
    return [task.name for task in node.group._members]


def test_a_source_that_is_back_at_once_keeps_its_listeners(node: Stage, wait_until: WaitUntil) -> None:
    a, _ = node.begin("/a"), node.begin("/f")
    listener = node.listen(a)
    node.end("/a")
    node.begin("/a")
    wait_until(lambda: all("fallback" not in name for name in names(node)), "the decision")
    assert is_at(a, listener)


@pytest.mark.parametrize("content_type", ["application/ogg", "video/webm"])
def test_a_fallback_of_another_family_is_none(node: Stage, content_type: str) -> None:
    a = node.begin("/a")
    node.begin("/f", content_type)
    assert node.fallbacks.next_of(a) is None


def test_a_fallback_without_a_source_is_none_and_no_listener_is_dropped(node: Stage, wait_until: WaitUntil) -> None:
    a = node.begin("/a")
    listener = node.listen(a)
    node.end("/a")
    wait_until(lambda: all("fallback" not in name for name in names(node)), "the decision")
    assert is_at(a, listener)


@pytest.mark.parametrize("is_live", [True, False])
def test_a_source_on_another_node_brings_listeners_back_once_it_is_live(is_live: bool, wait_until: WaitUntil) -> None:
    mirrors = FakeMirrors()
    with stage(MOUNT, mirrors) as node:
        fallback = node.begin("/f")
        listener = node.listen(fallback)
        listener.requested_mount = "/a"
        origin = OriginRecord("/a", "b", "b1", Epoch(0, 1, 0, "b"), 0, is_live)
        a = mirrors.live["/a"] = node.begin("/a")
        node.fallbacks.on_origin_changed(OriginChanged("/a", None, origin))
        assert ("back to /a" in names(node)) is is_live
        wait_until(lambda: "back to /a" not in names(node), "the decision")
        assert is_at(a if is_live else fallback, listener)


def test_an_origin_that_ends_moves_no_listener(node: Stage) -> None:
    node.fallbacks.on_origin_changed(OriginChanged("/a", None, None))
    assert names(node) == []


def test_an_admin_puts_another_fallback_in_place_until_there_is_another_source(
    node: Stage, wait_until: WaitUntil
) -> None:
    a, fallback, ordered = node.begin("/a"), node.begin("/f"), node.begin("/ordered")
    listener = node.listen(a)
    node.finder.order_fallback("/a", "/ordered")
    node.end("/a")
    wait_until(lambda: is_at(ordered, listener), "the fallback that was ordered")
    node.begin("/a")
    wait_until(lambda: is_at(a, listener), "the way back")
    node.end("/a")
    wait_until(lambda: is_at(fallback, listener), "the configured one")


def test_orders_are_forgotten_when_there_are_too_many(node: Stage) -> None:
    for number in range(MOST_ORDERS + 1):
        node.finder.order_fallback(f"/{number}", "/x")
    assert (node.finder.first_fallback("/0"), node.finder.first_fallback("/1")) == ("", "/x")


@pytest.mark.parametrize(
    ("content_type", "codecs", "why"),
    [
        ("application/ogg", ("Vorbis", "Opus"), "/f is Opus and no Vorbis"),
        ("application/ogg", ("Vorbis", "Vorbis"), ""),
        ("audio/flac", ("Vorbis", ""), "/f is flac and no ogg"),
    ],
)
def test_a_fallback_that_players_could_not_go_on_with_is_not_used_and_said_once(
    node: Stage, content_type: str, codecs: tuple[str, str], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    a, fallback = node.begin("/a", "application/ogg"), node.begin("/f", content_type)
    for mount, codec in zip((a, fallback), codecs, strict=True):
        mount.take(b"", [Info(mount.ring.head, None, {"subtype": codec})])
    node.end("/a")
    for _ in range(2):
        assert (node.fallbacks.next_of(a) is fallback) is (not why)
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said == ([f"mount /a: its fallback {why}: not used"] if why else [])
