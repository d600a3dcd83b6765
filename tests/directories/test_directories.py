"""Tests of pycast.directories.directories: a greenlet for each section, as the configuration has them."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from gevent import sleep

from pycast.config.live import Live
from pycast.config.load import loads
from pycast.control.own_address import OwnAddress
from pycast.directories.directories import Directories
from pycast.directories.directory import Directory
from pycast.net.group import Group
from pycast.stream.events import StreamEvents
from pycast.stream.mounts import Mounts
from pycast.stream.pacer import Pacer
from tests.conftest import WaitUntil

ONE, OTHER = (f'[[directory]]\nyp_url = "http://{name}.example/"\n' for name in ("one", "other"))


class Log:
    """What the directories did, by address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.did: list[tuple[str, str]] = []
        self.is_dead: set[str] = set()
        for method in ("step", "remove_all"):
            monkeypatch.setattr(Directory, method, self._noting(method))

    def _noting(self, method: str) -> Any:
        def note(directory: Directory) -> None:
            host = directory.section.yp_url.removeprefix("http://").partition(".")[0]
            self.did.append((host, method))
            while host in self.is_dead:
                sleep(0.01)

        return note


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr("pycast.directories.directory.STEP_S", 0.01)
    return Log(monkeypatch)


@pytest.fixture
def settings() -> Live:
    return Live(loads("", {}, "test"))


@pytest.fixture
def directories(settings: Live) -> Iterator[Directories]:
    group = Group()
    mounts = Mounts(settings, Pacer(0.5, lambda: 0.0), group, StreamEvents(), time.monotonic)
    made = Directories(settings, mounts, OwnAddress(settings), lambda mount: 0, time.monotonic)
    yield made
    made.stop()
    group.kill()


def test_sections_come_and_go_with_the_configuration(
    log: Log, settings: Live, directories: Directories, wait_until: WaitUntil
) -> None:
    directories.refresh()
    settings.replace(loads(ONE + OTHER, {}, "test"))
    directories.refresh()
    directories.refresh()
    wait_until(lambda: {("one", "step"), ("other", "step")} <= set(log.did), "both")
    settings.replace(loads(OTHER, {}, "test"))
    directories.refresh()
    wait_until(lambda: ("one", "remove_all") in log.did, "the removal")
    log.did.clear()
    wait_until(lambda: log.did.count(("other", "step")) > 2, "the other one")
    assert set(log.did) == {("other", "step")}


def test_a_dead_directory_delays_no_other_and_no_stop(
    log: Log, settings: Live, directories: Directories, wait_until: WaitUntil
) -> None:
    log.is_dead.add("one")
    settings.replace(loads(ONE + OTHER, {}, "test"))
    directories.refresh()
    wait_until(lambda: log.did.count(("other", "step")) > 3, "the other one")
    assert log.did.count(("one", "step")) == 1
    begun = time.monotonic()
    directories.stop()
    assert time.monotonic() - begun < 2
    assert ("other", "remove_all") in log.did
