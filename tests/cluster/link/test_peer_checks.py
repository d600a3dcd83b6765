"""A node that sends nonsense is cut off, counted, logged once, and spoken to again after a pause that grows."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pycast.cluster.codec import encode
from pycast.cluster.link import peer_checks
from pycast.cluster.link import questions as q
from pycast.cluster.link.frames import Frame, Kind, LinkError, pack, read_json
from pycast.cluster.link.handshake import NodeIdentity
from pycast.cluster.link.link import DialFailed, Link
from pycast.cluster.link.peer_checks import FIRST_PAUSE_S, FORGIVE_S, LONGEST_PAUSE_S, MOST_NODES, PeerChecks
from pycast.cluster.link.questions import AskSnapshot, Beat, Hello, Ping, Pong
from pycast.cluster.link.rpc import BadAnswer, NoAnswer, RpcServer
from pycast.cluster.mesh.protocol import Mesh
from pycast.cluster.registry.cluster_state import ClusterState
from pycast.cluster.registry.epoch import NO_EPOCH, Epoch
from pycast.cluster.registry.records import NodeRecord, OriginRecord
from pycast.cluster.registry.registry import Claimed
from pycast.net.group import Group
from tests.cluster.hosts import Host
from tests.cluster.link.test_questions import ANYTHING, values
from tests.conftest import WaitUntil

PEER = NodeIdentity("a", "a1", "a:1")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    a, b = Host(), Host()
    a.is_node(NodeRecord("a", "a1", a.address))
    b.answers.on(Ping, lambda question: Pong("b1"))
    yield a, b
    a.stop()
    b.stop()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]


def receiver() -> tuple[RpcServer, Mesh]:
    """Returns the real receiver of a node of a mesh that knows the node `PEER`."""
    state = ClusterState()
    mesh, server = Mesh(NodeRecord("me", "me1", "me:1"), state, 2), RpcServer(Group(), PeerChecks(state.check_epoch))
    mesh.on_hello(Hello(NodeRecord(PEER.node, PEER.boot, PEER.address), ()), 0.0)
    server.on(q.Hello, lambda hello: mesh.on_hello(hello, 0.0))
    server.on(q.Beat, lambda beat: (mesh.differs(beat), None)[1])
    server.on(q.NodeNews, lambda news: mesh.on_node(news.node, 0.0))
    server.on(q.OriginNews, lambda news: mesh.on_origin(news.origin, 0.0) and None)
    server.on(q.OriginGone, lambda gone: mesh.on_gone(gone.mount, gone.epoch))
    server.on(q.Goodbye, mesh.on_bye)
    server.on(q.Proposal, mesh.judge)
    return server, mesh


@pytest.mark.parametrize("kind", q.WIRE_NAMES, ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_any_values_through_the_receiver_are_used_or_malformed(kind: Any, data: st.DataObject) -> None:
    server, mesh = receiver()
    message = encode(data.draw(values(kind)))
    # Often from the right sender, so that the rest of the message counts.
    if data.draw(st.booleans()):
        message |= {name: value for name, value in (("node", PEER.node), ("boot", PEER.boot)) if name in message}
    names = st.sampled_from(sorted(message)) if message else st.text(max_size=8)
    for value in (data.draw(ANYTHING), message, message | data.draw(st.dictionaries(names, ANYTHING, max_size=3))):
        try:
            reply = server._handle(PEER, {"what": q.WIRE_NAMES[kind], "with": value}, set())
        except LinkError:
            continue
        assert reply.get("error") in (None, "unknown question"), reply  # "failed": the receiver has raised
    # Whatever came, the node makes sense to itself and can claim mounts.
    hello = encode(mesh.hello())
    assert encode(PeerChecks().read(NodeIdentity("me", "me1", "me:1"), Hello, hello)) == hello
    assert isinstance(mesh.decide(mesh.propose("/own", NO_EPOCH), []), Claimed)


def test_the_pause_grows_with_each_fault_and_is_bounded(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    checks = PeerChecks(clock=clock)
    assert checks.blocked_s(PEER) == 0
    pauses = []
    for _ in range(10):
        checks.blame(PEER, "a beat of another node")
        pauses.append(checks.blocked_s(PEER))
        clock.now += pauses[-1]
        assert checks.blocked_s(PEER) == 0
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses[-1] == LONGEST_PAUSE_S
    assert checks.counters.faults == 10
    assert warnings(caplog) == ["cluster: node a at a:1 sends nonsense: a beat of another node"]
    # After a long time without a fault it is like new.
    clock.now += FORGIVE_S
    checks.blame(PEER, "again")
    assert checks.blocked_s(PEER) == FIRST_PAUSE_S
    assert len(warnings(caplog)) == 2


def test_faults_that_do_not_block_are_counted_and_logged_once_too(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    checks = PeerChecks(clock=clock)
    for _ in range(5):
        checks.blame(PEER, "statistics", blocks=False)
    assert (checks.blocked_s(PEER), checks.counters.faults) == (0, 5)
    assert len(warnings(caplog)) == 1


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    checks = PeerChecks(clock=clock)
    for number in range(MOST_NODES + 10):
        checks.blame(replace(PEER, node=f"n{number}"), "x")
    assert len(checks._records) == MOST_NODES


ORIGIN = OriginRecord("/x", "a", "a1", Epoch(0, 1, 1, "a/a1"), 0, True)


@pytest.mark.parametrize(
    "changed",
    [
        {"epoch": f"0.{10**30}.1.a/a1"},
        {"epoch": f"{10**30}.1.1.a/a1"},
        {"started": 1e300},
        {"base": -1},
        {"node": "b"},
        {"mount": "/admin/x"},
    ],
)
def test_a_hello_with_an_impossible_origin_changes_nothing(
    pair: tuple[Host, Host], changed: dict[str, object], wait_until: WaitUntil
) -> None:
    a, b = pair
    heard: list[Hello] = []
    b.answers.on(Hello, heard.append, is_in_order=True)
    hello = encode(Hello(a.own.now, (ORIGIN,)))
    hello["origins"][0] |= changed
    link = a.connector.dial(b.address)
    link.write_json(Kind.CALL, {"n": 1, "what": "mesh.hello", "with": hello})
    wait_until(lambda: b.checks.counters.faults == 1, "the fault")
    assert link.read(5) is None
    assert heard == []
    link.close()


@pytest.mark.parametrize(
    "frame",
    [
        pack(Kind.NOTIFY, b"no JSON"),
        pack(Kind.CALL, json.dumps({"n": 1, "what": "node.ping", "with": []}).encode()),
        pack(Kind.NOTIFY, json.dumps({"what": "mesh.beat", "with": {"node": "b", "boot": "x", "origins": 0}}).encode()),
        pack(Kind.AUDIO, b""),
        pack(Kind.PULL, b'{"mount": 5}'),
        b"\xff" * 10,
    ],
    ids=["no JSON", "question", "sender", "kind", "pull", "frame"],
)
def test_a_node_that_sends_nonsense_is_cut_off_and_heard_again_later(
    pair: tuple[Host, Host],
    frame: bytes,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: WaitUntil,
) -> None:
    a, b = pair
    monkeypatch.setattr(peer_checks, "FIRST_PAUSE_S", 0.5)
    b.answers.on(Beat, lambda beat: None)
    link = a.connector.dial(b.address)
    link.write(frame)
    assert link.read(5) is None
    link.close()
    wait_until(lambda: b.checks.counters.faults == 1, "the fault")
    for _ in range(3):
        with pytest.raises(DialFailed, match="nonsense"):
            a.connector.dial(b.address)
    assert len([one for one in warnings(caplog) if "sends nonsense" in one]) == 1
    wait_until(lambda: not b.checks.blocked_s(a.connector.me), "the end of the block")
    assert a.peers.call(b.address, Ping()) == Pong("b1")


def answers(value: dict[str, Any]) -> Any:
    """Returns a server of links that gives this answer to everything."""

    def serve(link: Link, first: Frame) -> None:
        frame: Frame | None = first
        while frame is not None:
            link.write_json(Kind.REPLY, {"n": read_json(frame[1])["n"], **value})
            frame = link.read(None)

    return serve


def test_a_malformed_answer_cuts_the_node_off(pair: tuple[Host, Host], caplog: pytest.LogCaptureFixture) -> None:
    a, b = pair
    b.serve = answers({"with": {"boot": 5}})
    with pytest.raises(BadAnswer, match=r"node\.ping"):
        a.peers.call(b.address, Ping())
    for _ in range(3):
        with pytest.raises(NoAnswer, match="nonsense"):
            a.peers.call(b.address, Ping())
        assert a.peers.call_all([b.address], Ping(), 1.0) == {}
    assert a.checks.counters.faults == 1
    assert len(warnings(caplog)) == 1


def test_malformed_statistics_are_left_out_and_the_link_stays(
    pair: tuple[Host, Host], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair
    b.serve = answers({"with": {"snapshot": {"server_start": "inf"}}})
    for _ in range(3):
        assert a.peers.call_all([b.address], AskSnapshot(), 1.0) == {}
    assert a.checks.counters.faults == 3
    assert len(warnings(caplog)) == 1
    assert len(b.links) == 1


def test_a_mount_whose_name_is_none_is_logged_once_and_counted_and_the_links_stay(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    state = ClusterState()
    checks = PeerChecks(state.check_epoch, clock)
    state.origin_refused.subscribe(checks.on_origin_refused)
    state.put_node(NodeRecord("a", "a1", "a:1"))
    for _ in range(3):
        assert not state.put_origin(OriginRecord("/sw.js", "a", "a1", Epoch(0, 1, 1, "a"), 0, True))
    assert checks.counters.faults == 3
    [line] = warnings(caplog)
    assert line.startswith("cluster: node a at a:1 sends nonsense: it has a mount '/sw.js', which is left out: ")
    assert checks.blocked_s(PEER) == 0
