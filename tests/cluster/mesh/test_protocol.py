"""One node's part in a mesh: which nodes answer, by its own clock, and its verdict on claims."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from pycast.cluster.codec import decode, encode
from pycast.cluster.link.questions import Beat, Goodbye, Hello, OriginGone, Proposal, Verdict
from pycast.cluster.mesh.protocol import BEAT_S, DEAD_S, FORGET_S, MOST_LEFT, SUSPECT_S, Mesh, with_epoch
from pycast.cluster.registry.cluster_state import ClusterState, Status
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, NodeState, OriginRecord
from pycast.cluster.registry.registry import Claimed, Held
from tests.cluster.mesh_network import Network

MOUNT = "/live.mp3"


def node(name: str, boot: str = "1", address: str = "") -> NodeRecord:
    return NodeRecord(name, name + boot, address or f"{name}:8000")


def mesh(name: str, expected: int = 3, boot: str = "1") -> tuple[Mesh, ClusterState]:
    state = ClusterState()
    return Mesh(node(name, boot), state, expected), state


def origin(name: str, number: int, boot: str = "1", rank: int = 1, mount: str = MOUNT) -> OriginRecord:
    return OriginRecord(mount, name, name + boot, Epoch(0, number, rank, f"{name}/{name}{boot}"), 0, True)


def hello(record: NodeRecord, *origins: OriginRecord) -> Hello:
    return Hello(record, origins)


def beat(record: NodeRecord, origins: int = 0) -> Beat:
    return Beat(record.node, record.boot, origins)


def status(state: ClusterState, name: str) -> Status | None:
    peer = state.peer(name)
    return None if peer is None else peer.status


def claimed(one: Mesh, *others: Mesh, over: Epoch = NO_EPOCH) -> Claimed | Held:
    """Makes a claim that all the others judge at once, and returns its result."""
    proposal = one.propose(MOUNT, over)
    return one.decide(proposal, [other.judge(proposal) for other in others])


# -- which nodes answer


def test_a_process_that_has_said_goodbye_is_gone_whatever_still_arrives_of_it() -> None:
    """Its hello may have been overtaken, and until it has stopped it answers the hellos of others."""
    a, state = mesh("a")
    b, _ = mesh("b")
    answer = b.on_hello(a.hello(), 0.0)
    a.on_bye(b.goodbye())
    a.on_hello(b.hello(), 1.0)
    a.on_answer(answer, 1.0)
    assert status(state, "b") is None
    a.on_hello(hello(node("b", "2")), 2.0)  # it has started again
    assert status(state, "b") is Status.UP
    a.on_bye(b.goodbye())  # late, of the former process
    assert status(state, "b") is Status.UP


def test_what_is_remembered_of_nodes_that_are_gone_is_bounded() -> None:
    a, _ = mesh("a")
    for number in range(MOST_LEFT + 50):
        a.on_bye(Goodbye(f"n{number}", "1"))
    assert len(a._left) == MOST_LEFT


def test_a_silent_node_is_suspect_then_dead_then_forgotten() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b"), origin("b", 1)), 100.0)
    a.tick(100.0 + SUSPECT_S - 0.1)
    assert status(state, "b") is Status.UP
    a.tick(100.0 + SUSPECT_S)
    assert status(state, "b") is Status.SUSPECT
    a.tick(100.0 + DEAD_S)
    assert status(state, "b") is Status.DEAD
    assert state.origin(MOUNT) == origin("b", 1)
    a.tick(100.0 + FORGET_S)
    assert status(state, "b") is None
    assert state.origin(MOUNT) is None
    assert state.highest(MOUNT) == origin("b", 1).epoch


def test_beats_keep_a_node_up_and_bring_it_back() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    for second in range(1, 20):
        assert a.on_beat(beat(node("b")), second * BEAT_S)
        a.tick(second * BEAT_S + 0.5)
        assert status(state, "b") is Status.UP
    a.tick(30.0)
    assert status(state, "b") is Status.DEAD
    assert a.on_beat(beat(node("b")), 31.0)
    assert status(state, "b") is Status.UP


def test_a_beat_of_a_stranger_or_of_a_new_process_asks_for_a_hello() -> None:
    a, _ = mesh("a")
    assert not a.on_beat(beat(node("b")), 0.0)
    a.on_hello(hello(node("b")), 0.0)
    assert not a.on_beat(beat(node("b", "2")), 1.0)


def test_a_broken_line_makes_suspect_and_a_refused_one_dead() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    a.lost("b:8000")
    assert status(state, "b") is Status.SUSPECT
    a.refused("b:8000")
    assert status(state, "b") is Status.DEAD
    a.lost("b:8000")
    assert status(state, "b") is Status.DEAD
    a.refused("a:8000")
    assert status(state, "a") is Status.UP


def test_an_answer_to_a_hello_makes_its_node_known() -> None:
    a, state = mesh("a")
    b, _ = mesh("b")
    a.on_answer(b.on_hello(a.hello(), 5.0), 7.0)
    assert status(state, "b") is Status.UP
    assert status(state, "a") is Status.UP


def test_an_answer_names_the_nodes_that_are_not_dead() -> None:
    a, _ = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    a.on_hello(hello(node("c")), 0.0)
    a.refused("c:8000")
    assert a.on_hello(hello(node("d")), 1.0).known == ("a:8000", "b:8000", "d:8000")


def test_a_changed_record_is_accepted_from_a_known_process_only() -> None:
    a, state = mesh("a")
    draining = replace(node("b"), state=NodeState.DRAINING)
    a.on_node(draining, 0.0)
    assert state.peer("b") is None
    a.on_hello(hello(node("b")), 0.0)
    a.on_node(replace(draining, boot="b0"), 1.0)
    assert state.peers[1].record == node("b")
    a.on_node(draining, 1.0)
    assert state.peers[1].record == draining


def test_half_of_the_configured_nodes_count_this_one_too() -> None:
    a, _ = mesh("a", expected=4)
    seen = [a.sees_half]
    a.on_hello(hello(node("b")), 0.0)
    seen.append(a.sees_half)
    a.lost("b:8000")
    assert [*seen, a.sees_half] == [False, True, False]


def test_more_nodes_than_configured_count_as_well() -> None:
    a, _ = mesh("a", expected=1)
    for name in "bcd":
        a.on_hello(hello(node(name)), 0.0)
    for name in "bcd":
        a.lost(f"{name}:8000")
    assert not a.sees_half


def test_a_node_from_the_state_file_that_never_answers_is_dead_in_the_end() -> None:
    state = ClusterState()
    mesh = Mesh(node("a"), state, 2)
    state.put_node(node("b"), Status.SUSPECT)
    mesh.expect_all(100.0)
    mesh.tick(100.0 + DEAD_S - 0.1)
    assert (peer := state.peer("b")) is not None and peer.status is Status.SUSPECT
    mesh.tick(100.0 + DEAD_S)
    assert (peer := state.peer("b")) is not None and peer.status is Status.DEAD
    mesh.tick(100.0 + FORGET_S)
    assert state.peer("b") is None and state.is_up("a")


def test_f_11_only_each_nodes_own_monotonic_clock_matters() -> None:
    histories = []
    for skew in (0.0, 3600.0):
        network = Network(3, Random(7))
        for number, one in enumerate(network.alive()):
            one.skew = (number - 1) * skew  # an hour behind, right, an hour ahead
        network.run(1.0)
        network.claim("a", MOUNT)
        network.run(1.0)
        network.crash("a")
        network.run(DEAD_S + 1)
        assert [status(one.state, "a") for one in network.alive()] == [Status.DEAD] * 2
        network.claim("b", MOUNT)
        network.run(1.0)
        histories.append([(one.node, one.epoch, one.begun, one.ended) for one in network.history])
    assert histories[0] == histories[1]
    assert len(histories[0]) == 2


# -- names and processes


def test_f_18_a_second_process_with_a_living_ones_name_is_refused() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    assert a.on_hello(hello(node("b", "2", "elsewhere:8000")), 1.0).is_duplicate
    assert a.on_hello(hello(node("a", "2", "elsewhere:8000")), 1.0).is_duplicate
    assert [peer.record for peer in state.peers] == [node("a"), node("b")]
    assert not a.on_hello(hello(node("b")), 2.0).is_duplicate


def test_f_18_a_name_is_free_once_its_process_is_gone() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    a.refused("b:8000")
    other = node("b", "2", "elsewhere:8000")
    assert not a.on_hello(hello(other), 1.0).is_duplicate
    assert state.peers[1].record == other


def test_a_restarted_process_has_none_of_its_former_mounts() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b"), origin("b", 1)), 0.0)
    assert not a.on_hello(hello(node("b", "2")), 1.0).is_duplicate
    assert state.origin(MOUNT) is None
    assert state.highest(MOUNT) == origin("b", 1).epoch


def test_messages_of_a_former_process_and_of_an_unknown_node_are_ignored() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b", "2")), 0.0)
    assert a.on_origin(origin("b", 5, boot="1"), 1.0)
    assert a.on_origin(origin("c", 5), 1.0)
    assert state.origin(MOUNT) is None


def test_a_restarted_process_never_gets_an_epoch_of_the_former_one() -> None:
    former, _ = mesh("a", expected=1)
    later, _ = mesh("a", expected=1, boot="2")
    first, second = claimed(former), claimed(later)
    assert isinstance(first, Claimed) and isinstance(second, Claimed)
    assert first.epoch != second.epoch


# -- origins


def test_a_hello_withdraws_the_mounts_that_it_does_not_list() -> None:
    a, state = mesh("a")
    kept, gone = origin("b", 1, mount="/kept"), origin("b", 2, mount="/gone")
    a.on_hello(hello(node("b"), kept, gone), 0.0)
    a.on_hello(hello(node("b"), kept), 1.0)
    assert state.origins == (kept,)


def test_a_hello_lists_all_mounts_of_its_node_and_no_others() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b"), origin("b", 1, mount="/b")), 0.0)
    state.put_origin(origin("a", 2, mount="/a"))
    assert a.hello() == hello(node("a"), origin("a", 2, mount="/a"))


def test_a_lower_epoch_is_never_accepted_from_any_node() -> None:
    a, state = mesh("a")
    high = origin("b", 7)
    a.on_hello(hello(node("b"), high), 0.0)
    a.on_hello(hello(node("c"), origin("c", 6)), 1.0)
    assert not a.on_origin(origin("c", 6), 2.0)
    assert not a.on_origin(origin("b", 5), 2.0)
    assert state.origin(MOUNT) == high
    a.on_gone(MOUNT, high.epoch)
    assert not a.on_origin(origin("c", 6), 3.0)
    assert state.origin(MOUNT) is None


def test_the_answer_to_a_hello_lists_the_epochs_that_are_over() -> None:
    a, _ = mesh("a")
    b, state = mesh("b")
    a.on_hello(hello(node("c"), origin("c", 7)), 0.0)
    a.refused("c:8000")
    state.put_origin(origin("b", 6))
    state.put_origin(origin("b", 1, mount="/other"))
    b.on_answer(a.on_hello(b.hello(), 1.0), 1.0)
    assert state.origin(MOUNT) is None
    assert state.highest(MOUNT) == origin("c", 7).epoch
    assert state.origin("/other") is not None


def test_a_beat_shows_that_a_mount_is_over_or_unknown() -> None:
    a, _ = mesh("a")
    a.on_hello(hello(node("b"), origin("b", 6)), 0.0)
    assert not a.differs(beat(node("b"), 1))
    assert a.differs(beat(node("b"), 0))
    assert a.differs(beat(node("b"), 2))
    a.on_hello(hello(node("c"), origin("c", 7)), 0.0)
    assert a.differs(beat(node("b"), 1))


def test_a_mount_of_this_node_that_is_given_up_or_over_is_announced() -> None:
    a, state = mesh("a")
    a.on_hello(hello(node("b")), 0.0)
    sent: list[Any] = []
    state.origin_changed.subscribe(lambda change: sent.append(a.gone(change)))
    mine = origin("a", 1)
    state.put_origin(mine)
    state.put_origin(replace(mine, is_live=False))
    state.put_origin(origin("a", 2))
    assert sent == [None] * 3
    a.on_origin(origin("b", 3), 1.0)
    assert sent[3:] == [OriginGone(MOUNT, origin("a", 2).epoch)]
    a.on_gone(MOUNT, origin("b", 3).epoch)
    assert sent[4:] == [None]


@pytest.mark.parametrize(
    "message", [{}, {"node": []}, {"node": {"node": "b"}, "origins": []}, encode(hello(node("b"))) | {"origins": [1]}]
)
def test_a_malformed_hello_is_an_error(message: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        decode(Hello, message)


# -- claims


def test_f_08_of_two_claims_at_the_same_time_the_higher_name_wins() -> None:
    a, _ = mesh("a", expected=2)
    b, _ = mesh("b", expected=2)
    from_a, from_b = a.propose(MOUNT, NO_EPOCH), b.propose(MOUNT, NO_EPOCH)
    to_b, to_a = a.judge(from_b), b.judge(from_a)
    assert isinstance(a.decide(from_a, [to_a]), Held)
    assert b.decide(from_b, [to_b]) == Claimed(from_b.epoch)


def test_f_08_a_node_that_agrees_to_a_higher_claim_while_its_own_is_under_way_has_lost() -> None:
    a, _ = mesh("a", expected=2)
    b, _ = mesh("b", expected=2)
    from_a = a.propose(MOUNT, NO_EPOCH)
    to_a = b.judge(from_a)
    from_b = b.propose(MOUNT, NO_EPOCH)  # higher, as b knows of the other
    assert to_a == Verdict(objects=False)
    to_b = a.judge(from_b)
    assert isinstance(a.decide(from_a, [to_a]), Held)
    assert b.decide(from_b, [to_b]) == Claimed(from_b.epoch)


def test_a_claim_follows_the_highest_owner_or_fails() -> None:
    (a, _), (b, known) = mesh("a", 2), mesh("b", 2)
    a.on_hello(b.hello(), 0.0)
    b.on_hello(a.hello(), 0.0)
    first = claimed(a, b)
    assert isinstance(first, Claimed)
    record = with_epoch(origin("a", 0), first)
    a.on_origin(record, 0.0)
    known.put_origin(record)
    c, _ = mesh("c", 2)
    c.on_hello(hello(node("a")), 0.0)
    assert claimed(c, b) == Held(first.epoch, record)
    stolen = claimed(c, b, over=first.epoch)
    assert isinstance(stolen, Claimed) and stolen.epoch > first.epoch


@pytest.mark.parametrize("owner", ["sends", "waits", "is silent"])
def test_f_07_a_node_that_knows_only_the_epoch_learns_of_the_owner_before_it_may_claim(owner: str) -> None:
    (a, mine), (c, theirs) = mesh("a"), mesh("c")
    held = replace(origin("b", 2), is_live=owner != "waits")
    for one in (a, c):
        one.on_hello(hello(node("b")), 0.0)
    theirs.put_origin(held)
    mine.see(MOUNT, held.epoch)
    if owner == "is silent":
        theirs.set_status("b", Status.SUSPECT)
    first = claimed(a, c, over=held.epoch)
    if owner == "sends":
        assert first == Held(held.epoch, held) and mine.origin(MOUNT) == held
        first = claimed(a, c, over=held.epoch)  # as after it has asked the owner, without an answer
    assert isinstance(first, Claimed)


def test_a_claim_learns_only_the_epoch_of_an_owner_that_is_unknown() -> None:
    a, state = mesh("a")
    verdict = Verdict(objects=True, highest=origin("b", 4).epoch, origin=origin("b", 4))
    assert a.decide(a.propose(MOUNT, NO_EPOCH), [verdict]) == Held(origin("b", 4).epoch)
    assert state.origin(MOUNT) is None


def test_a_claim_in_the_smaller_part_is_provisional_and_loses_against_the_larger() -> None:
    (a, _), (b, state) = mesh("a", 3), mesh("b", 3)
    b.on_hello(hello(node("c")), 0.0)
    lesser, greater = claimed(a), claimed(b)
    assert isinstance(lesser, Claimed) and isinstance(greater, Claimed)
    assert (lesser.is_provisional, greater.is_provisional) == (True, False)
    assert greater.epoch > lesser.epoch
    assert state.highest(MOUNT) == NO_EPOCH  # until the driver puts the record


def test_a_lost_claim_is_made_again_above_the_one_that_won() -> None:
    a, _ = mesh("a")
    first = a.propose(MOUNT, NO_EPOCH)
    beaten = a.decide(first, [Verdict(objects=True, promised=Epoch(0, 9, 1, "z/z1"))])
    assert beaten == Held(NO_EPOCH)
    assert a.propose(MOUNT, NO_EPOCH).epoch.number == 10


def test_a_verdict_without_a_decision_is_an_objection() -> None:
    a, _ = mesh("a")
    assert isinstance(a.decide(a.propose(MOUNT, NO_EPOCH), [decode(Verdict, {})]), Held)


def test_a_proposal_is_read_as_it_was_written() -> None:
    proposal = mesh("a.example:8000")[0].propose(MOUNT, Epoch(1, 2, 1, "b.c/x"))
    assert decode(Proposal, encode(proposal)) == proposal
