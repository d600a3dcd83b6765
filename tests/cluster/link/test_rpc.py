"""Questions and answers between two nodes, over one link each way."""

from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event

from pycast.cluster.link.frames import Kind
from pycast.cluster.link.rpc import Message, NoAnswer
from tests.cluster.hosts import Host
from tests.conftest import WaitUntil


@pytest.fixture
def pair() -> Iterator[tuple[Host, Host]]:
    a, b = Host(), Host()
    b.answers.handlers["echo"] = lambda message: message
    yield a, b
    a.stop()
    b.stop()


def test_a_question_gets_its_answer(pair: tuple[Host, Host]) -> None:
    a, b = pair
    assert a.peers.call(b.address, "echo", {"text": "Tïtle"}) == {"text": "Tïtle"}
    assert a.peers.call(b.address, "echo", {}) == {}
    assert len(b.links) == 1


def test_many_questions_are_under_way_at_once_on_one_link(pair: tuple[Host, Host]) -> None:
    a, b = pair
    slow = Event()

    def wait(message: Message) -> Message:
        slow.wait(5)
        return {"slow": True}

    b.answers.handlers["wait"] = wait
    found: list[Message] = []
    first = a.group.spawn("slow", lambda: found.append(a.peers.call(b.address, "wait", {}, 5)))
    for number in range(20):
        a.group.spawn("quick", lambda number=number: found.append(a.peers.call(b.address, "echo", {"n": number})))
    with gevent.Timeout(5):
        while len(found) < 20:
            gevent.sleep(0.01)
    assert {"slow": True} not in found
    slow.set()
    first.join(5)
    assert found[-1] == {"slow": True}
    assert sorted(one["n"] for one in found[:-1]) == list(range(20))
    assert len(b.links) == 1


def test_what_is_told_is_taken_in_its_order(pair: tuple[Host, Host], wait_until: WaitUntil) -> None:
    a, b = pair
    told: list[int] = []
    b.answers.handlers["tell"] = lambda message: told.append(message["n"])
    for number in range(100):
        a.peers.notify(b.address, "tell", {"n": number})
    wait_until(lambda: len(told) == 100, "all of it")
    assert told == list(range(100))


def test_no_answer_in_time_is_an_error_and_the_link_stays(pair: tuple[Host, Host]) -> None:
    a, b = pair
    b.answers.handlers["never"] = lambda message: gevent.sleep(30)
    with pytest.raises(NoAnswer, match="within"):
        a.peers.call(b.address, "never", {}, 0.1)
    assert a.peers.call(b.address, "echo", {"x": 1}) == {"x": 1}
    assert len(b.links) == 1


def test_all_are_asked_at_once_and_those_who_answer_count(pair: tuple[Host, Host]) -> None:
    a, b = pair
    closed = Host()
    closed.close_the_port()
    assert a.peers.call_all([b.address, closed.address, a.address], "echo", {"x": 1}, 1.0) == {
        b.address: {"x": 1},
        a.address: {"error": "unknown question"},
    }
    with pytest.raises(NoAnswer) as caught:
        a.peers.call(closed.address, "echo", {})
    assert caught.value.is_refused
    closed.stop()


def test_a_lost_link_is_told_once_fails_what_waits_and_is_opened_anew(
    pair: tuple[Host, Host], wait_until: WaitUntil
) -> None:
    a, b = pair
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))
    b.answers.handlers["never"] = lambda message: gevent.sleep(30)
    failed: list[NoAnswer] = []

    def call() -> None:
        try:
            a.peers.call(b.address, "never", {}, 10)
        except NoAnswer as error:
            failed.append(error)

    a.group.spawn("ask", call)
    wait_until(lambda: b.links, "the link")
    gevent.sleep(0.05)
    b.hang_up()
    wait_until(lambda: failed, "the answer that never comes")
    wait_until(lambda: lost, "the loss")
    assert lost == [b.address]
    assert a.peers.call(b.address, "echo", {"x": 1}) == {"x": 1}


def test_who_hangs_up_itself_is_told_of_no_loss(pair: tuple[Host, Host]) -> None:
    a, b = pair
    lost: list[str] = []
    a.peers.link_lost.subscribe(lambda event: lost.append(event.address))
    a.peers.call(b.address, "echo", {})
    a.peers.hang_up(b.address)
    gevent.sleep(0.05)
    assert lost == []


def test_a_link_that_is_hung_up_on_while_it_is_opened_is_none(pair: tuple[Host, Host]) -> None:
    """And is closed, which the check for what a test leaves behind sees."""
    a, b = pair
    failed: list[NoAnswer] = []

    def call() -> None:
        try:
            a.peers.call(b.address, "echo", {})
        except NoAnswer as error:
            failed.append(error)

    asking = a.group.spawn("ask", call)
    gevent.sleep(0)  # until it dials
    a.peers.hang_up(b.address)
    asking.join(5)
    assert len(failed) == 1
    assert a.peers.call(b.address, "echo", {"x": 1}) == {"x": 1}


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), TypeError("x")])
def test_a_question_that_makes_no_sense_gets_an_error_and_no_harm_is_done(
    pair: tuple[Host, Host], error: Exception
) -> None:
    a, b = pair

    def refuse(message: Message) -> Message:
        raise error

    b.answers.handlers["refuse"] = refuse
    assert "error" in a.peers.call(b.address, "refuse", {})
    assert a.peers.call(b.address, "nonsense", {}) == {"error": "unknown question"}
    assert a.peers.call(b.address, "echo", {"x": 1}) == {"x": 1}


@pytest.mark.parametrize("kind", [Kind.REPLY, Kind.AUDIO])
def test_what_is_no_question_ends_the_link(pair: tuple[Host, Host], kind: Kind, wait_until: WaitUntil) -> None:
    a, b = pair
    link = a.connector.dial(b.address)
    link.write_json(kind, {"n": 1})
    assert link.read(5) is None
    wait_until(lambda: b.refused, "the refusal")
    link.close()
