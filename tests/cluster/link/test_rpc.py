"""Questions and answers between two nodes, over one link each way."""

import logging
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from pycast.cluster.codec import encode
from pycast.cluster.link.admin_answers import Done, Moved
from pycast.cluster.link.frames import Kind, LinkError, read_json
from pycast.cluster.link.link import Link
from pycast.cluster.link.questions import (
    AskTail,
    Beat,
    Goodbye,
    Hello,
    HelloAnswer,
    KillListener,
    MoveListeners,
    Ping,
    Pong,
    SetTitle,
    Tail,
    TailAnswer,
)
from pycast.cluster.link.rpc import BadAnswer, NoAnswer
from pycast.cluster.registry.epoch import Epoch
from pycast.cluster.registry.records import NodeRecord
from pycast.testing.ports import Ports
from tests.cluster.hosts import Host
from tests.conftest import WaitUntil


def move(order: MoveListeners) -> Moved:
    """Returns a number that depends on the order, so that answers differ."""
    return Moved(int(order.to))


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    a, b = Host(), Host()
    a.is_node(NodeRecord("a", "a1", a.address))
    b.answers.on(Ping, lambda question: Pong("b1"))
    b.answers.on(MoveListeners, move)
    yield a, b
    a.stop()
    b.stop()


def test_a_question_gets_its_answer(pair: tuple[Host, Host]) -> None:
    a, b = pair
    titles: list[SetTitle] = []

    def take(order: SetTitle) -> Done:
        titles.append(order)
        return Done(True)

    b.answers.on(SetTitle, take)
    assert a.peers.call(b.address, SetTitle("/x", "Ärtist", "Tïtle", "")) == Done(True)
    assert titles == [SetTitle("/x", "Ärtist", "Tïtle", "")]
    assert a.peers.call(b.address, Ping()) == Pong("b1")
    assert len(b.links) == 1


def test_an_answer_with_nested_values_arrives_whole(pair: tuple[Host, Host]) -> None:
    a, b = pair
    answer = TailAnswer(Tail(Epoch(0, 7, 1, "a.b/c"), 1 << 40, 0))
    b.answers.on(AskTail, lambda question: answer)
    assert a.peers.call(b.address, AskTail("/x")) == answer


def test_many_questions_are_under_way_at_once_on_one_link(pair: tuple[Host, Host]) -> None:
    a, b = pair
    slow = Event()

    def wait(question: Ping) -> Pong:
        slow.wait(5)
        return Pong("slow")

    b.answers.on(Ping, wait)
    found: list[object] = []
    first = a.group.spawn("slow", lambda: found.append(a.peers.call(b.address, Ping(), 5)))
    for number in range(20):
        order = MoveListeners("/x", str(number))
        a.group.spawn("quick", lambda order=order: found.append(a.peers.call(b.address, order)))
    with gevent.Timeout(5):
        while len(found) < 20:
            gevent.sleep(0.01)
    assert Pong("slow") not in found
    slow.set()
    first.join(5)
    assert found[-1] == Pong("slow")
    assert set(found[:-1]) == {Moved(number) for number in range(20)}
    assert len(b.links) == 1


def test_notifications_are_handled_in_their_order(pair: tuple[Host, Host], wait_until: WaitUntil) -> None:
    a, b = pair
    received: list[int] = []
    b.answers.on(Beat, lambda beat: received.append(beat.origins))
    for number in range(100):
        a.peers.notify(b.address, Beat("a", "a1", number))
    wait_until(lambda: len(received) == 100, "all of it")
    assert received == list(range(100))


def test_what_follows_a_question_that_is_answered_in_order_does_not_overtake_it(
    pair: tuple[Host, Host], wait_until: WaitUntil
) -> None:
    a, b = pair
    order: list[str] = []

    def take_hello(hello: Hello) -> HelloAnswer:
        order.append("hello")
        return HelloAnswer(b.own.now, (), False)

    b.answers.on(Hello, take_hello, is_in_order=True)
    b.answers.on(Goodbye, lambda goodbye: order.append("goodbye"))
    a.peers.call(b.address, Ping())
    hello = a.group.spawn("hello", a.peers.call, b.address, Hello(a.own.now, ()))
    gevent.sleep(0)  # it is sent
    a.peers.notify(b.address, Goodbye("a", "a1"))
    hello.join(5)
    wait_until(lambda: len(order) == 2, "both")
    assert order == ["hello", "goodbye"]


