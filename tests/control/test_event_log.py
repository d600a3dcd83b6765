"""What happens is kept for a while, in order, each once, and with what is to be told of it."""

import pytest

from pycast.control import event_log as event_log_module
from pycast.control.event_log import LONGEST_TEXT, EventLog
from pycast.stream.fanout import Reason
from tests.control.stage import Stage, stage
from tests.stream.memory import WHO, MemoryTransport


def log_of(node: Stage) -> EventLog:
    log = EventLog(node.mounts, lambda: 1000.5)
    events = node.events
    events.source_started.subscribe(log.on_source_started)
    events.source_ended.subscribe(log.on_source_ended)
    events.title_changed.subscribe(log.on_title_changed)
    events.listener_joined.subscribe(log.on_listener_joined)
    events.listener_left.subscribe(log.on_listener_left)
    events.listeners_moved.subscribe(log.on_listeners_moved)
    return log


def test_each_event_is_kept_with_what_is_known_of_it() -> None:
    with stage() as node:
        log = log_of(node)
        mount = node.begin("/x")
        mount.set_title("A", "T")
        listener = node.listen(mount)
        node.listen(mount)
        mount.fanout.drop(listener, Reason.KILLED)
        node.end("/x")
        found = log.since(0)
        assert (found.last, found.missed, found.listeners) == (6, 0, {"/x": "1"})
        assert [(one.number, one.trigger, one.listeners) for one in found.events] == [
            (1, "source-connect", 0),
            (2, "format-metadata-changed", 0),
            (3, "source-listener-attach", 1),
            (4, "source-listener-attach", 2),
            (5, "source-listeners-changed", 1),
            (6, "source-disconnect", 1),
        ]
        start, title, joined = found.events[:3]
        assert (start.mount, start.media_type, start.ip, start.at) == (
            "/x",
            mount.listener_content_type,
            "127.0.0.1",
            1000.5,
        )
        assert (title.artist, title.title) == ("A", "T")
        who = listener.identity
        assert (joined.ip, joined.agent, joined.connection) == (who.ip, who.user_agent, listener.id)


def test_a_listener_whose_first_write_fails_has_joined_before_it_leaves() -> None:
    with stage() as node:
        log = log_of(node)
        transport = MemoryTransport()
        transport.broken = True
        node.begin("/x").join(7, transport, WHO, b"HTTP/1.0 200 OK\r\n\r\n", 0, 0.0)
        found = [(one.trigger, one.listeners) for one in log.since(1).events]
        assert found == [("source-listener-attach", 1), ("source-listeners-changed", 0)]


def test_reader_gets_what_is_new_since_its_mark_and_nothing_before_its_first_one() -> None:
    with stage() as node:
        log = log_of(node)
        node.begin("/x")
        first = log.since(None)
        assert (first.last, first.events) == (1, ())
        node.end("/x")
        assert [one.trigger for one in log.since(first.last).events] == ["source-disconnect"]
        assert log.since(2).events == () == log.since(999).events


@pytest.mark.parametrize(("bound", "most", "short_ones"), [("KEPT", 3, 3), ("MOST_TEXT", 1000, 4)])
def test_old_events_are_forgotten_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, bound: str, most: int, short_ones: int
) -> None:
    monkeypatch.setattr(event_log_module, bound, most)
    with stage() as node:
        log = log_of(node)
        mount = node.begin("/x")
        for number in range(20):
            mount.set_title("A", f"{number} {'x' * 299}")
        found = log.since(1)
        assert [(one.number, one.title.split()[0]) for one in found.events] == [(19, "17"), (20, "18"), (21, "19")]
        assert (found.last, found.missed) == (21, 17)
        mount.set_title("A", "short")
        assert len(log.since(0).events) == short_ones


def test_a_move_changes_the_listeners_of_both_mounts() -> None:
    with stage() as node:
        log = log_of(node)
        a, b, file = (node.begin(name) for name in ("/a", "/b", "file:/x"))
        node.listen(a)
        node.listen(a)
        mark = log.since(None).last
        node.moves.for_good(a, b)
        node.moves.for_good(a, b)  # nobody is there any more
        node.end("/b")
        node.moves.to_fallback(b, file)
        found = [(one.trigger, one.mount, one.listeners) for one in log.since(mark).events]
        changed = "source-listeners-changed"
        assert found == [(changed, "/a", 0), (changed, "/b", 2), ("source-disconnect", "/b", 2), (changed, "/b", 0)]


def test_files_that_are_played_in_place_of_a_mount_are_no_mounts() -> None:
    with stage() as node:
        log = log_of(node)
        node.listen(node.begin("file:/x"))
        assert [one.trigger for one in log.since(0).events] == ["source-connect"]


def test_what_clients_send_is_kept_cut_so_that_no_stranger_fills_memory_or_an_answer() -> None:
    with stage() as node:
        log = log_of(node)
        mount = node.begin("/x")
        mount.set_title("A" * 10_000, "T" * 10_000)
        who = WHO._replace(user_agent="é" * 10_000, user="u" * 10_000)
        mount.fanout.drop(mount.join(1, MemoryTransport(), who, b"", 0, 0.0), Reason.KILLED)
        for event in log.since(0).events:
            assert all(len(text) <= LONGEST_TEXT for text in (event.agent, event.user, event.artist, event.title))
        assert len(log.since(0).events[2].agent) == LONGEST_TEXT
