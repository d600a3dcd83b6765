"""How long a worker that died is waited for, one that cannot start, and one that hangs. Living ones:
tests/e2e/test_workers.py, tests/e2e/test_worker_ends.py.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from pycast import launch
from pycast.app import node, worker_process, workers
from pycast.app.life_sign import LifeSign
from pycast.app.pulse import DOUBT_S, LOOK_S
from pycast.app.worker_process import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    SETTLED_S,
    STACKS_S,
    STUCK_S,
    News,
    Past,
    Pauses,
    WorkerProcess,
)
from pycast.control.relay_desk import RelayOrders

# Processes that do not end by SIGABRT: one ignores it, the other's parent is told of each signal first, as a debugger.
STUBBORN = "import signal; signal.signal(signal.SIGABRT, signal.SIG_IGN)"
TRACED = "import ctypes; ctypes.CDLL(None).ptrace(0, 0, 0, 0)"


@contextmanager
def running(code: str = "pass") -> Iterator[tuple[WorkerProcess, launch.Process, LifeSign]]:
    """A worker whose process does `code` and then nothing, ready, with its sign of life."""
    command = [sys.executable, "-c", f"{code}\nprint(flush=True)\nimport time; time.sleep(60)"]
    worker = WorkerProcess(0, lambda life: b"")
    with closing(LifeSign.make()) as life, subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        life.write(1, True)
        worker._process, worker._life, worker._is_ready = process, life, True
        try:
            yield worker, process, life
        finally:
            process.kill()


def serves(worker: WorkerProcess) -> bool:
    return worker.serves


def look(worker: WorkerProcess, seconds: float, limit_s: float = 10.0) -> None:
    """Looks for so long, in the time of the looks."""
    for _ in range(int(seconds / LOOK_S)):
        worker.look(LOOK_S, limit_s)


def test_a_worker_that_dies_at_once_waits_twice_as_long_each_time() -> None:
    pauses = Pauses()
    waited = [pauses.after(0.1) for _ in range(8)]
    assert waited == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_worker_that_lived_for_a_while_is_started_again_soon() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.after(0.1)
    assert pauses.after(SETTLED_S) == FIRST_PAUSE_S


def test_the_parent_waits_longer_than_a_node_takes() -> None:
    assert workers.STOP_S > node.STOP_S


def test_a_first_start_that_fails_is_told_and_not_repeated() -> None:
    worker = WorkerProcess(0, lambda life: b"no orders\n")
    worker.run()
    assert worker.first.get() is False
    assert worker.pid == 0


def test_a_process_that_beats_serves_and_is_left_alone() -> None:
    with running() as (worker, process, life):
        for beats in range(2, 200):
            life.write(beats, True)
            worker.look(LOOK_S, 1.0)
        assert serves(worker)
        assert process.poll() is None


def test_one_that_stops_accepting_no_longer_serves() -> None:
    with running() as (worker, _, life):
        worker.look(LOOK_S, 10.0)
        assert serves(worker)
        life.write(2, False)
        assert not serves(worker)


def test_a_silent_process_serves_no_more_and_is_aborted_at_the_limit() -> None:
    with running() as (worker, process, _):
        worker.look(LOOK_S, 10.0)
        look(worker, DOUBT_S)
        assert not serves(worker)
        look(worker, 10 - DOUBT_S - LOOK_S)
        assert process.poll() is None
        look(worker, LOOK_S)
        assert launch.describe_end(process.wait(10)) == "SIGABRT"


def test_one_that_beats_again_serves_again(caplog: pytest.LogCaptureFixture) -> None:
    with running() as (worker, process, life):
        look(worker, DOUBT_S + LOOK_S)
        assert not serves(worker)
        life.write(2, True)
        worker.look(LOOK_S, 10.0)
        assert serves(worker)
        assert process.poll() is None
    assert caplog.text.count("gives no sign of life") == 1


def test_what_relays_were_ordered_outlives_the_process_and_the_next_one_is_told() -> None:
    with running() as (worker, _, life):
        assert worker.relay_orders == RelayOrders()
        life.orders.write(RelayOrders(2.0, ("/a",)).to_note())
        assert worker.relay_orders == RelayOrders(2.0, ("/a",))
        worker._life = None
        assert worker.relay_orders == RelayOrders(2.0, ("/a",))
        worker.tell(News(Past(1, 0), worker.relay_orders.to_note(), b"[]"))
        with closing(LifeSign.make()) as fresh:
            worker._tell(fresh, News())
            assert (fresh.told, fresh.log_told.read()) == ((1, 0), b"[]")
            assert RelayOrders.from_note(fresh.orders_told.read()) == worker.relay_orders


def test_without_a_limit_nothing_is_killed() -> None:
    with running() as (worker, process, _):
        look(worker, 3600, 0.0)
        assert process.poll() is None


def test_one_that_survives_the_abort_is_killed_a_moment_later() -> None:
    with running(STUBBORN) as (worker, process, _):
        look(worker, 10 + STACKS_S)
        assert process.poll() is None
        worker.look(LOOK_S, 10.0)
        assert launch.describe_end(process.wait(10)) == "SIGKILL"


def test_one_that_cannot_be_killed_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(WorkerProcess, "_signal", lambda worker, number: None)
    with running() as (worker, _, _life):
        look(worker, 10 + STACKS_S + 3 * STUCK_S)
    assert caplog.text.count("cannot be killed") == 1
    assert caplog.text.count("it is killed, and another one started") == 1


def test_a_process_under_a_debugger_is_not_killed(caplog: pytest.LogCaptureFixture) -> None:
    with running(TRACED) as (worker, process, life):
        look(worker, 60)
        assert process.poll() is None
        assert caplog.text.count("is not killed while process") == 1
        life.write(2, True)
        worker.look(LOOK_S, 10.0)
        assert serves(worker)


def test_a_start_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(worker_process, "START_S", 0.2)
    hanging = (sys.executable, "-c", "import time; time.sleep(60)")
    start = launch.start
    monkeypatch.setattr(launch, "start", lambda *options, **how: start(*options, program=hanging, **how))
    worker = WorkerProcess(0, lambda life: b"\n")
    worker.run()
    assert worker.first.get() is False
    assert "does not accept 0.2 s after its start and is killed" in caplog.text


def test_a_start_that_fails_for_lack_of_memory_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        tries.append(1)
        if len(tries) == 2:
            worker.end(signal.SIGTERM)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    tries: list[int] = []
    monkeypatch.setattr(launch, "start", fail)
    monkeypatch.setattr(worker_process, "FIRST_PAUSE_S", 0.01)
    worker = WorkerProcess(0, lambda life: b"\n")
    worker.first.set(True)
    worker.run()
    assert len(tries) == 2
    assert "it could not be started: [Errno 11]" in caplog.text
