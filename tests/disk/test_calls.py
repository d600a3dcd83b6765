"""A call that blocks holds up only who asked, and not for ever."""

import threading
import time
from collections.abc import Iterator

import gevent
import pytest

from pycast.disk import calls
from pycast.disk.calls import MOST_THREADS, DiskStalled, begin_off_hub, off_hub
from pycast.net.group import Group
from tests.conftest import WaitUntil


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What stalls until it is set; pytest's process is not patched, so threads wait for it."""
    made = threading.Event()
    yield made
    made.set()
    deadline = time.monotonic() + 5
    while calls._threads.unanswered and time.monotonic() < deadline:
        gevent.sleep(0.001)
    assert not calls._threads.unanswered


def test_it_returns_or_raises_what_the_call_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert off_hub(int, "ff", base=16) == 255
    with pytest.raises(FileNotFoundError):
        off_hub(open, "/none")
    assert capsys.readouterr().err == "", "gevent prints it, too"


def test_the_loop_goes_on_meanwhile(gate: threading.Event) -> None:
    turns: list[float] = []
    group, answers = Group(), list[bool]()
    asked = group.spawn("asks", lambda: answers.append(off_hub(gate.wait, 5)))
    for _ in range(10):
        gevent.sleep(0.001)
        turns.append(time.monotonic())
    assert not asked.ready() and len(turns) == 10
    gate.set()
    asked.join(5)
    assert answers == [True]


def test_who_waits_for_a_disk_that_stalls_gets_an_error(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PATIENCE_S", 0.05)
    with pytest.raises(DiskStalled, match=r"the disk does not answer within 0\.05 s"):
        off_hub(gate.wait, 5)


def test_a_result_comes_into_the_loop(gate: threading.Event, wait_until: WaitUntil) -> None:
    results: list[int] = []
    assert begin_off_hub(lambda: 7, results.append)
    assert results == [], "it never switches"
    wait_until(lambda: results == [7], "the result")


def test_no_more_calls_are_begun_than_there_are_threads(gate: threading.Event, wait_until: WaitUntil) -> None:
    results: list[bool] = []
    begun = [begin_off_hub(lambda: gate.wait(5), results.append) for _ in range(MOST_THREADS + 3)]
    assert begun == [True] * MOST_THREADS + [False] * 3
    gate.set()
    wait_until(lambda: len(results) == MOST_THREADS, "all results")
