"""Nodes tell each other how far they are with a mount, and of two tails the greater has the last valid byte."""

from functools import partial

from pycast.cluster.link.questions import AskTail, Tail, TailAnswer
from pycast.cluster.mirror.lineage import Lineage
from pycast.cluster.mirror.tails import KnownTail, ask_tails, own_tail
from pycast.cluster.registry.cluster_state import Status
from pycast.cluster.registry.records import NodeRecord
from tests.cluster.hosts import Host
from tests.cluster.mirror.test_pull import NAME, Origin, epoch
from tests.stream.test_relocation import SIZE


def test_of_two_tails_the_greater_has_a_byte_of_the_highest_epoch_or_more_of_it() -> None:
    tails = [KnownTail(epoch(2), 50, "x:1", 0), KnownTail(epoch(1), 90, "y:1", 0), KnownTail(epoch(2), 40, "z:1", 0)]
    assert max(tails).address == "x:1"


def test_a_node_tells_the_epoch_of_its_last_byte_and_not_of_one_that_has_none_yet() -> None:
    node = Origin()
    assert own_tail(AskTail("/none"), node.mounts, node.lineages) == TailAnswer()
    node.begin()
    node.send(10)
    for base in (10 * SIZE, 17 * SIZE):
        node.lineages.put(NAME, Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(2), base))
        assert own_tail(AskTail(NAME), node.mounts, node.lineages) == TailAnswer(Tail(epoch(1), 10 * SIZE, 0))
    node.lineages.put(NAME, Lineage().with_epoch(epoch(1), 0).with_epoch(epoch(2), 9 * SIZE))
    assert own_tail(AskTail(NAME), node.mounts, node.lineages) == TailAnswer(Tail(epoch(2), 10 * SIZE, 0))
    node.stop()


def test_those_that_are_up_and_have_the_mount_are_asked_without_some() -> None:
    me, has, lacks, suspect = Host(), Origin(), Host(), Origin()
    for node in (has, suspect):
        node.begin()
        node.send(3)
    others: tuple[Host, ...] = (has, lacks, suspect)
    for one in others:
        one.answers.on(AskTail, partial(own_tail, mounts=one.mounts, lineages=one.lineages))
    for name, one in zip("mhls", (me, *others), strict=True):
        me.state.put_node(NodeRecord(name, f"{name}1", one.address))
    me.state.set_status("s", Status.SUSPECT)
    assert ask_tails(NAME, ("m",), me.state, me.peers) == [KnownTail(epoch(1), 3 * SIZE, has.address, 0)]
    assert ask_tails(NAME, ("m", "h"), me.state, me.peers) == []
    for one in (me, *others):
        one.stop()
