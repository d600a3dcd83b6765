"""A group owns its greenlets: names them, logs failures, ends them all."""

import gevent
import pytest
from gevent.event import Event

from pycast.net.group import Group


def test_members_leave_when_they_end() -> None:
    group, go = Group(), Event()
    member = group.spawn("waiting", go.wait)
    assert len(group) == 1
    assert member.name == "waiting"
    go.set()
    member.join(5)
    gevent.sleep(0)
    assert len(group) == 0


def test_kill_ends_all_but_the_caller() -> None:
    group, never = Group(), Event()
    for number in range(3):
        group.spawn(f"{number}", never.wait)
    group.spawn_later(100, "later", never.wait)
    group.kill()
    gevent.sleep(0)
    assert len(group) == 0


def test_a_failure_is_logged_with_its_name(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("broken")

    Group().spawn("doomed", fail).join(5)
    gevent.sleep(0)
    assert "doomed" in caplog.text
    assert "broken" in caplog.text
    capsys.readouterr()  # gevent prints the traceback, too
