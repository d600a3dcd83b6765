"""The mirrors of a node, from the first listener to the last: their parents, and the loss of every parent."""

import gc
import logging
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import gevent
import pytest
from gevent import socket

from pycast.cluster.link import link
from pycast.cluster.link.frames import Frame, Kind
from pycast.cluster.link.link import Link
from pycast.cluster.link.questions import AskTail, Tail, TailAnswer
from pycast.cluster.mirror import mirrors, serve, tails
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.mirror.messages import Pull
from pycast.cluster.mirror.mirrors import LINGER_S, SILENT_S, Mirrors
from pycast.cluster.mirror.serve import MirrorServer
from pycast.cluster.registry.cluster_state import Status
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.stream.fanout import Reason
from pycast.stream.mount_state import MountState
from pycast.stream.pacer import Pacer
from tests.cluster.hosts import Host
from tests.cluster.mirror.test_pull import NAME, Origin, epoch
from tests.cluster.relays import Relay
from tests.conftest import WaitUntil
from tests.stream.memory import WHO, MemoryTransport
from tests.stream.test_mounts import FakeSource
from tests.stream.test_relocation import SIZE, numbers


class Node(Host):
    """A node that may mirror mounts. `ahead` is how far its clock has been put forward."""

    def __init__(self, name: str, mirror: Literal["on_demand", "always"] = "on_demand") -> None:
        super().__init__()
        self.configure(mirror=mirror)
        self.record = NodeRecord(name, f"{name}1", self.address)
        self.state.put_node(self.record)
        self.is_node(self.record)
        self.kept = set[str]()
        self.mirrors = Mirrors(
            self.settings,
            self.own,
            self.connector,
            self.peers,
            self.mounts,
            self.lineages,
            self.state,
            self.children,
            lambda name: name in self.kept,
            self.group,
            self.clock,
        )
        self.events.source_started.subscribe(self.mirrors.on_source_started)
        self.state.node_changed.subscribe(self.mirrors.on_node_changed)
        self.state.origin_changed.subscribe(self.mirrors.on_origin_changed)
        self.answers.on(AskTail, self.mirrors.tail)
        self.mirrors.start()

    def clock(self) -> float:
        return time.monotonic() + self.now

    @property
    def head(self) -> int:
        mount = self.mounts.get(NAME)
        return -1 if mount is None else mount.ring.head

    def knows(self, name: str, host: Host) -> None:
        self.state.put_node(NodeRecord(name, f"{name}1", host.address))

    def learns(self, number: int, owner: str = "o", *, is_live: bool = True) -> OriginRecord:
        record = OriginRecord(NAME, owner, f"{owner}1", epoch(number), 0, is_live)
        self.state.put_origin(record)
        return record


class Neighbour(Node):
    """A node of zone y that takes the other one there for the leader, because its own load is high."""

    def __init__(self, name: str, other: str) -> None:
        super().__init__(name)
        self.other = other
        self.record = NodeRecord(name, f"{name}1", self.address, zone="y", weight=0)
        self.is_node(self.record)
        self.mirror_server = MirrorServer(self.lineages, Pacer(0.05, lambda: 0.0), self.mirrors, self.children)

    def serve_as_a_node(self, link: Link, first: Frame) -> None:
        assert first[0] is Kind.PULL
        self.mirror_server.serve(link, Pull.read(first[1]), self.other)


@pytest.fixture
def origin() -> Iterator[Origin]:
    made = Origin()
    made.begin()
    yield made
    made.stop()


@pytest.fixture
def node(origin: Origin) -> Iterator[Node]:
    made = Node("a")
    made.knows("o", origin)
    yield made
    made.stop()


@pytest.fixture
def other(origin: Origin) -> Iterator[Node]:
    made = Node("b")
    made.knows("o", origin)
    yield made
    made.stop()


def begin_to_mirror(*nodes: Node) -> None:
    for one in nodes:
        one.learns(1)
    for one in nodes:
        assert one.mirrors.open(NAME) is not None


def level_with(node: Node, origin: Origin, wait_until: WaitUntil) -> None:
    wait_until(lambda: node.head == origin.sent * SIZE, f"{node.record.node} to have all")


