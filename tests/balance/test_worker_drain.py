"""The drain as an admin sees it: of all workers of one parent, whichever of them is asked."""

from collections.abc import Iterator
from typing import Any

import pytest

from pycast.balance.drain import Drain
from pycast.balance.drain_plan import DrainState, Progress
from pycast.balance.worker_drain import WorkerDrain
from pycast.cluster.link.admin_answers import DrainReport
from pycast.cluster.link.questions import DrainCommand, Pong
from tests.cluster.members import Member
from tests.conftest import WaitUntil


class Worker(Member):
    """A worker with a drain of its own, wired as in the server."""

    def __init__(self, name: str, machine: str, *others: Member) -> None:
        super().__init__(name, *others)
        self.drain = Drain(self.settings, self.mounts, lambda: None, self.group)
        self.workers = WorkerDrain(self.drain, self.member)
        self.answers.on(DrainCommand, self.workers.on_command)
        self.join(machine)


@pytest.fixture
def workers(wait_until: WaitUntil) -> Iterator[tuple[Worker, Worker, Worker]]:
    """Returns two workers of one machine, and a node of another one."""
    a = Worker("a", "m")
    b = Worker("b", "m", a)
    c = Worker("c", "other", a, b)
    wait_until(lambda: all(len(one.member.others()) == 2 for one in (a, b, c)), "each other")
    yield a, b, c
    for one in (a, b, c):
        one.stop()


def states(workers: tuple[Worker, ...]) -> list[DrainState]:
    return [one.drain.state for one in workers]


def test_all_workers_of_the_machine_begin_and_cancel_and_no_others(workers: tuple[Worker, Worker, Worker]) -> None:
    a, b, _ = workers
    a.workers.begin()
    assert states(workers) == [DrainState.LEAD, DrainState.LEAD, DrainState.SERVING]
    b.workers.cancel()
    assert states(workers) == [DrainState.SERVING] * 3


def test_a_drain_without_its_lead_is_without_it_on_all(
    workers: tuple[Worker, Worker, Worker], wait_until: WaitUntil
) -> None:
    a, b, _ = workers
    a.workers.begin(now=True)
    wait_until(lambda: a.drain.is_done and b.drain.is_done, "both")


def test_reading_the_progress_changes_nothing(workers: tuple[Worker, Worker, Worker]) -> None:
    a, _, _ = workers
    assert a.workers.progress() == Progress(DrainState.SERVING, 0, 0, 0.0, 0.0)
    assert states(workers) == [DrainState.SERVING] * 3


def test_the_least_advanced_worker_gives_the_state_of_all(workers: tuple[Worker, Worker, Worker]) -> None:
    a, b, _ = workers
    a.drain.begin()
    assert a.workers.progress().state is DrainState.SERVING
    b.answers.on(DrainCommand, lambda command: DrainReport("leaving", 40, 50, 0.0, 1000.0))
    seen, own = a.workers.progress(), a.drain.progress()
    assert seen == Progress(DrainState.LEAD, 40, 50, seen.next_s, 1000.0)
    assert 0.0 < own.next_s <= seen.next_s


@pytest.mark.parametrize("answer", [DrainReport("asleep", 9, 9, 9.0, 9.0), Pong("b1")], ids=["new state", "nonsense"])
def test_a_worker_that_is_not_understood_is_left_out(workers: tuple[Worker, Worker, Worker], answer: Any) -> None:
    a, b, _ = workers
    b.answers.on(DrainCommand, lambda command: answer)
    assert a.workers.progress() == Progress(DrainState.SERVING, 0, 0, 0.0, 0.0)


def test_a_node_alone_on_its_machine_drains_alone(workers: tuple[Worker, Worker, Worker]) -> None:
    a, b, alone = workers
    alone.workers.begin()
    assert states(workers) == [DrainState.SERVING, DrainState.SERVING, DrainState.LEAD]
    assert alone.workers.progress().state is DrainState.LEAD
    assert not a.drain.is_draining and not b.drain.is_draining
