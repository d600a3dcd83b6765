"""A node speaks for itself only: each class of messages has its rule, and each rule refuses a foreign sender."""

from typing import Any

import pytest

from pycast.cluster.link import questions as q
from pycast.cluster.link.frames import LinkError
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.rights import SENDERS, check_sender
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord

PEER = NodeIdentity("a", "a1", "a:1")


def record(node: str = "a", boot: str = "a1", address: str = "a:1") -> NodeRecord:
    return NodeRecord(node, boot, address)


def origin(node: str = "a", boot: str = "a1") -> OriginRecord:
    return OriginRecord("/x", node, boot, Epoch(0, 1, 1, f"{node}/{boot}"), 0, True)


def epoch(node: str = "a", boot: str = "a1") -> Epoch:
    return Epoch(0, 1, 1, f"{node}/{boot}")


OWN: list[Any] = [
    q.Hello(record(), (origin(),)),
    q.HelloAnswer(record(), (origin(),), False),
    q.Beat("a", "a1", 0),
    q.NodeNews(record()),
    q.OriginNews(origin()),
    q.OriginGone("/x", epoch()),
    q.HelloAgain("a"),
    q.Goodbye("a", "a1"),
    q.Proposal("/x", epoch(), epoch("b")),
    q.Announce(origin()),
]
FOREIGN: list[Any] = [
    q.Hello(record("b"), ()),
    q.Hello(record(boot="a2"), ()),
    q.Hello(record(address="b:1"), ()),
    q.Hello(record(), (origin(), origin("b"))),
    q.HelloAnswer(record("b"), (), False),
    q.HelloAnswer(record(), (origin("b"),), False),
    q.Beat("b", "a1", 0),
    q.Beat("a", "a2", 0),
    q.NodeNews(record("b")),
    q.NodeNews(record(address="b:1")),
    q.OriginNews(origin("b")),
    q.OriginNews(origin(boot="a2")),
    q.OriginGone("/x", epoch("b")),
    q.HelloAgain("b"),
    q.Goodbye("b", "b1"),
    q.Goodbye("a", "a2"),
    q.Proposal("/x", epoch("b"), epoch()),
    q.Proposal("/x", Epoch(0, 1, 1, "a"), epoch()),
    q.Announce(origin("b")),
]


@pytest.mark.parametrize("message", OWN, ids=lambda one: type(one).__name__)
def test_a_node_may_speak_for_itself(message: object) -> None:
    check_sender(PEER, message)


@pytest.mark.parametrize("message", FOREIGN, ids=lambda one: type(one).__name__)
def test_a_node_may_not_speak_for_another_or_for_an_earlier_process(message: object) -> None:
    with pytest.raises(LinkError, match="of node"):
        check_sender(PEER, message)


def test_every_message_has_a_rule_and_every_rule_a_test() -> None:
    assert set(q.WIRE_NAMES) <= set(SENDERS)
    ruled = {kind for kind, senders in SENDERS.items() if senders is not None}
    assert {type(one) for one in OWN} == ruled == {type(one) for one in FOREIGN}


def test_a_message_without_a_sender_is_free() -> None:
    check_sender(PEER, q.Ping())
    check_sender(PEER, q.KillSource("/x"))
