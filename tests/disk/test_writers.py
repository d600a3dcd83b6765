"""What is put is written in order by threads; a file that stalls holds up neither who puts nor another file."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from pycast.disk.writers import Outlet, Writers
from tests.conftest import WaitUntil


class Target:
    """A file that takes what it gets, unless `gate` is shut."""

    def __init__(self, writers: Writers, most_bytes: int = 1000, most_entries: int = 100) -> None:
        self.got: list[Any] = []
        self.gate = threading.Event()
        self.gate.set()
        self.threads: set[int] = set()
        self.outlet = Outlet(writers, self._write, most_bytes, most_entries)

    def _write(self, data: bytes) -> None:
        self.gate.wait(10)
        self.threads.add(threading.get_ident())
        self.got.append(data)


@pytest.fixture
def writers() -> Iterator[Writers]:
    made = Writers(3)
    yield made
    assert made.settle(5)


def test_what_is_put_at_once_is_one_write_in_another_thread(writers: Writers) -> None:
    target = Target(writers)
    for number in range(50):
        assert target.outlet.put(b"%d," % number)
    assert target.got == []
    assert target.outlet.settle(5)
    assert target.got == [b"".join(b"%d," % number for number in range(50))]
    assert target.threads and threading.get_ident() not in target.threads


def test_calls_are_made_in_order_with_what_is_put(writers: Writers) -> None:
    target = Target(writers)
    target.outlet.put(b"a")
    target.outlet.put(b"b")
    target.outlet.call(lambda: target.got.append("reopened"))
    target.outlet.put(b"c")
    assert target.outlet.settle(5)
    assert b"".join(one for one in target.got if one != "reopened") == b"abc"
    assert target.got[-2:] == ["reopened", b"c"]


def test_a_full_queue_takes_no_more_until_it_is_written(writers: Writers) -> None:
    target = Target(writers)
    target.gate.clear()
    assert target.outlet.put(bytes(600), soon=True)
    assert not target.outlet.put(bytes(600))
    assert target.outlet.put(bytes(400))
    assert target.outlet.size == 1000
    target.gate.set()
    assert target.outlet.settle(5)
    assert target.outlet.size == 0 and target.outlet.put(bytes(1000))
    assert target.outlet.settle(5)


def test_entries_are_bounded_too(writers: Writers) -> None:
    target = Target(writers)
    assert [target.outlet.put(b"") for _ in range(102)].count(False) == 2
    assert target.outlet.settle(5)


def test_files_that_stall_hold_up_no_other_while_there_are_threads(writers: Writers, wait_until: WaitUntil) -> None:
    stuck, free = [Target(writers) for _ in range(2)], Target(writers)
    for one in stuck:
        one.gate.clear()
        one.outlet.put(b"x")
    for number in range(5):
        free.outlet.put(b"%d" % number)
        wait_until(lambda: b"".join(free.got).endswith(b"%d" % number), "the free one")  # noqa: B023
    assert not any(one.got for one in stuck)
    assert not writers.settle(0.01)
    for one in stuck:
        one.gate.set()


def test_threads_are_bounded_and_who_waits_comes_when_one_is_free(writers: Writers, wait_until: WaitUntil) -> None:
    stuck = [Target(writers) for _ in range(6)]
    for one in stuck:
        one.gate.clear()
        one.outlet.put(b"x")
    before = threading.active_count()
    wait_until(lambda: writers._threads == 3, "all threads")
    gevent.sleep(0.2)
    assert writers._threads == 3 and threading.active_count() == before
    for one in stuck:
        one.gate.set()
    assert writers.settle(5)
    assert all(one.got == [b"x"] for one in stuck)


def test_putting_never_waits(writers: Writers) -> None:
    target = Target(writers, most_bytes=100_000, most_entries=100_000)
    target.gate.clear()
    began = time.monotonic()
    for _ in range(10_000):
        target.outlet.put(b"x", soon=True)
    assert time.monotonic() - began < 2
    target.gate.set()
    assert target.outlet.settle(5)
    assert b"".join(target.got) == b"x" * 10_000


def test_what_is_abandoned_is_not_written(writers: Writers) -> None:
    target = Target(writers)
    target.gate.clear()
    target.outlet.put(b"held", soon=True)
    deadline = time.monotonic() + 5
    while target.outlet._entries and time.monotonic() < deadline:
        time.sleep(0.001)
    target.outlet.put(b"a")
    target.outlet.put(b"b")
    assert target.outlet.abandon() == 2
    target.gate.set()
    assert target.outlet.settle(5)
    assert target.got == [b"held"]


def test_a_bug_in_a_write_is_logged_and_the_next_one_is_made(
    writers: Writers, caplog: pytest.LogCaptureFixture
) -> None:
    target = Target(writers)

    def fail() -> None:
        raise ValueError("a bug")

    target.outlet.call(fail)
    target.outlet.put(b"next")
    assert target.outlet.settle(5)
    gevent.sleep(0)
    assert target.got == [b"next"]
    assert "a file could not be written" in caplog.text and "ValueError: a bug" in caplog.text


def test_a_thread_may_put_as_well(writers: Writers) -> None:
    target = Target(writers)
    gevent.get_hub().threadpool.apply(target.outlet.put, (b"x",))
    assert target.outlet.settle(5)
    assert target.got == [b"x"]


def test_many_threads_lose_and_double_nothing(writers: Writers) -> None:
    targets = [Target(writers, 1 << 20, 1 << 20) for _ in range(4)]
    for number in range(2000):
        for target in targets:
            target.outlet.put(b"%d\n" % number, soon=number % 3 == 0)
        if number % 50 == 0:
            gevent.sleep(0)
    assert writers.settle(10)
    for target in targets:
        assert b"".join(target.got).split() == [b"%d" % number for number in range(2000)]