def test_a_mount_is_mirrored_when_it_is_first_asked_for(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    origin.send(10)
    assert node.mirrors.open(NAME) is None
    node.learns(1)
    assert len(node.mirrors) == 0
    mount = node.mirrors.open(NAME)
    assert mount is node.mounts.get(NAME) is not None
    level_with(node, origin, wait_until)
    assert node.mirrors.open(NAME) is mount
    assert (len(node.mirrors), node.mirrors.counters.connections, node.mirrors.has_parent(NAME)) == (1, 1, True)
    assert node.mirrors.health == 1.0


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_two_nodes_that_take_each_other_for_the_leader_do_not_wait_for_each_other(
    origin: Origin, wait_until: WaitUntil, order: str
) -> None:
    origin.send(10)
    nodes = {"a": Neighbour("a", "b"), "b": Neighbour("b", "a")}
    for one in nodes.values():
        one.knows("o", origin)
        one.state.put_node(NodeRecord(one.other, f"{one.other}1", nodes[one.other].address, zone="y"))
        one.learns(1)
    for name in order:
        nodes[name].mirrors.ensure(NAME)
    for one in nodes.values():
        level_with(one, origin, wait_until)
    assert nodes["b"].lineages.get(NAME).newest == epoch(1)
    assert (nodes["a"].children.count(NAME), nodes["b"].children.count(NAME)) == (0, 1)
    for one in nodes.values():
        one.stop()


def test_a_node_that_does_not_answer_is_not_waited_for_by_who_has_something_else_to_hear(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "DIAL_S", 0.1)
    monkeypatch.setattr(mirrors, "OPEN_S", 60.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        node.state.put_node(NodeRecord("o", "o1", f"127.0.0.1:{silent.getsockname()[1]}"))
        for name in (NAME, "/y"):
            node.state.put_origin(OriginRecord(name, "o", "o1", epoch(1), 0, is_live=True))
        with gevent.Timeout(5):
            assert node.mirrors.open(NAME, has_other=True) is None
            begun = time.monotonic()
            assert node.mirrors.open("/y", has_other=True) is None
            assert time.monotonic() - begun < 0.05, "it is known that the node does not answer"


def test_a_node_that_answers_again_is_waited_for_again(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    origin.send(3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = taken.getsockname()[1]
    node.state.put_node(NodeRecord("o", "o1", f"127.0.0.1:{refused}"))
    node.learns(1)
    assert node.mirrors.open(NAME, has_other=True) is None
    node.knows("o", origin)
    level_with(node, origin, wait_until)
    node.mirrors.release(NAME)
    node.mounts.close(NAME)
    node.now += SILENT_S
    mount = node.mirrors.open(NAME, has_other=True)
    assert mount is not None and mount is node.mounts.get(NAME)


@pytest.mark.parametrize("has_other", [False, True])
def test_who_waits_for_another_nodes_mount_has_it_as_soon_as_it_gets_a_source_here(
    node: Node, monkeypatch: pytest.MonkeyPatch, has_other: bool
) -> None:
    """The node had the encoder that came back, and its listeners waited for the one that had gone."""
    monkeypatch.setattr(mirrors, "OPEN_S", 60.0)
    node.learns(1)
    source = FakeSource()

    def claim() -> None:
        assert node.mirrors.level(NAME, epoch(1)) == 0
        node.mounts.attach_source(NAME, source)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        node.state.put_node(NodeRecord("o", "o1", f"127.0.0.1:{silent.getsockname()[1]}"))
        node.group.spawn_later(0.1, "claim", claim)
        with gevent.Timeout(5):
            mount = node.mirrors.open(NAME, has_other=has_other)
    assert mount is not None and mount is node.mounts.get(NAME)


def test_nobody_starts_on_a_mount_whose_past_is_still_on_its_way(origin: Origin, node: Node) -> None:
    """Who did would hear ten seconds again, or be as far behind for ever: listeners who come back from a fallback."""
    origin.send(600)
    node.learns(1)
    node.mirrors.ensure(NAME)
    with gevent.Timeout(5):
        while not node.mirrors.is_beginning(NAME):
            gevent.sleep(0)
    assert node.head < origin.sent * SIZE
    assert node.mirrors.open(NAME) is node.mounts.get(NAME)
    assert node.head == origin.sent * SIZE
    assert not node.mirrors.is_beginning(NAME)


def test_a_mount_that_was_closed_under_its_mirror_begins_anew(origin: Origin, node: Node) -> None:
    origin.send(600)
    begin_to_mirror(node)
    node.mounts.close(NAME)  # as the grace of a source that this node had
    with gevent.Timeout(5):
        while not node.mirrors.is_beginning(NAME):
            origin.send(1)
            gevent.sleep(0)
    assert node.mirrors.open(NAME) is not None
    assert not node.mirrors.is_beginning(NAME)
    assert node.head > 500 * SIZE


def test_a_node_that_mirrors_always_begins_when_it_learns_of_a_mount(origin: Origin, wait_until: WaitUntil) -> None:
    node = Node("a", mirror="always")
    node.knows("o", origin)
    origin.send(10)
    node.learns(1)
    level_with(node, origin, wait_until)
    node.stop()


def test_an_owner_whose_mount_does_not_exist_yet_is_asked_again_at_once(
    origin: Origin, node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "RETRY_S", 60.0)  # as for one that does not answer
    origin.mounts.close(NAME)
    node.learns(1)
    node.group.spawn("later", origin.begin)
    assert node.mirrors.open(NAME) is not None
    origin.send(3)
    level_with(node, origin, wait_until)


def test_f_03_after_a_broken_link_the_mirror_resumes_at_the_next_byte(
    origin: Origin, node: Node, wait_until: WaitUntil
) -> None:
    node.learns(1)
    mount = node.mirrors.open(NAME)
    assert mount is not None
    heard = MemoryTransport()
    mount.join(1, heard, WHO, b"", 0, 0.0)
    for turn in range(1, 4):
        origin.send(10)
        level_with(node, origin, wait_until)
        origin.hang_up()
        origin.send(5)
        wait_until(lambda turn=turn: node.mirrors.counters.connections > turn, "the next link")
        level_with(node, origin, wait_until)
    (listener,) = mount.fanout
    wait_until(lambda: mount.fanout.position_of(listener) == mount.ring.head, "the listener")
    assert numbers(bytes(heard.got)) == list(range(45))
    assert (node.mirrors.counters.gaps, mount.sources) == (0, 1)


def test_f_03_when_a_parent_falls_silent_others_are_asked_and_it_is_not_waited_for(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be out of this node's reach only, and for all that is known it is up."""
    differ(origin, node, other, wait_until)
    third = Node("c")
    between = Relay(third.address)
    third.is_node(replace(third.record, address=between.address))
    node.state.put_node(NodeRecord("o", "o2", between.address))
    assert node.peers.call_all([between.address], AskTail(NAME), 5), "a link, as nodes have them"
    between.downward = lambda data: b""
    monkeypatch.setattr(tails, "TAIL_S", 60.0)
    monkeypatch.setattr(link, "DIAL_S", 0.1)
    node.mirrors.ensure(NAME)
    wait_until(lambda: node.head == 17 * SIZE, "what the other one has")
    between.stop()
    third.stop()


def test_f_01_when_the_origin_is_gone_the_survivors_level(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil
) -> None:
    node.knows("b", other)
    other.knows("a", node)
    begin_to_mirror(node, other)
    origin.send(10)
    level_with(node, origin, wait_until)
    level_with(other, origin, wait_until)
    node.mirrors.release(NAME)  # it receives nothing more, and the other one does
    origin.send(7)
    level_with(other, origin, wait_until)
    origin.close_the_port()
    origin.hang_up()
    for one in (node, other):
        one.state.set_status("o", Status.DEAD)
    assert node.mirrors.level(NAME, epoch(1)) == 17 * SIZE
    assert node.head == 17 * SIZE
    assert other.mirrors.level(NAME, epoch(1)) == 17 * SIZE
    mine, theirs = node.mounts.get(NAME), other.mounts.get(NAME)
    assert mine is not None and theirs is not None
    assert mine.ring.read(0, 17 * SIZE) == theirs.ring.read(0, 17 * SIZE)
    assert len(node.mirrors) == len(other.mirrors) == 0


def differ(origin: Origin, behind: Node, ahead: Node, wait_until: WaitUntil) -> None:
    """Ends the origin when one of its mirrors has ten frames and the other seventeen."""
    behind.knows("b", ahead)
    ahead.knows("a", behind)
    begin_to_mirror(behind, ahead)
    origin.send(10)
    level_with(behind, origin, wait_until)
    behind.mirrors.release(NAME)
    origin.send(7)
    level_with(ahead, origin, wait_until)
    origin.close_the_port()
    origin.hang_up()
    for one in (behind, ahead):
        one.state.set_status("o", Status.DEAD)


def assert_level(behind: Node, ahead: Node, count: int) -> None:
    mine, theirs = behind.mounts.get(NAME), ahead.mounts.get(NAME)
    assert mine is not None and theirs is not None
    assert numbers(mine.ring.read(0, mine.ring.head)) == list(range(count))
    assert mine.ring.read(0, count * SIZE) == theirs.ring.read(0, count * SIZE)
    assert behind.mirrors.counters.gaps == 0


@pytest.mark.parametrize("is_known", [False, True])
def test_f_01_survivors_level_although_the_next_owner_was_gone_before_its_first_byte(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil, is_known: bool
) -> None:
    differ(origin, node, other, wait_until)
    for one in (node, other):
        one.state.see(NAME, epoch(2))  # who claimed the mount over epoch 1 has gone, too
    if is_known:  # and has told of its epoch, before what comes before it
        node.lineages.put(NAME, node.lineages.get(NAME).with_epoch(epoch(2), 17 * SIZE))
    node.mirrors.ensure(NAME)
    wait_until(lambda: node.head == 17 * SIZE, "the survivor to have what the other one has")
    assert_level(node, other, 17)


@pytest.mark.parametrize("is_known", [False, True])
def test_f_01_who_claims_after_an_owner_without_a_byte_begins_after_the_longest_tail(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil, is_known: bool
) -> None:
    differ(origin, node, other, wait_until)
    for one in (node, other):
        one.state.see(NAME, epoch(2))
    if is_known:
        node.lineages.put(NAME, node.lineages.get(NAME).with_epoch(epoch(2), 17 * SIZE))
    third = Node("c")
    third.knows("a", node)
    third.knows("b", other)
    assert third.mirrors.level(NAME, epoch(2)) == 17 * SIZE
    third.stop()
    assert node.mirrors.level(NAME, epoch(2)) == 17 * SIZE
    assert_level(node, other, 17)


def test_f_01_who_lacks_what_a_new_owner_never_had_gets_it_from_another_who_has_not_heard_of_that_one(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil
) -> None:
    differ(origin, node, other, wait_until)
    heir = Origin(Lineage().with_epoch(epoch(2), 17 * SIZE))
    heir.mounts.get_or_create(NAME, heir.source.description).restart_at(17 * SIZE)
    heir.begin()
    heir.sent = 17
    heir.send(40)
    node.knows("h", heir)
    node.learns(2, "h")
    node.mirrors.ensure(NAME)
    level_with(node, heir, wait_until)
    heir.stop()
    assert node.mirrors.counters.gaps == 0
    mine = node.mounts.get(NAME)
    assert mine is not None and numbers(mine.ring.read(0, mine.ring.head)) == list(range(57))


def test_nothing_is_fetched_beyond_where_a_new_epoch_begins(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil
) -> None:
    differ(origin, node, other, wait_until)
    mirror = node.mirrors.ensure(NAME).mirror
    node.mirrors.release(NAME)
    assert node.mirrors._fetch(mirror, other.address, 14 * SIZE, epoch(1))
    assert node.head == 14 * SIZE
    assert_level(node, other, 14)


def test_f_07_a_node_with_more_bytes_of_an_epoch_that_is_over_waits_for_the_new_owner(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pycast.cluster.mirror.mirrors")
    node.knows("b", other)
    begin_to_mirror(node, other)
    origin.send(8)
    level_with(other, origin, wait_until)
    other.mirrors.release(NAME)
    origin.send(2)
    level_with(node, origin, wait_until)
    other.lineages.put(NAME, other.lineages.get(NAME).with_epoch(epoch(2), 5 * SIZE))
    node.state.see(NAME, epoch(2))
    origin.hang_up()
    gevent.sleep(0.3)
    assert "could not be fetched" not in caplog.text
    assert node.head == 10 * SIZE


def test_a_node_without_the_mount_begins_where_the_others_are(
    origin: Origin, node: Node, other: Node, wait_until: WaitUntil
) -> None:
    other.learns(1)
    assert other.mirrors.open(NAME) is not None
    origin.send(10)
    level_with(other, origin, wait_until)
    origin.close_the_port()
    origin.hang_up()
    node.knows("b", other)
    assert node.mirrors.level(NAME, epoch(1)) == 10 * SIZE
    assert node.mirrors.level("/none", Epoch()) == 0


def test_a_new_owner_is_followed_and_the_old_one_left(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    node.learns(1)
    assert node.mirrors.open(NAME) is not None
    origin.send(10)
    level_with(node, origin, wait_until)
    heir = Origin(origin.lineages.get(NAME).with_epoch(epoch(2), 10 * SIZE))
    mount = heir.mounts.get_or_create(NAME, heir.source.description)
    mount.restart_at(10 * SIZE)
    heir.begin()
    heir.sent = 10
    heir.send(5)
    node.knows("h", heir)
    node.learns(2, "h")
    level_with(node, heir, wait_until)
    wait_until(lambda: origin.children.count(NAME) == 0, "the old link to end")
    mirror = node.mounts.get(NAME)
    assert mirror is not None
    assert (mirror.sources, node.mirrors.counters.gaps) == (2, 0)
    assert numbers(mirror.ring.read(0, 15 * SIZE)) == list(range(15))
    heir.stop()


def test_a_mirror_ends_with_its_mount(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    node.learns(1)
    mount = node.mirrors.open(NAME)
    assert mount is not None
    origin.mounts.close(NAME)
    wait_until(lambda: node.mounts.get(NAME) is None, "the end")
    assert (mount.end_reason, len(node.mirrors), node.lineages.get(NAME)) == (Reason.SOURCE_GONE, 0, Lineage())


def test_a_mirror_that_is_not_needed_ends_after_a_while(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    node.learns(1)
    mount = node.mirrors.open(NAME)
    assert mount is not None
    mount.join(1, MemoryTransport(), WHO, b"", 0, 0.0)
    wait_until(lambda: node.mirrors.has_parent(NAME), "the link")
    node.now += LINGER_S - 1  # with a listener it stays
    origin.send(3)
    level_with(node, origin, wait_until)
    for _ in range(2):
        node.mirrors._review_mirror(NAME, node.mirrors._mirrored[NAME], node.clock())
    assert node.mounts.get(NAME) is mount
    mount.fanout.drop_all(Reason.KILLED)
    node.now += LINGER_S
    wait_until(lambda: node.mounts.get(NAME) is None, "the end")
    assert mount.end_reason is Reason.ABANDONED
    assert origin.mounts.get(NAME) is not None


def test_who_is_moved_to_a_mount_whose_mirror_is_about_to_end_stays(
    origin: Origin, node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_to_mirror(node)
    mount, release = node.mounts.get(NAME), node.mirrors.release
    assert mount is not None

    def release_meanwhile(name: str) -> None:
        release(name)
        mount.join(1, MemoryTransport(), WHO, b"", 0, 0.0)

    monkeypatch.setattr(node.mirrors, "release", release_meanwhile)
    node.mirrors._review_mirror(NAME, node.mirrors._mirrored[NAME], node.clock() + LINGER_S)
    assert node.mounts.get(NAME) is mount
    wait_until(lambda: node.mirrors.has_parent(NAME), "its mirror")
    assert len(mount.fanout) == 1


def test_a_mirror_stays_for_those_who_are_on_what_is_played_in_its_place(
    origin: Origin, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_to_mirror(node)
    monkeypatch.setattr(node.mounts, "asking_for", lambda name: 1)
    node.mirrors._review_mirror(NAME, node.mirrors._mirrored[NAME], node.clock() + LINGER_S)
    assert node.mounts.get(NAME) is not None


def test_without_an_origin_a_mirror_waits_and_is_given_up_in_the_end(
    origin: Origin, node: Node, wait_until: WaitUntil
) -> None:
    record = node.learns(1)
    mount = node.mirrors.open(NAME)
    assert mount is not None
    origin.send(3)
    level_with(node, origin, wait_until)
    origin.close_the_port()
    origin.hang_up()
    node.state.remove_node("o")
    node.state.remove_origin(NAME, record.epoch)
    wait_until(lambda: mount.state is MountState.WAITING, "the wait")
    assert node.mounts.get(NAME) is mount
    node.now += mount.settings.longest_silence
    wait_until(lambda: node.mounts.get(NAME) is None, "the end")
    assert mount.end_reason is Reason.ABANDONED


def test_a_source_that_was_quiet_is_not_waited_for_as_soon_as_the_parent_is_lost(
    origin: Origin, node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "IDLE_S", 0.02)
    monkeypatch.setattr(mirrors, "WAITING_S", 50.0)
    rounds: list[object] = []
    monkeypatch.setattr(node.mirrors, "_level_with_survivors", rounds.append)
    node.kept.add(NAME)
    begin_to_mirror(node)
    origin.send(3)
    level_with(node, origin, wait_until)
    mount = node.mounts.get(NAME)
    assert mount is not None
    node.now += 100
    before = node.mirrors.counters.bytes
    wait_until(lambda: node.mirrors.counters.bytes > before, "a frame that says that there is nothing")
    origin.close_the_port()
    origin.hang_up()
    wait_until(lambda: len(rounds) >= 3, "some looks for another parent")
    states = [mount.state]
    node.now += 51
    wait_until(lambda: mount.state is MountState.WAITING, "the wait")
    assert states == [MountState.LIVE]


def test_survivors_are_asked_less_and_less_often(
    origin: Origin, node: Node, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is lost may have had hundreds of mounts, and those who ask have to claim them."""
    asked: list[float] = []

    def ask(*_: object) -> list[object]:
        asked.append(node.clock())
        return []

    monkeypatch.setattr(mirrors, "ask_tails", ask)
    node.kept.add(NAME)
    begin_to_mirror(node)
    origin.send(3)
    level_with(node, origin, wait_until)
    origin.close_the_port()
    origin.hang_up()
    node.state.set_status("o", Status.DEAD)
    wait_until(lambda: len(asked) >= 5, "some questions")
    lost = node.mirrors._mirrored[NAME].mirror.last_heard
    assert all(later - lost >= 2 * (one - lost) for one, later in pairwise(asked)), [one - lost for one in asked]


def test_a_node_answers_how_far_it_is_with_a_mount(origin: Origin, node: Node, wait_until: WaitUntil) -> None:
    assert node.mirrors.tail(AskTail(NAME)) == TailAnswer()
    node.learns(1)
    node.mirrors.open(NAME)
    origin.send(3)
    level_with(node, origin, wait_until)
    assert node.mirrors.tail(AskTail(NAME)) == TailAnswer(Tail(epoch(1), 3 * SIZE, 0))


def test_a_mount_that_gets_a_source_here_while_its_mirror_ends_stays(
    origin: Origin, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_to_mirror(node)
    mount, release = node.mounts.get(NAME), node.mirrors.release
    assert mount is not None
    source = FakeSource()
    source.description = mount.description

    def release_and_lose_the_turn(name: str) -> None:
        release(name)
        node.mounts.attach_source(name, source)

    monkeypatch.setattr(node.mirrors, "release", release_and_lose_the_turn)
    node.mirrors._review_mirror(NAME, node.mirrors._mirrored[NAME], node.clock() + LINGER_S)
    assert len(node.mirrors) == 0
    assert node.mounts.get(NAME) is mount and node.mounts.source(NAME) is source
    assert mount.state is MountState.LIVE


def test_the_memory_of_a_mirror_is_back_when_it_ends_and_does_not_wait_for_the_collector(
    origin: Origin, node: Node, wait_until: WaitUntil
) -> None:
    seen: list[weakref.ref[object]] = []
    logging.disable(logging.CRITICAL)  # pytest keeps records, and those of failed connections keep them
    gc.disable()
    try:
        for _ in range(5):
            origin.send(20)
            node.learns(1)
            mount = node.mirrors.open(NAME)
            assert mount is not None
            level_with(node, origin, wait_until)
            mount.join(1, MemoryTransport(), WHO, b"", 0, 0.0)
            mirror = node.mirrors._mirrored[NAME].mirror
            seen += [weakref.ref(one) for one in (mount, mount.ring, mirror)]
            del mount, mirror
            node.mirrors.release(NAME)
            node.mounts.close(NAME)
            wait_until(lambda: not node.mounts.ending, "the end of the mount")
        wait_until(lambda: not [one for one in seen if one() is not None], "the memory")
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)
