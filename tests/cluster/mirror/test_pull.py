"""A mount mirrored over a real link: the same bytes at the same offsets, whatever happens to the link."""

from collections.abc import Iterator
from itertools import pairwise

import gevent
import pytest
from gevent.event import Event

from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.link import DialFailed
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.mirror.pull import Gap, Mirror, MountAbsent, StaleEpoch
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import OriginRecord
from pycast.formats.marks import Header, Info, Join, Mark, Tags
from pycast.http.headers import Headers
from pycast.http.source_headers import source_info
from pycast.stats.counters import MirrorCounters
from pycast.stream.mount import Mount
from pycast.stream.mount_state import MountState
from pycast.stream.source import SourceDescription
from tests.cluster.hosts import Host
from tests.conftest import WaitUntil
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mounts import FakeSource
from tests.stream.test_relocation import METAINT, SIZE, frames, numbers, received

NAME = "/x"


def epoch(number: int, node: str = "n") -> Epoch:
    return Epoch(0, number, 1, node)


class Origin(Host):
    """A node that has the mount's source."""

    def __init__(self, lineage: Lineage | None = None) -> None:
        super().__init__()
        self.source = FakeSource()
        self.lineages.put(NAME, lineage or Lineage().with_epoch(epoch(1), 0))
        self.sent = 0

    def begin(self, content_type: str = "audio/mpeg") -> Mount:
        headers = (("ice-name", "Rädio"), ("ice-audio-info", "bitrate=128"))
        self.source.description = SourceDescription(
            source_info(Headers(headers)), content_type, headers, "192.0.2.9", 5.0
        )
        return self.mounts.attach_source(NAME, self.source)

    def send(self, count: int) -> None:
        """Sends numbered frames."""
        mount = self.mounts.get(NAME)
        assert mount is not None
        mount.feed(frames(self.sent, count))
        self.sent += count


class Child(Host):
    """A node that mirrors the mount."""

    def __init__(self) -> None:
        super().__init__()
        self.counters = MirrorCounters()
        self.mirror = Mirror(NAME, self.mounts, self.lineages, self.state, self.counters, self.clock)
        self.raised: list[Exception] = []

    @property
    def mount(self) -> Mount:
        mount = self.mirror.mount
        assert mount is not None
        return mount

    def pull(self, parent: Host, *, may_jump: bool = True) -> None:
        """Mirrors until the link ends, in a greenlet."""

        def run() -> None:
            try:
                self.mirror.pull(self.connector, parent.address, 0, may_jump=may_jump)
            except (OSError, LinkError, StaleEpoch, Gap, DialFailed) as error:
                self.raised.append(error)

        self.group.spawn("pull", run)

    def listen(self, metaint: int = 0) -> MemoryTransport:
        transport = MemoryTransport()
        self.mount.join(1 + self.mount.listener_connections, transport, WHO, b"HTTP/1.0 200 OK\r\n\r\n", metaint, 0.0)
        return transport


@pytest.fixture
def parent() -> Iterator[Origin]:
    made = Origin()
    made.begin()
    yield made
    made.stop()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    yield made
    made.stop()


def is_level(child: Child, parent: Host) -> bool:
    theirs = parent.mounts.get(NAME)
    return theirs is not None and child.mirror.head == theirs.ring.head


