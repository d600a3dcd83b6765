"""A group owns its greenlets: names them, logs failures, ends them all."""

import logging

import gevent
import pytest
from gevent.event import Event

from pycast.net.group import Group, greenlets


def test_members_leave_when_they_end() -> None:
    group, go = Group(), Event()
    member = group.spawn("waiting", go.wait)
    assert len(group) == 1
    assert member.name == "waiting"
    go.set()
    member.join(5)
    gevent.sleep(0)
    assert len(group) == 0


def test_members_of_all_groups_are_counted() -> None:
    before, groups, never = greenlets(), (Group(), Group()), Event()
    for group in groups:
        group.spawn("waiting", never.wait)
    assert greenlets() == before + 2
    groups[0].kill()
    gevent.sleep(0)
    assert greenlets() == before + 1
    groups[1].kill()


def test_kill_ends_all_but_the_caller() -> None:
    group, never = Group(), Event()
    for number in range(3):
        group.spawn(f"{number}", never.wait)
    group.spawn_later(100, "later", never.wait)
    group.kill()
    gevent.sleep(0)
    assert len(group) == 0


def fail(*_: object) -> None:
    raise ValueError("broken")


def test_a_failure_is_logged_once_with_its_name_and_its_traceback(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    group = Group()
    group.spawn("doomed", fail).join(5)
    gevent.sleep(0)
    (record,) = caplog.records
    assert "doomed" in record.getMessage()
    assert "in fail" in caplog.text
    assert "broken" in caplog.text
    assert "broken" not in capsys.readouterr().err, "gevent prints it, too"
    assert len(group) == 0


def test_a_loop_goes_on_when_its_failure_cannot_be_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.net.group.PAUSE_S", 0.001)
    handler = logging.Handler()
    handler.emit = fail  # type: ignore[method-assign, assignment]
    logging.getLogger().addHandler(handler)
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        if len(runs) < 3:
            fail()

    try:
        Group().spawn_forever("loop", run).join(5)
    finally:
        logging.getLogger().removeHandler(handler)
    assert len(runs) == 3


def test_a_loop_that_fails_is_started_again_and_one_that_returns_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.net.group.PAUSE_S", 0.001)
    runs: list[int] = []

    def run() -> None:
        runs.append(1)
        if len(runs) < 3:
            fail()

    Group().spawn_forever("loop", run).join(5)
    assert len(runs) == 3
