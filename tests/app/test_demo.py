"""Tests of pycast.app.demo: the built-in source feeds like any other, ahead of the clock, and names each round."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gevent.event import Event

from pycast.app.demo import MOUNT, DemoSource
from pycast.demo_stream import BITRATE, LEAD_S, TITLE, demo_mp3
from pycast.net.group import Group
from tests.conftest import WaitUntil


class Sink:
    """A mount that keeps what it is fed."""

    def __init__(self) -> None:
        self.data = b""
        self.titles: list[str] = []

    def feed(self, data: bytes) -> None:
        self.data += data

    def set_title(self, artist: str, title: str, url: str = "") -> bool:
        self.titles.append(title)
        return True


class Owners:
    """Who feeds what: puts the source on the air when the test lets it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.said: list[str] = []
        self.may_admit = Event()
        self.may_admit.set()

    def admit(self, mount: str, source: DemoSource) -> None:
        self.said.append(f"admit {mount}")
        self.may_admit.wait(5.0)
        source.output.put_on_air(self._sink)

    def remove(self, mount: str, source: object) -> None:
        self.said.append(f"remove {mount}")


@contextmanager
def playing(sink: Sink, *, is_admitted: bool = True) -> Iterator[tuple[Any, Owners]]:
    owners, source, group = Owners(sink), DemoSource(), Group()
    if not is_admitted:
        owners.may_admit.clear()
    group.spawn("demo", source.play, owners)
    try:
        yield source, owners
    finally:
        source.end("the test is over")
        group.join(5.0)
        group.kill()


def test_first_listener_gets_a_burst_at_once(wait_until: WaitUntil) -> None:
    sink = Sink()
    with playing(sink):
        wait_until(lambda: sink.data, "the first bytes")
        assert len(sink.data) >= LEAD_S * BITRATE / 8
    assert demo_mp3().startswith(sink.data)


def test_each_round_has_its_title(wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pycast.app.demo.demo_mp3", lambda: demo_mp3()[: BITRATE // 8])  # a second
    monkeypatch.setattr("pycast.app.demo.STEP_S", 0.001)
    sink = Sink()
    with playing(sink):
        wait_until(lambda: len(sink.titles) >= 3, "three rounds")
    assert sink.titles[:3] == [f"{TITLE}, round {number}" for number in (1, 2, 3)]


def test_what_is_due_waits_for_a_mount(wait_until: WaitUntil) -> None:
    sink = Sink()
    with playing(sink, is_admitted=False) as (_, owners):
        wait_until(lambda: owners.said, "the begin")
        owners.may_admit.set()
        wait_until(lambda: sink.data, "the first bytes")
    assert demo_mp3().startswith(sink.data)


def test_it_owns_its_mount_until_it_is_stopped(wait_until: WaitUntil) -> None:
    with playing(Sink()) as (source, owners):
        wait_until(lambda: owners.said == [f"admit {MOUNT}"], "the begin")
        source.end("enough")
        wait_until(lambda: owners.said == [f"admit {MOUNT}", f"remove {MOUNT}"], "the end")