def test_a_node_may_ask_what_is_asked_of_it_only_if_it_may(pair: tuple[Host, Host], wait_until: WaitUntil) -> None:
    a, b = pair
    asked: list[KillListener] = []
    b.answers.on(KillListener, asked.append, may=lambda peer: peer.node != "a")
    with pytest.raises(NoAnswer):
        a.peers.call(b.address, KillListener("/x", 1))
    a.is_node(NodeRecord("c", "c1", a.address))
    b.answers.on(KillListener, lambda order: Done(True), may=lambda peer: peer.node == "c")
    assert a.peers.call(b.address, KillListener("/x", 1)) == Done(True)
    assert asked == []


@pytest.mark.parametrize("message", [Goodbye("b", "b1"), Beat("a", "former", 0)])
def test_a_node_that_speaks_for_another_loses_its_link(
    pair: tuple[Host, Host], message: Goodbye | Beat, wait_until: WaitUntil
) -> None:
    a, b = pair
    heard: list[object] = []
    b.answers.on(type(message), heard.append)
    a.peers.notify(b.address, message)
    wait_until(lambda: b.refused, "the end of the link")
    assert heard == []


def test_no_answer_in_time_is_an_error_and_the_link_stays(pair: tuple[Host, Host]) -> None:
    a, b = pair
    b.answers.on(AskTail, lambda question: gevent.sleep(30))
    with pytest.raises(NoAnswer, match=r"mirror\.tail within"):
        a.peers.call(b.address, AskTail("/x"), 0.1)
    assert a.peers.call(b.address, Ping()) == Pong("b1")
    assert len(b.links) == 1


def test_all_are_asked_at_once_and_those_that_answer_count(pair: tuple[Host, Host]) -> None:
    a, b = pair
    closed, deaf = Host(), Host()
    closed.close_the_port()
    assert a.peers.call_all([b.address, closed.address, deaf.address], Ping(), 1.0) == {b.address: Pong("b1")}
    with pytest.raises(NoAnswer) as caught:
        a.peers.call(closed.address, Ping())
    assert caught.value.is_refused
    closed.stop()
    deaf.stop()


def test_a_lost_link_is_reported_once_fails_the_calls_and_is_opened_again(
    pair: tuple[Host, Host], wait_until: WaitUntil
) -> None:
    a, b = pair
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))
    asked: list[AskTail] = []

    def never(question: AskTail) -> None:
        asked.append(question)
        gevent.sleep(30)

    b.answers.on(AskTail, never)
    failed: list[NoAnswer] = []

    def call() -> None:
        try:
            a.peers.call(b.address, AskTail("/x"), 10)
        except NoAnswer as error:
            failed.append(error)

    a.group.spawn("ask", call)
    wait_until(lambda: asked, "the question")
    b.hang_up()
    wait_until(lambda: failed, "the answer that never comes")
    wait_until(lambda: lost, "the loss")
    assert lost == [b.address]
    assert a.peers.call(b.address, Ping()) == Pong("b1")


def test_a_link_that_is_closed_here_is_not_reported_as_lost(pair: tuple[Host, Host]) -> None:
    a, b = pair
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))
    a.peers.call(b.address, Ping())
    a.peers.hang_up(b.address)
    gevent.sleep(0.05)
    assert lost == []


def test_a_link_that_is_closed_while_it_is_opened_fails_the_call(pair: tuple[Host, Host]) -> None:
    """The check for what a test leaves behind sees that the link is closed as well."""
    a, b = pair
    failed: list[NoAnswer] = []

    def call() -> None:
        try:
            a.peers.call(b.address, Ping())
        except NoAnswer as error:
            failed.append(error)

    asking = a.group.spawn("ask", call)
    gevent.sleep(0)  # until it dials
    a.peers.hang_up(b.address)
    asking.join(5)
    assert len(failed) == 1
    assert a.peers.call(b.address, Ping()) == Pong("b1")


def test_an_answer_that_was_not_sent_whole_ends_the_link(
    pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    a, b = pair
    write = Link.write_json
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))

    def stall(link: Link, kind: Kind, value: object) -> None:
        if kind is Kind.REPLY:
            raise TimeoutError("the other node does not read")
        write(link, kind, value)

    monkeypatch.setattr(Link, "write_json", stall)
    with pytest.raises(NoAnswer, match="closed"):
        a.peers.call(b.address, Ping(), 5.0)
    wait_until(lambda: lost, "the end of the link")
    monkeypatch.undo()
    assert a.peers.call(b.address, Ping()) == Pong("b1")


def test_nodes_that_are_gone_leave_nothing_behind(pair: tuple[Host, Host]) -> None:
    a, b = pair
    a.peers.call(b.address, Ping())
    with Ports() as ports:
        gone = [f"127.0.0.1:{ports.take()}" for _ in range(5)]
    for address in gone:
        with pytest.raises(NoAnswer):
            a.peers.call(address, Ping())
    assert b.address in a.peers._calls and len(a.peers._calls) <= 2


