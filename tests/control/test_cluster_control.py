"""An admin's questions and orders reach all nodes, and a node that does not answer is left out."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import gevent
import pytest

from pycast.cluster.link.admin_answers import Done, Moved
from pycast.cluster.link.questions import (
    AddSlave,
    AskEvents,
    AskListeners,
    AskRelays,
    AskSnapshot,
    KillListener,
    KillSource,
    MoveListeners,
    OrderRelay,
    ResetStats,
    SetFallback,
    SetTitle,
)
from pycast.control import cluster_control
from pycast.control.cluster_control import ClusterControl
from pycast.errors import Refused
from pycast.stats.snapshot import FeedEvent, ListenerSnapshot, NodeEvents, NodeSnapshot, RelayLine
from tests.cluster.members import Member
from tests.conftest import WaitUntil
from tests.stats.snapshots import node as snapshot_of

NAME = "/x"


class FakeNodeControl:
    """A node with `listeners` of the one mount; `has` says whether it has the source."""

    def __init__(self, *ids: int) -> None:
        self.has = False
        self.ids = list(ids)
        self.titles: list[tuple[str, str, str]] = []
        self.taken = 0
        self.may_move = True
        self.standby = ""
        self.marks: list[dict[str, int]] = []
        self.happened = NodeEvents("b", 7, 1, (FeedEvent(7, 1.5, "source-connect", NAME, "x/y", 0),), {NAME: "2"})
        self.relay_lines: list[RelayLine] = []
        self.orders: list[tuple[str, ...]] = []

    def snapshot(self) -> NodeSnapshot:
        self.taken += 1
        return snapshot_of(listeners=len(self.ids))

    def knows(self, mount: str) -> bool:
        return mount == NAME and (self.has or bool(self.ids))

    def has_source(self, mount: str) -> bool:
        return mount == NAME and self.has

    def listeners(self, mount: str) -> list[ListenerSnapshot]:
        return [ListenerSnapshot(one, "::1", "Plåyer", 1, 2, 3) for one in self.ids if mount == NAME]

    def kill(self, mount: str, id: int) -> bool:
        if mount != NAME or id not in self.ids:
            return False
        self.ids.remove(id)
        return True

    def kill_source(self, mount: str) -> bool:
        had, self.has = self.has_source(mount), False
        return had

    def has_standby_from(self, mount: str, sender: str) -> bool:
        return bool(sender) and sender == self.standby

    def set_title(self, mount: str, artist: str, title: str, url: str, sender: str = "") -> bool:
        self.titles.append((artist, title, url))
        return True

    def set_fallback(self, mount: str, fallback: str) -> None:
        self.orders.append((mount, fallback))

    def reset_stats(self, mount: str, counts: Collection[str]) -> None:
        self.orders.append((mount, *counts))

    def add_slave(self, host: str, port: int, interval_s: int) -> None:
        self.orders.append((host, f"{port} {interval_s}"))

    def relays(self) -> list[RelayLine]:
        return self.relay_lines

    def events(self, marks: Mapping[str, int]) -> list[NodeEvents]:
        self.marks.append(dict(marks))
        return [self.happened]

    def order_relay(self, mount: str, order: str) -> bool:
        self.orders.append((mount, order))
        return any(one.mount == mount for one in self.relay_lines)

    def move(self, mount: str, to: str) -> int:
        if not self.may_move:
            raise Refused("Destination not running", status=400)
        moved, self.ids = len(self.ids), []
        return moved


class Site(Member):
    """A node with its control, wired as in the server."""

    def __init__(self, name: str, ids: tuple[int, ...], *others: Member) -> None:
        super().__init__(name, *others)
        self.local = FakeNodeControl(*ids)
        self.control = ClusterControl(cast(Any, self.local), self.member)
        self.answers.on(AskSnapshot, self.control.answer_snapshot)
        self.answers.on(AskListeners, self.control.answer_listeners)
        self.answers.on(KillListener, self.control.answer_kill)
        self.answers.on(KillSource, self.control.answer_kill_source)
        self.answers.on(SetTitle, self.control.answer_title)
        self.answers.on(MoveListeners, self.control.answer_move)
        self.answers.on(SetFallback, self.control.answer_fallback)
        self.answers.on(AddSlave, self.control.answer_slave)
        self.answers.on(ResetStats, self.control.answer_reset)
        self.answers.on(AskEvents, self.control.answer_events)
        self.answers.on(AskRelays, self.control.answer_relays)
        self.answers.on(OrderRelay, self.control.answer_relay_order)
        self.join()


@pytest.fixture
def sites(wait_until: WaitUntil) -> Iterator[tuple[Site, Site]]:
    a = Site("a", (1, 2))
    b = Site("b", (3,), a)
    wait_until(lambda: a.sees(b) and b.sees(a), "each other")
    yield a, b
    a.stop()
    b.stop()


def test_statistics_are_of_all_nodes(sites: tuple[Site, Site]) -> None:
    a, b = sites
    assert a.control.snapshot().listeners == 3 == b.control.snapshot().listeners


def test_statistics_are_kept_for_a_moment_and_concurrent_callers_wait_for_them(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = sites
    asking = [gevent.spawn(a.control.snapshot) for _ in range(5)]  # noqa: TID251
    gevent.joinall(asking, timeout=5)
    assert [one.value and one.value.listeners for one in asking] == [3] * 5
    assert b.local.taken == 1
    monkeypatch.setattr(cluster_control, "FRESH_S", 0.0)
    a.control.snapshot()
    assert b.local.taken == 2


def polls(control: ClusterControl, count: int = 4) -> list[Any]:
    """Starts some requests for the statistics at once."""
    return [gevent.spawn(control.snapshot) for _ in range(count)]  # noqa: TID251


def test_statistics_that_fail_leave_no_request_waiting(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, _ = sites

    def fail(*args: object) -> NodeSnapshot:
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr(a.local, "snapshot", fail)
    asking = polls(a.control)
    assert len(gevent.joinall(asking, timeout=5)) == len(asking)
    assert all(isinstance(one.exception, OverflowError) for one in asking)
    monkeypatch.undo()
    monkeypatch.setattr(cluster_control, "FRESH_S", 0.0)
    assert a.control.snapshot().listeners == 3


def test_statistics_that_fail_after_others_were_asked_for_leave_no_request_waiting(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = sites

    def fail(*args: object) -> NodeSnapshot:
        raise OverflowError("cannot convert float infinity to integer")

    monkeypatch.setattr(cluster_control, "merge", fail)
    monkeypatch.setattr(cluster_control, "FRESH_S", 0.05)
    monkeypatch.setattr(cluster_control, "ASK_S", 0.3)
    b.answers.on(AskSnapshot, lambda question: gevent.sleep(30))
    early = polls(a.control)
    gevent.sleep(0.1)
    late = polls(a.control)
    assert len(gevent.joinall([*early, *late], timeout=5)) == len(early) + len(late)
    assert all(one.value.listeners == 2 for one in [*early[1:], *late[1:]])


def test_a_request_that_is_ended_leaves_no_other_waiting(sites: tuple[Site, Site], wait_until: WaitUntil) -> None:
    a, b = sites
    asked: list[AskSnapshot] = []

    def never(question: AskSnapshot) -> None:
        asked.append(question)
        gevent.sleep(30)

    b.answers.on(AskSnapshot, never)
    first, *others = polls(a.control)
    wait_until(lambda: asked, "the first to ask")
    first.kill()
    assert len(gevent.joinall(others, timeout=5)) == len(others)
    assert all(one.value and one.value.listeners == 2 for one in others)


def test_a_node_that_does_not_answer_is_left_out_with_a_line_in_the_log(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = sites
    monkeypatch.setattr(cluster_control, "ASK_S", 0.1)
    b.answers.on(AskSnapshot, lambda question: gevent.sleep(30))
    assert a.control.snapshot().listeners == 2
    assert f"the node at {b.address} did not answer control.snapshot: it is left out" in caplog.text


def test_a_node_whose_answer_makes_no_sense_is_left_out(
    sites: tuple[Site, Site], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = sites
    b.answers.on(AskSnapshot, lambda question: Done(True))
    b.answers.on(AskListeners, lambda question: Done(True))
    assert a.control.snapshot().listeners == 2
    assert [one.id for one in a.control.listeners(NAME)] == [1, 2]
    assert "no snapshot" in caplog.text
    for name in ("control.snapshot", "control.listeners"):
        assert f"the node at {b.address} did not answer {name}: it is left out" in caplog.text
    # Once each: pages ask every few seconds.
    lines = len(caplog.records)
    a.control.listeners(NAME)
    assert len([one for one in caplog.records[lines:] if one.levelno >= logging.WARNING]) == 0


def test_silence_is_logged_also_after_many_nodes_have_come_and_gone(
    sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = sites
    monkeypatch.setattr(cluster_control, "MOST_SILENT", 1)
    a.control._silent.add(("192.0.2.1:8000", "control.snapshot"))
    b.answers.on(AskListeners, lambda question: Done(True))
    a.control.listeners(NAME)
    assert f"the node at {b.address} did not answer control.listeners: it is left out" in caplog.text
    assert len(a.control._silent) == 1


def test_workers_are_those_of_the_same_parent(sites: tuple[Site, Site], monkeypatch: pytest.MonkeyPatch) -> None:
    a, _ = sites
    assert [one.listeners for one in a.control.workers()] == [2]
    (other,) = a.member.others()
    monkeypatch.setattr(a.member, "siblings", lambda: (other,))
    assert [one.listeners for one in a.control.workers()] == [2, 1]


def test_listeners_are_of_all_nodes(sites: tuple[Site, Site]) -> None:
    a, b = sites
    assert [one.id for one in a.control.listeners(NAME)] == [1, 2, 3]
    assert a.control.listeners(NAME)[2] == b.local.listeners(NAME)[0]
    assert a.control.listeners("/other") == []


def test_a_mount_is_known_that_another_node_has(sites: tuple[Site, Site]) -> None:
    a, b = sites
    a.local.ids = []
    assert not a.control.knows(NAME) and b.control.knows(NAME)


def test_a_listener_is_ended_wherever_it_is_and_once(sites: tuple[Site, Site]) -> None:
    a, b = sites
    assert a.control.kill(NAME, 3) and b.local.ids == []
    assert a.control.kill(NAME, 1) and a.local.ids == [2]
    assert not a.control.kill(NAME, 3)


def test_a_source_is_ended_wherever_it_is(sites: tuple[Site, Site]) -> None:
    a, b = sites
    b.local.has = True
    assert a.control.kill_source(NAME) and not b.local.has
    assert not a.control.kill_source(NAME)


@pytest.mark.parametrize("where", ["here", "there", "nowhere"])
def test_a_title_is_set_on_the_node_that_has_the_source(sites: tuple[Site, Site], where: str) -> None:
    a, b = sites
    a.local.has, b.local.has = where == "here", where == "there"
    assert a.control.set_title(NAME, "Ärtist", "Title" * 2000, "") is (where != "nowhere")
    title = [("Ärtist", "Title" * 2000, "")]
    assert (a.local.titles, b.local.titles) == (title * (where == "here"), title * (where == "there"))


def test_the_title_of_a_source_that_stands_by_here_does_not_go_to_the_node_with_the_other_one(
    sites: tuple[Site, Site],
) -> None:
    a, b = sites
    b.local.has, a.local.standby = True, "10.0.0.2"
    assert a.control.set_title(NAME, "", "standby's", "", "10.0.0.2")
    assert a.control.set_title(NAME, "", "the other's", "", "10.0.0.3")
    assert (a.local.titles, b.local.titles) == ([("", "standby's", "")], [("", "the other's", "")])


def test_listeners_are_moved_on_all_nodes_that_can(sites: tuple[Site, Site], caplog: pytest.LogCaptureFixture) -> None:
    a, b = sites
    assert a.control.move(NAME, "/y") == 3
    b.local.ids, b.local.may_move = [5], False
    assert a.control.move(NAME, "/y") == 0
    assert b.control.answer_move(MoveListeners(NAME, "/y")) == Moved(0)
    assert "listeners are not moved" in caplog.text


def test_the_snapshot_of_another_node_comes_as_it_was_taken(sites: tuple[Site, Site]) -> None:
    a, b = sites
    answer = a.peers.call(b.address, AskSnapshot())
    assert answer.snapshot == replace(snapshot_of(), listeners=1)


def test_a_slave_is_known_on_all_nodes(sites: tuple[Site, Site]) -> None:
    a, b = sites
    a.control.add_slave("slave.example", 8000, 60)
    assert a.local.orders == b.local.orders == [("slave.example", "8000 60")]


def test_a_fallback_and_new_counts_are_ordered_on_all_nodes(sites: tuple[Site, Site]) -> None:
    a, b = sites
    a.control.set_fallback(NAME, "/y")
    a.control.reset_stats(NAME, ["peak", "sent"])
    assert a.local.orders == b.local.orders == [(NAME, "/y"), (NAME, "peak", "sent")]


def test_relays_are_those_of_all_nodes_and_orders_reach_all(sites: tuple[Site, Site]) -> None:
    a, b = sites
    a.local.relay_lines = [RelayLine("/r", False, (), "waiting"), RelayLine("/s", False, (), "on_air", for_s=3.0)]
    b.local.relay_lines = [RelayLine("/r", False, (), "on_air", for_s=1.0), RelayLine("/s", False, (), "waiting")]
    assert [(one.mount, one.state) for one in a.control.relays()] == [("/r", "on_air"), ("/s", "on_air")]
    b.local.relay_lines.append(RelayLine("/only", False, (), "idle"))
    assert a.control.order_relay("/only", "restart")
    assert not a.control.order_relay("/none", "disable")
    assert a.local.orders == b.local.orders == [("/only", "restart"), ("/none", "disable")]


def test_events_are_those_of_all_nodes_each_since_its_own_mark(sites: tuple[Site, Site]) -> None:
    a, b = sites
    assert a.control.events({"a": 3, "b": 6}) == [a.local.happened, b.local.happened]
    assert a.local.marks == b.local.marks == [{"a": 3, "b": 6}]


def test_events_with_all_that_a_client_may_send_come_from_another_node(
    sites: tuple[Site, Site], caplog: pytest.LogCaptureFixture
) -> None:
    a, b = sites
    long = "é" * 16_000  # as long as a request's head may be
    b.local.happened = NodeEvents("b", 7, 0, (FeedEvent(7, 1.5, "source-connect", f"/{long}", "x/y", 0, title=long),))
    assert a.control.events({})[1:] == [b.local.happened]
    assert "nonsense" not in caplog.text
