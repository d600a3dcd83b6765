"""Tests of pycast.auth.bans: refusals are counted and told now and then, and listeners who may not stay are gone."""

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from gevent import sleep

from pycast.auth.bans import Banned, Bans
from pycast.config.live import Live
from pycast.config.load import loads
from pycast.net.group import Group
from pycast.net.turns import in_turns
from pycast.stats.counters import Counters
from pycast.stream.events import ListenerLeft, StreamEvents
from pycast.stream.fanout import Reason
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from tests.conftest import WaitUntil
from tests.control.stage import StageSource
from tests.stream.memory import WHO, MemoryTransport


class House:
    """Two mounts with listeners, and the bans."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 0.0
        self.settings, self.counters, self.group = Live(loads("", {}, "test")), Counters(), Group()
        self.left: list[tuple[str, Reason]] = []
        events = StreamEvents()
        events.listener_left.subscribe(self._on_left)
        self.mounts = Mounts(self.settings, Pacer(0.5, lambda: 0.0), self.group, events, time.monotonic)
        self.bans = Bans(self.settings, self.mounts, self.counters, lambda: self.now)
        for name in ("/a", "/b"):
            self.mounts.attach_source(name, StageSource("text/plain"))

    def _on_left(self, event: ListenerLeft) -> None:
        self.left.append((event.listener.identity.ip, event.reason))

    def name(self, **keys: str) -> None:
        self.path.write_text(next(iter(keys.values())))
        toml = "".join(f'{key} = "{self.path}"\n' for key in keys)
        self.settings.replace(loads(f"[paths]\n{toml}", {}, "test"))
        self.bans.refresh()

    def listen(self, mount: str, ip: str, agent: str = "player") -> None:
        found = self.mounts.get(mount)
        assert found is not None
        who = WHO._replace(ip=ip, user_agent=agent)
        found.join(hash((ip, agent)), MemoryTransport(), who, b"", 0, time.monotonic())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "list")
    yield made
    made.mounts.stop()
    made.group.kill()


def test_without_a_list_nobody_is_refused_and_no_list_is_loaded(house: House) -> None:
    house.bans.refresh()
    assert not house.bans.is_on
    assert not house.bans.refuses("192.0.2.7", "anything")
    house.bans.check("192.0.2.7", "anything")


def test_refusals_are_counted_and_have_one_line_for_many(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house.name(deny_ip="192.0.2.7\n")
    caplog.clear()
    assert [house.bans.refuses("192.0.2.7") for _ in range(1000)] == [True] * 1000
    house.now += 61
    with pytest.raises(Banned):
        house.bans.check("192.0.2.7", "")
    assert house.counters.banned == 1001
    assert caplog.messages == [
        "! 192.0.2.7: refused, its address is in paths.deny_ip; refused since the last such line: 1",
        "! 192.0.2.7: refused, its address is in paths.deny_ip; refused since the last such line: 1000",
    ]
    assert house.bans.is_refused("192.0.2.7", "") and house.counters.banned == 1001


@pytest.mark.parametrize(
    ("key", "content"),
    [("deny_ip", "192.0.2.0/24"), ("allow_ip", "203.0.113.0/24"), ("deny_agents", "*bot*")],
)
def test_listeners_who_may_not_be_connected_any_longer_are_disconnected(house: House, key: str, content: str) -> None:
    house.listen("/a", "192.0.2.7", "robot")
    house.listen("/b", "192.0.2.8", "robot")
    house.listen("/b", "203.0.113.9")
    house.name(**{key: content})
    assert house.left == [("192.0.2.7", Reason.BANNED), ("192.0.2.8", Reason.BANNED)]
    assert house.counters.banned == 2
    assert sum(len(mount.fanout) for mount in house.mounts) == 1


def test_a_list_that_changes_is_followed_by_itself(
    house: House, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pycast.auth.bans.LOOK_S", 0.02)
    house.listen("/a", "192.0.2.7")
    house.name(deny_ip="# nobody yet\n")
    house.group.spawn("ban lists", house.bans.run)
    house.path.write_text("192.0.2.7\n")
    wait_until(lambda: house.left, "the end of the listener")
    assert house.bans.refuses("192.0.2.7")
    house.settings.replace(loads("", {}, "test"))
    wait_until(lambda: not house.bans.is_on, "the end of the list")
    assert not house.bans.refuses("192.0.2.7")


def test_a_crowd_is_looked_through_in_turns_of_the_loop(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        house.listen("/a", f"192.0.2.{number % 250}", f"player {number}")
    turns: list[int] = []

    def other() -> None:
        while True:
            turns.append(len(house.left))
            sleep(0)

    monkeypatch.setattr("pycast.auth.bans.in_turns", partial(in_turns, turn_s=0.0))
    house.group.spawn("other", other)
    house.name(deny_ip="192.0.2.0/24")
    assert len(house.left) == 300
    assert len(turns) > 100