# -- nonsense


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), TypeError("x")])
def test_a_malformed_question_gets_an_error_and_the_link_stays(
    pair: tuple[Host, Host], error: Exception, wait_until: WaitUntil
) -> None:
    a, b = pair
    received: list[Beat] = []

    def refuse(message: object) -> None:
        received.extend([message] if isinstance(message, Beat) else [])
        raise error

    b.answers.on(KillListener, refuse)
    b.answers.on(Beat, refuse)
    with pytest.raises(BadAnswer, match=r"control\.kill"):
        a.peers.call(b.address, KillListener("/x", 1))
    a.peers.notify(b.address, Beat("a", "a1", 0))
    wait_until(lambda: received, "the beat")
    with pytest.raises(BadAnswer, match="unknown question"):
        a.peers.call(b.address, AskTail("/x"))
    assert a.peers.call(b.address, Ping()) == Pong("b1")
    assert len(b.links) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"n": 1},
        {"n": 1, "what": []},
        {"n": 1, "what": "mesh.nothing", "with": {}},
    ],
)
def test_an_unknown_question_which_a_newer_node_may_ask_is_answered_and_logged_once(
    pair: tuple[Host, Host], message: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair
    asked: list[MoveListeners] = []
    b.answers.on(MoveListeners, asked.append)
    link = a.connector.dial(b.address)
    for _ in range(3):
        link.write_json(Kind.CALL, message)
        kind, payload = link.read(5) or (None, b"")
        reply = read_json(payload)
        assert (kind, reply["n"]) == (Kind.REPLY, 1) and reply["error"]
    link.close()
    assert asked == []
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1


def test_a_handler_can_end_the_link(pair: tuple[Host, Host], wait_until: WaitUntil) -> None:
    a, b = pair

    def refuse(beat: Beat) -> None:
        raise LinkError("a beat of a stranger")

    b.answers.on(Beat, refuse)
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))
    a.peers.notify(b.address, Beat("a", "a1", 0))
    wait_until(lambda: lost, "the end of the link")
    assert b.refused == ["a beat of a stranger"]


@pytest.mark.parametrize(
    "message",
    [
        {"n": 1, "what": "control.move"},
        {"n": 1, "what": "control.move", "with": [1]},
        {"n": 1, "what": "control.move", "with": {"mount": "/x"}},
        {"n": 1, "what": "control.move", "with": {"mount": "/x", "to": 5}},
        {"n": 1, "what": "control.move", "with": {"mount": "/x", "to": "y" * 50_000}},
    ],
)
def test_no_handler_gets_an_incomplete_question_and_its_link_ends(
    pair: tuple[Host, Host], message: dict[str, Any], caplog: pytest.LogCaptureFixture, wait_until: WaitUntil
) -> None:
    a, b = pair
    asked: list[MoveListeners] = []
    b.answers.on(MoveListeners, asked.append)
    link = a.connector.dial(b.address)
    for _ in range(3):
        link.write_json(Kind.CALL, message)
    assert link.read(5) is None
    wait_until(lambda: b.checks.counters.faults, "the fault")
    link.close()
    assert asked == []
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"with": None},
        {"with": []},
        {"with": {"boot": 5}},
        {"error": "no"},
        {"error": [[]]},
        {"with": encode(Pong("b1")), "error": ""},
    ],
)
def test_a_malformed_answer_is_no_answer(
    pair: tuple[Host, Host], answer: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = pair

    def reply(link: Any, first: tuple[Kind, bytes]) -> None:
        frame: tuple[Kind, bytes] | None = first
        while frame is not None:
            number = read_json(frame[1])["n"]
            link.write_json(Kind.REPLY, {"n": [number], "with": encode(Pong("b1"))})  # to no question
            link.write_json(Kind.REPLY, {"n": number, **answer})
            frame = link.read(None)

    b.serve = reply
    with pytest.raises(BadAnswer, match=r"node\.ping"):
        a.peers.call(b.address, Ping())
    assert a.peers.call_all([b.address], Ping(), 1.0) == {}
    assert "node.ping" in caplog.text
    # One that makes no sense has cut the node off; an error is an answer.
    assert a.checks.counters.faults == ("error" not in answer)
    assert bool(a.checks.blocked_s(b.connector.me)) is ("error" not in answer)


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.AUDIO])
def test_a_frame_that_is_no_question_ends_the_link(pair: tuple[Host, Host], kind: Kind, wait_until: WaitUntil) -> None:
    a, b = pair
    link = a.connector.dial(b.address)
    link.write_json(kind, {"n": 1})
    assert link.read(5) is None
    wait_until(lambda: b.refused, "the refusal")
    link.close()
