"""Tests of pycast.server.waiting_line: a crowd is served in its order, in turns, and nobody twice."""

from collections.abc import Iterator

import gevent
import pytest

from pycast.server import waiting_line as module
from pycast.server.connection import Connection
from pycast.server.waiting_line import AT_ONCE, GREENLETS_AT_ONCE, WaitingLine
from tests.conftest import WaitUntil
from tests.server.contexts import connect


class Served:
    """Who was served, in which turn of the loop; each gets a greenlet if `greenlets`."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.turns: list[int] = []
        self.greenlets = False
        self.is_crowded = False
        self.queue = WaitingLine(self._serve, lambda: self.is_crowded)

    def _serve(self, connection: Connection, head: bytes) -> bool:
        self.heads.append(head)
        self.turns.append(gevent.get_hub().loop.iteration)
        return self.greenlets

    def most_in_a_turn(self) -> int:
        return max(self.turns.count(turn) for turn in self.turns)


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.queue.take_all()


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, peer = connect()
    yield ours
    ours.close()
    peer.close()


HEADS = [b"%d" % number for number in range(100)]


def test_a_few_are_served_at_once(served: Served, connection: Connection) -> None:
    for head in HEADS[:AT_ONCE]:
        served.queue.add(connection, head)
    assert served.heads == HEADS[:AT_ONCE]
    assert len(served.queue) == 0


def test_a_crowd_is_served_in_its_order(served: Served, connection: Connection, wait_until: WaitUntil) -> None:
    for head in HEADS:
        served.queue.add(connection, head)
    assert len(served.queue) == len(HEADS) - AT_ONCE
    wait_until(lambda: len(served.heads) >= len(HEADS), "all of them")
    assert served.heads == HEADS


def test_while_a_turns_time_is_over_at_once_nobody_is_served_and_nobody_lost(
    served: Served, connection: Connection, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN_S", 0.0)
    for head in HEADS:
        served.queue.add(connection, head)
    turn = gevent.get_hub().loop.iteration
    wait_until(lambda: gevent.get_hub().loop.iteration > turn + 3, "some turns")
    assert len(served.queue) == len(HEADS) - AT_ONCE
    monkeypatch.undo()
    wait_until(lambda: served.heads == HEADS, "all of them")


@pytest.mark.parametrize(("is_crowded", "slice_name"), [(True, "CROWDED_TURN_S"), (False, "TURN_S")])
def test_while_more_are_in_the_kernels_queue_a_turn_is_short(
    served: Served,
    connection: Connection,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
    is_crowded: bool,
    slice_name: str,
) -> None:
    assert 0 < module.CROWDED_TURN_S < module.TURN_S
    monkeypatch.setattr(module, slice_name, 0.0)
    served.is_crowded = is_crowded
    for head in HEADS:
        served.queue.add(connection, head)
    turn = gevent.get_hub().loop.iteration
    wait_until(lambda: gevent.get_hub().loop.iteration > turn + 3, "some turns")
    assert len(served.queue) == len(HEADS) - AT_ONCE
    served.is_crowded = not is_crowded
    wait_until(lambda: served.heads == HEADS, "all of them")


def test_of_those_that_need_a_greenlet_few_are_served_in_a_turn(
    served: Served, connection: Connection, wait_until: WaitUntil
) -> None:
    served.greenlets = True
    for head in HEADS:
        served.queue.add(connection, head)
    wait_until(lambda: served.heads == HEADS, "all of them")
    assert served.most_in_a_turn() <= GREENLETS_AT_ONCE + AT_ONCE


def test_who_is_taken_out_is_not_served(served: Served, connection: Connection) -> None:
    for head in HEADS:
        served.queue.add(connection, head)
    left = served.queue.take_all()
    gevent.sleep(0.01)
    assert [head for _, head in left] == HEADS[AT_ONCE:]
    assert served.heads == HEADS[:AT_ONCE]
    assert served.queue.take_all() == []


def test_one_that_fails_does_not_hold_up_the_others(
    served: Served, connection: Connection, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    for head in HEADS:
        served.queue.add(connection, head)
    serve = served.queue._serve

    def fail(connection: Connection, head: bytes) -> bool:
        served.queue._serve = serve
        raise ValueError(head)

    served.queue._serve = fail
    monkeypatch.setattr(gevent.get_hub(), "handle_error", lambda *_: None)
    wait_until(lambda: len(served.heads) == len(HEADS) - 1, "all but one")
