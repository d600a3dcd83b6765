"""How long a worker that died is waited for, and one that cannot start. Living ones: tests/e2e/test_workers.py."""

from pycast.app import node, workers
from pycast.app.worker_process import FIRST_PAUSE_S, LONGEST_PAUSE_S, SETTLED_S, Pauses, WorkerProcess


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
    worker = WorkerProcess(0, lambda: b"no orders\n")
    worker.run()
    assert worker.first.get() is False
    assert worker.pid == 0