def mirror_frames(count: int, parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    """Begins to mirror, and waits until the child has so many frames."""
    child.pull(parent)
    parent.send(count)
    wait_until(lambda: is_level(child, parent), "the first frames")


def assert_same(child: Child, parent: Host) -> None:
    """Checks that the parent has everything of the child at the same offsets."""
    mine, theirs = child.mount, parent.mounts.get(NAME)
    assert theirs is not None
    assert mine.ring.head == theirs.ring.head
    oldest = max(mine.ring.oldest, theirs.ring.oldest)
    assert mine.ring.read(oldest, mine.ring.head) == theirs.ring.read(oldest, mine.ring.head)
    joins = [one.timeline.joins(oldest, mine.ring.head) for one in (mine, theirs)]
    assert repr(joins[0]) == repr(joins[1])  # NaN is not equal to itself
    for at in (oldest, (oldest + mine.ring.head) // 2, mine.ring.head):
        title = [one.timeline.title_at(at) for one in (mine, theirs)]
        assert [one and one[1] for one in title[:1]] == [one and one[1] for one in title[1:]]
        assert mine.timeline.header_at(at) == theirs.timeline.header_at(at)
    assert (mine.bitrate, mine.stats, mine.description) == (theirs.bitrate, theirs.stats, theirs.description)
    assert mine.started_at == theirs.started_at


@pytest.mark.parametrize("count", [1, 400])
def test_a_mount_that_closes_at_once_leaves_none_of_its_last_audio_behind(
    parent: Origin, child: Child, wait_until: WaitUntil, count: int
) -> None:
    mirror_frames(10, parent, child, wait_until)
    transport = child.listen()
    parent.send(count)
    parent.lineages.forget(NAME)
    parent.mounts.close(NAME)  # in the same turn of the loop, as with source_grace = 0
    wait_until(lambda: child.mirror.is_over, "the end")
    assert child.mount.ring.head == (10 + count) * SIZE
    child.mounts.close(NAME)
    wait_until(lambda: transport.closed, "the listener to have all")
    assert numbers(received(transport, 0)[0])[-1] == 10 + count - 1
    assert child.raised == []


def test_a_mirror_has_the_same_bytes_marks_and_source_at_the_same_offsets(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    parent.send(50)
    mount = parent.mounts.get(NAME)
    assert mount is not None
    mount.set_title("Artist", "One", "http://x/")
    parent.send(10)
    child.pull(parent)
    wait_until(lambda: is_level(child, parent), "the past")
    assert_same(child, parent)
    mount.set_title("", "Two")
    for _ in range(20):
        parent.send(7)
        gevent.sleep(0.002)
    wait_until(lambda: is_level(child, parent), "the rest")
    wait_until(lambda: child.mount.timeline.title == mount.timeline.title, "the title")
    assert_same(child, parent)
    assert child.mount.state is MountState.LIVE
    assert child.counters.connections == 1


def test_headers_and_properties_arrive_at_their_offsets(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    parent.mounts.close(NAME)
    mount = parent.begin("application/ogg")
    child.pull(parent)
    for number in range(30):
        at = mount.ring.head
        marks: list[Mark] = [
            Header(at, b"head %d" % number),
            Info(at, 64_000 + number, {"n": str(number)}),
            Join(at, number / 2),
        ]
        mount.take(b"page %d" % number, [*marks, Tags(at + 3, "A", f"T{number}")])
        gevent.sleep(0.001 * (number % 3))
    wait_until(lambda: is_level(child, parent), "the pages")
    assert_same(child, parent)
    for at in range(mount.ring.head):
        assert child.mount.timeline.header_at(at) == mount.timeline.header_at(at)


@pytest.mark.parametrize("size", [1, 1000, 200_000])
def test_f_03_after_a_broken_link_it_resumes_at_the_next_byte_from_another_node(
    parent: Origin, child: Child, size: int, wait_until: WaitUntil
) -> None:
    other = Child()  # another mirror, which has the same bytes
    other.pull(parent)
    child.pull(parent)
    parent.send(10)
    wait_until(lambda: is_level(child, parent) and is_level(other, parent), "the first frames")
    listener = child.listen()
    for _ in range(5):
        parent.hang_up()  # in the middle of whatever is under way
        wait_until(lambda: child.raised and other.raised, "the broken links")
        child.raised.clear()
        other.raised.clear()
        parent.send(1 + size // SIZE)
        other.pull(parent)
        wait_until(lambda: is_level(other, parent), "the other mirror")
        child.pull(other)
        parent.send(3)
        wait_until(lambda: is_level(child, parent), "all of it")
        other.hang_up()
        wait_until(lambda: child.raised, "the end of that link")
        child.raised.clear()
        child.pull(parent)
        wait_until(lambda: child.mirror._link is not None and is_level(child, parent), "the link to the origin")
        parent.send(2)
        wait_until(lambda: is_level(child, parent), "what is new")
    assert_same(child, parent)
    assert (child.counters.gaps, child.mount.sources, child.mount.restarts) == (0, 1, 1)
    child.mount.fanout.wake()
    audio = wait_for_all(child, listener, wait_until)
    assert all(other_one == one + 1 for one, other_one in pairwise(numbers(audio)))
    other.stop()


def wait_for_all(child: Child, transport: MemoryTransport, wait_until: WaitUntil, metaint: int = 0) -> bytes:
    """Waits until the listener has everything, and returns what it received."""
    (listener,) = child.mount.fanout
    wait_until(lambda: child.mount.fanout.position_of(listener) == child.mount.ring.head, "the listener")
    return received(transport, metaint)[0]


def cut(child: Child, parent: Origin, wait_until: WaitUntil) -> None:
    """Breaks the link, and waits until the child has noticed."""
    parent.hang_up()
    wait_until(lambda: child.raised, "the broken link")
    child.raised.clear()


@pytest.mark.parametrize("metaint", [0, METAINT])
def test_over_a_gap_listeners_jump_with_whole_frames_and_their_icy_phase(
    parent: Origin, child: Child, metaint: int, wait_until: WaitUntil
) -> None:
    mirror_frames(20, parent, child, wait_until)
    transport = child.listen(metaint)
    before = child.mirror.head
    cut(child, parent, wait_until)
    mount = parent.mounts.get(NAME)
    assert mount is not None
    while mount.ring.oldest <= before:  # until the ring no longer has the next byte
        parent.send(50)
    mount.set_title("", "after")
    child.pull(parent, may_jump=False)
    wait_until(lambda: child.raised, "the gap")
    (gap,) = child.raised
    assert isinstance(gap, Gap) and gap.offset > before
    assert child.counters.gaps == 0
    child.pull(parent)
    wait_until(lambda: is_level(child, parent), "the jump")
    parent.send(10)
    wait_until(lambda: is_level(child, parent), "the rest")
    found = numbers(wait_for_all(child, transport, wait_until, metaint))
    jumps = [(one, other) for one, other in pairwise(found) if other != one + 1]
    assert len(jumps) == 1
    assert found[-1] == parent.sent - 1
    assert child.counters.gaps == 1
    assert child.counters.gap_bytes > 0
    assert not metaint or received(transport, metaint)[1][-1] == "after"


def test_a_mirror_that_has_other_bytes_than_its_parent_jumps(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(20, parent, child, wait_until)
    cut(child, parent, wait_until)
    heir = Origin(Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(2), 15 * SIZE))  # it had 15 of the 20 frames
    heir.begin()
    heir.mounts.get(NAME).restart_at(15 * SIZE)  # type: ignore[union-attr]
    heir.begin()
    heir.sent = 1000
    heir.send(30)
    child.pull(heir)
    wait_until(lambda: is_level(child, heir), "the heir's bytes")
    assert child.counters.gaps == 1
    assert_same(child, heir)
    heir.stop()


def test_an_epoch_that_ended_before_its_first_byte_makes_nobody_jump(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(20, parent, child, wait_until)
    parent.mounts.detach(NAME)
    parent.lineages.put(NAME, parent.lineages.get(NAME).with_epoch(epoch(2), 20 * SIZE))
    wait_until(lambda: child.lineages.get(NAME).newest == epoch(2), "an owner whose source sends nothing")
    cut(child, parent, wait_until)
    # The next owner has the same bytes, and has not heard of the one before it.
    parent.lineages.put(NAME, Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(3), 20 * SIZE))
    parent.begin()
    child.pull(parent)
    parent.send(5)
    wait_until(lambda: is_level(child, parent), "the next source")
    assert_same(child, parent)
    assert child.counters.gaps == 0 and not child.raised


def test_an_owner_that_has_not_begun_is_no_old_one(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    parent.send(20)
    me = parent.own.now
    child.state.put_origin(OriginRecord(NAME, me.node, me.boot, epoch(2), 0, is_live=True))
    with pytest.raises(MountAbsent, match="about to begin"):
        child.mirror.pull(child.connector, parent.address, 0)
    assert child.counters.refused_epochs == 0 and child.mirror.head < 0
    parent.lineages.put(NAME, parent.lineages.get(NAME).with_epoch(epoch(2), 20 * SIZE))
    child.pull(parent)
    wait_until(lambda: is_level(child, parent), "the new owner's bytes")


def test_the_next_epoch_continues_without_a_gap_and_is_a_new_source(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(20, parent, child, wait_until)
    parent.mounts.detach(NAME)
    wait_until(lambda: child.mount.state is MountState.WAITING, "the wait")
    parent.lineages.put(NAME, parent.lineages.get(NAME).with_epoch(epoch(2), 20 * SIZE))
    parent.begin()
    parent.send(5)
    wait_until(lambda: is_level(child, parent), "the next source")
    assert_same(child, parent)
    assert (child.mount.state, child.mount.sources, child.counters.gaps) == (MountState.LIVE, 2, 0)
    assert child.lineages.get(NAME) == parent.lineages.get(NAME)
    assert child.state.highest(NAME) == epoch(2)


def test_a_title_ends_on_the_mirror_when_it_ends_at_the_origin(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mount = parent.mounts.get(NAME)
    assert mount is not None
    parent.send(5)
    mount.set_title("", "first's")
    child.pull(parent)
    wait_until(lambda: is_level(child, parent) and child.mount.timeline.title is not None, "the title")
    standby = mount.to_standby()
    parent.mounts.detach(NAME)
    parent.mounts.attach_source(NAME, FakeSource())
    wait_until(lambda: child.mount.timeline.title == mount.timeline.title, "the title that is over")
    assert mount.timeline.title is not None and mount.timeline.title.text == ""
    parent.mounts.detach(NAME)
    parent.mounts.attach_source(NAME, parent.source, standby)
    wait_until(lambda: child.mount.timeline.title == mount.timeline.title, "the title that is back")
    assert child.mount.timeline.title is not None and child.mount.timeline.title.text == "first's"


def test_bytes_of_an_epoch_that_is_over_are_refused(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    child.state.see(NAME, epoch(2))
    parent.send(5)
    child.pull(parent)
    wait_until(lambda: child.raised, "the refusal")
    assert isinstance(child.raised[0], StaleEpoch)
    assert child.mirror.mount is None
    assert child.counters.refused_epochs == 1


def test_f_09_no_byte_is_accepted_after_a_higher_epoch_was_seen(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(5, parent, child, wait_until)
    child.state.see(NAME, epoch(2))
    parent.send(5)
    wait_until(lambda: child.raised, "the refusal")
    assert isinstance(child.raised[0], StaleEpoch)
    assert child.mirror.head == 5 * SIZE


def test_a_parent_that_is_behind_or_has_nothing_refuses(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    mirror_frames(5, parent, child, wait_until)
    cut(child, parent, wait_until)
    child.lineages.put(NAME, child.lineages.get(NAME).with_epoch(epoch(9), 4 * SIZE))
    with pytest.raises(LinkError, match="behind"):
        child.mirror.pull(child.connector, parent.address, 0)
    stranger = Host()
    with pytest.raises(LinkError, match="absent"):
        child.mirror.pull(child.connector, stranger.address, 0)
    with pytest.raises(LinkError, match="absent"):
        child.mirror.pull(child.connector, parent.address, 7)
    stranger.stop()


def test_the_end_of_the_mount_is_the_end_of_the_mirror(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    mirror_frames(5, parent, child, wait_until)
    parent.mounts.close(NAME)
    wait_until(lambda: child.mirror.is_over, "the end")
    assert child.raised == []


def test_the_end_of_the_parent_is_not_the_end_of_the_mirror(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(5, parent, child, wait_until)
    parent.mounts.stop()
    wait_until(lambda: child.raised, "the end of the link")
    assert not child.mirror.is_over
    assert child.mount.state is not MountState.ENDED


def test_a_source_that_is_connected_here_ends_the_mirroring(
    parent: Origin, child: Child, wait_until: WaitUntil
) -> None:
    mirror_frames(5, parent, child, wait_until)
    child.mounts.attach_source(NAME, FakeSource())
    parent.send(5)
    wait_until(lambda: child.raised, "the end of the link")
    assert child.mirror.head == 5 * SIZE


def test_a_mirror_may_end_at_a_given_offset(parent: Origin, child: Child) -> None:
    parent.send(50)
    child.mirror.pull(child.connector, parent.address, 0, until=50 * SIZE)
    assert child.mirror.head == 50 * SIZE
    assert_same(child, parent)


def test_the_rest_of_a_lost_source_brings_nobody_back(parent: Origin, child: Child, wait_until: WaitUntil) -> None:
    mirror_frames(20, parent, child, wait_until)
    cut(child, parent, wait_until)
    child.mirror.mark_waiting()  # after a while without any parent
    parent.send(5)
    child.mirror.pull(child.connector, parent.address, 0, until=25 * SIZE, may_jump=False)  # which has not noticed yet
    assert (child.mirror.head, child.mount.state.name) == (25 * SIZE, "WAITING")
    child.pull(parent)
    wait_until(lambda: child.mount.state is MountState.LIVE, "the source")


@pytest.mark.parametrize("news", ["a source of this node", "the end of the mount"])
def test_a_jump_that_had_to_wait_looks_again_whether_the_mount_is_still_its_own(
    parent: Origin, child: Child, news: str, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    mirror_frames(20, parent, child, wait_until)
    transport, mount = child.listen(), child.mount
    cut(child, parent, wait_until)
    theirs = parent.mounts.get(NAME)
    assert theirs is not None
    while theirs.ring.oldest <= child.mirror.head:
        parent.send(50)
    resting, waits = Event(), Event()

    def wait() -> None:
        waits.set()
        resting.wait()

    monkeypatch.setattr(mount.fanout, "wait_until_resting", wait)  # a pass is under way
    child.pull(parent)
    assert waits.wait(5)
    before = mount.ring.head
    if news == "a source of this node":
        source = FakeSource()
        source.description = mount.description
        child.mounts.attach_source(NAME, source)
    else:
        child.mounts.close(NAME)
    resting.set()
    wait_until(lambda: child.raised, "the end of the pull")
    assert isinstance(child.raised[0], LinkError)
    assert mount.ring.head == before and child.counters.gaps == 1
    if news == "a source of this node":
        assert child.mounts.source(NAME) is source
        assert [listener.transport for listener in mount.fanout] == [transport]
    else:
        assert child.mounts.get(NAME) is None
        wait_until(lambda: transport.closed, "the listener's end")
