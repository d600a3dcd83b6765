"""The owner decides what a stream is; a mirror takes it from there, whatever the content type would promise."""

from collections.abc import Iterator

import pytest

from pycast.cluster.link.frames import FrameReader
from pycast.cluster.mirror.messages import event_frame, read_event
from pycast.formats.content_types import FORMATS, UNKNOWN
from pycast.stream.journal import Started
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from tests.cluster.mirror.test_pull import NAME, Child, Origin, is_level
from tests.conftest import WaitUntil
from tests.formats.frame_bytes import adts, mpeg
from tests.stream.test_mounts import DESCRIPTION, FakeSource

FIRST = {"mpeg": mpeg() * 10, "adts": adts() * 10}


@pytest.fixture
def parent() -> Iterator[Origin]:
    made = Origin()
    yield made
    made.stop()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.stop()


def connect(parent: Origin, announced: str = "audio/mpeg") -> FakeSource:
    """Puts a source on the air whose format is not known."""
    parent.source = FakeSource()
    parent.source.description = DESCRIPTION._replace(content_type=announced, format=UNKNOWN)
    parent.mounts.attach_source(NAME, parent.source)
    return parent.source


def know(parent: Origin, source: FakeSource, format: str, content_type: str, first: bytes | None = None) -> None:
    source.description = source.description._replace(content_type=content_type, format=format)
    parent.mounts.start_known(NAME, source, FIRST.get(format, b"") if first is None else first)


def mount_of(parent: Origin) -> Mount:
    mount = parent.mounts.get(NAME)
    assert mount is not None
    return mount


def wait_for(format: str, content_type: str, child: Child, parent: Origin, wait_until: WaitUntil) -> None:
    """Waits until the mirror knows the owner's format and has everything."""
    wait_until(lambda: child.mirror.mount is not None and is_level(child, parent), "the audio")
    wait_until(lambda: child.mount.description.format == format, "the format")
    assert child.mount.description.content_type == content_type
    assert child.mount.listener_content_type == mount_of(parent).listener_content_type
    assert child.mount.family == mount_of(parent).family == FORMATS[format].family
    assert child.mount.state is MountState.LIVE


@pytest.mark.parametrize("content_type", ["audio/mpeg", "audio/x-unheard-of", "text/html"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_mirror_is_told_the_format(
    format: str, content_type: str, parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    know(parent, connect(parent), format, content_type)
    child.pull(parent)
    wait_for(format, content_type, child, parent, wait_until)


def test_while_nothing_is_known_there_is_nothing_to_mirror(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    source = connect(parent)
    child.pull(parent)
    wait_until(lambda: child.raised, "the refusal")
    assert child.mirror.mount is None
    know(parent, source, "adts", "audio/aac")
    child.pull(parent)
    wait_for("adts", "audio/aac", child, parent, wait_until)


def test_a_mirror_of_the_source_before_is_told_the_format_of_the_next(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    know(parent, connect(parent), "mpeg", "audio/mpeg")
    child.pull(parent)
    wait_for("mpeg", "audio/mpeg", child, parent, wait_until)
    parent.mounts.release(NAME, parent.source)
    source = connect(parent)
    wait_until(lambda: child.mount.state is MountState.WAITING, "the end of the first source")
    assert child.mount.description.format == "mpeg"
    know(parent, source, "adts", "audio/aac")
    wait_for("adts", "audio/aac", child, parent, wait_until)


def test_a_mirror_that_begins_before_the_format_is_known_is_told_later(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    know(parent, connect(parent), "mpeg", "audio/mpeg")
    parent.mounts.release(NAME, parent.source)
    mount_of(parent).restart_at(50_000)  # as a node does that claims a mount again
    source = connect(parent)
    child.pull(parent)
    wait_until(child.mirror.begun.is_set, "the beginning")
    know(parent, source, "adts", "audio/aac")
    wait_for("adts", "audio/aac", child, parent, wait_until)


def test_a_source_that_follows_one_without_a_byte_is_another_one(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    know(parent, connect(parent), "mpeg", "audio/mpeg")
    child.pull(parent)
    wait_for("mpeg", "audio/mpeg", child, parent, wait_until)
    parent.mounts.release(NAME, parent.source)
    know(parent, connect(parent), "ogg", "application/ogg", b"")
    wait_for("ogg", "application/ogg", child, parent, wait_until)
    child.mirror.hang_up()
    wait_until(lambda: child.raised, "the end of the link")
    parent.mounts.release(NAME, parent.source)
    know(parent, connect(parent), "adts", "audio/aac", b"")
    child.pull(parent)
    wait_for("adts", "audio/aac", child, parent, wait_until)


def test_a_format_that_only_a_newer_node_knows_is_what_its_content_type_promises() -> None:
    told = DESCRIPTION._replace(content_type="audio/aac", format="of tomorrow")
    ((_, payload),) = FrameReader().feed(event_frame(Started(5, told)))
    event = read_event(payload)
    assert isinstance(event, Started)
    assert event.description.is_known and event.description.format_name == "adts"
