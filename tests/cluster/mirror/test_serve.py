"""The parent's side of a mirror: where a child begins, and when it is refused or dropped."""

import pytest

from pycast.cluster.link.frames import Kind, read_json
from pycast.cluster.link.link import Link
from pycast.cluster.mirror.messages import Pull, PullReply, read_audio
from pycast.cluster.mirror.serve import IDLE_S, MOST_DEPTH
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from tests.cluster.hosts import Host
from tests.cluster.mirror.test_pull import NAME, Child, Origin, child, epoch, parent
from tests.conftest import WaitUntil
from tests.stream.test_relocation import SIZE

__all__ = ["child", "parent"]


def asked(child: Host, parent: Host, epoch: Epoch = NO_EPOCH, offset: int = -1, depth: int = 0) -> Link:
    link = child.connector.dial(parent.address)
    link.write(Pull(NAME, epoch, offset, depth).frame())
    return link


def head_of(link: Link) -> PullReply:
    frame = link.read(5)
    assert frame is not None and frame[0] is Kind.HEAD
    return PullReply.read(frame[1])


def next_of(kind: Kind, link: Link, timeout: float = 5.0) -> bytes:
    """Returns the payload of the next frame of that kind."""
    while (frame := link.read(timeout)) is not None:
        if frame[0] is kind:
            return frame[1]
    raise AssertionError(f"the line ended without {kind.name}")


def refused(link: Link) -> object:
    frame = link.read(5)
    link.close()
    assert frame is not None and frame[0] is Kind.REFUSED
    return read_json(frame[1])["why"]


def test_a_new_child_begins_at_a_join_point_of_the_past(parent: Origin, child: Child) -> None:
    parent.send(100)
    link = asked(child, parent)
    head = head_of(link)
    assert (head.offset, head.started_at, head.is_live) == (0, 0, True)
    offset, joins, data = read_audio(next_of(Kind.AUDIO, link))
    assert (offset, len(data)) == (0, 100 * SIZE)
    assert [join.offset for join in joins] == list(range(0, 100 * SIZE, SIZE))
    assert all(join.time_s is not None for join in joins)
    link.close()


@pytest.mark.parametrize("offset", [0, 1, 50 * SIZE + 7, 100 * SIZE, 120 * SIZE])
def test_a_child_that_has_a_part_resumes_at_the_next_byte(parent: Origin, child: Child, offset: int) -> None:
    parent.send(100)
    link = asked(child, parent, epoch(1), offset)
    assert head_of(link).offset == offset
    parent.send(40)  # the parent gets what a child ahead of it has
    while offset < 140 * SIZE:
        frame = link.read(5)
        assert frame is not None
        if frame[0] is Kind.AUDIO:
            at, _, data = read_audio(frame[1])
            assert at == offset
            offset += len(data)
    link.close()


def test_each_piece_of_much_audio_ends_with_a_frame(parent: Origin, child: Child) -> None:
    parent.send(400)
    link = asked(child, parent, epoch(1), 0)
    at = 0
    while at < 400 * SIZE:
        offset, _, data = read_audio(next_of(Kind.AUDIO, link))
        assert offset == at
        at += len(data)
        assert at % SIZE == 0
    link.close()


@pytest.mark.parametrize("known", [epoch(1), epoch(2, "another")])
def test_a_child_with_other_bytes_jumps_where_new_listeners_begin_and_to_none_of_an_epoch_that_it_has(
    parent: Origin, child: Child, known: Epoch
) -> None:
    parent.send(20)
    parent.lineages.put(NAME, parent.lineages.get(NAME).with_epoch(epoch(3), 20 * SIZE))
    # The new owner has not got what was sent last; it sends nothing yet, then less than a burst, then more.
    for count, offset in ((0, 20), (4, 20), (5, 25)):
        parent.send(count)
        link = asked(child, parent, known, 23 * SIZE)
        assert head_of(link).offset == offset * SIZE
        link.close()


@pytest.mark.parametrize(("known", "depth", "why"), [(NO_EPOCH, MOST_DEPTH, "absent"), (Epoch(0, 9), 0, "behind")])
def test_a_child_that_is_too_deep_or_has_a_newer_epoch_is_refused(
    parent: Origin, child: Child, known: Epoch, depth: int, why: str
) -> None:
    parent.send(5)
    assert refused(asked(child, parent, known, 5, depth)) == why


def test_without_audio_the_parent_sends_idle_frames(parent: Origin, child: Child) -> None:
    parent.send(5)
    link = asked(child, parent)
    head_of(link)
    for _ in range(2):
        assert next_of(Kind.IDLE, link, 3 * IDLE_S) == b""
    link.close()


def test_children_are_counted_while_they_are_connected(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    parent.send(5)
    mount = parent.mounts.get(NAME)
    assert mount is not None
    links = [asked(child, parent) for _ in range(3)]
    wait_until(lambda: parent.children.count(NAME) == 3, "three children")
    for link in links:
        link.close()
    parent.send(5)
    wait_until(lambda: parent.children.count(NAME) == 0, "them to go", 10)
    assert parent.children.bytes_sent > 15 * SIZE


def test_a_mount_that_jumps_disconnects_its_children(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    parent.send(5)
    link = asked(child, parent)
    head_of(link)
    mount = parent.mounts.get(NAME)
    assert mount is not None
    parent.mounts.detach(NAME)
    mount.restart_at(1_000_000)
    parent.begin()
    while (frame := link.read(5)) is not None:
        assert frame[0] is not Kind.GONE
    wait_until(lambda: parent.children.count(NAME) == 0, "the child to go")
    link.close()
