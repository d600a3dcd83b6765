"""Tests of pycast.app.life_sign: the beats that a loop gives, and what a process leaves that was aborted."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from pycast import launch
from pycast.app.life_sign import BEAT_S, Heartbeat, LifeSign, begin_heartbeat
from pycast.app.shared_notes import note_of_lines
from pycast.control.relay_desk import RelayDesk, RelayOrders
from pycast.stats.counters import Counters
from tests.conftest import WaitUntil

STUCK = """
import sys
from gevent import get_hub, sleep
from pycast.app.life_sign import Heartbeat, LifeSign

def run_beside():
    while True:
        pass

def stand_here():
    while True:
        pass

heartbeat = Heartbeat(LifeSign(int(sys.argv[1])), lambda *told: None)
heartbeat.start()
get_hub().threadpool.spawn(run_beside)
sleep(0.1)
heartbeat.accept(True)
stand_here()
"""


@pytest.fixture
def life() -> Iterator[LifeSign]:
    with closing(LifeSign.make()) as made:
        yield made


def test_a_new_one_is_silent_and_accepts_nothing(life: LifeSign) -> None:
    assert (life.beats, life.accepts, life.stack()) == (0, False, "")


def test_each_side_sees_what_the_worker_writes(life: LifeSign) -> None:
    with closing(LifeSign(os.dup(life.fd))) as workers:
        workers.write(7, True)
        assert (life.beats, life.accepts) == (7, True)


def test_it_beats_while_the_loop_turns_and_not_while_it_is_stuck(
    life: LifeSign, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("faulthandler.enable", lambda **_: None)  # pytest has it
    told: list[tuple[int, int]] = []
    heartbeat = Heartbeat(life, lambda *past: told.append(past))
    heartbeat.start()
    assert (life.beats, life.accepts, told) == (1, False, [(0, 0)])
    life.tell(3, 2)
    heartbeat.accept(True)
    wait_until(lambda: life.beats >= 3, "two more beats")
    assert told[-1] == (3, 2)
    before = life.beats
    time.sleep(3 * BEAT_S)  # the thread sleeps, and the hub in it
    assert (life.beats, life.accepts) == (before, True)
    heartbeat.stay()
    assert (life.beats, life.accepts, life.stays) == (before, True, 1)
    heartbeat.stop()


def test_orders_to_relays_go_from_the_parent_to_a_new_worker_at_once_and_back(
    life: LifeSign, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    monkeypatch.setattr("faulthandler.enable", lambda **_: None)
    before = RelayOrders(5.0, ("/a", "/b"))
    life.orders_told.write(before.to_note())
    life.log_told.write(note_of_lines([(1.0, b"worker 1 ended\n")]))
    desk, counters = RelayDesk(), Counters()
    workers = LifeSign(os.dup(life.fd))
    heartbeat = begin_heartbeat(workers, counters, desk)
    try:
        assert desk.orders == before and RelayOrders.from_note(life.orders.read()) == before
        desk.take(RelayOrders(6.0, ("/a",)))
        wait_until(lambda: RelayOrders.from_note(life.orders.read()) == desk.orders, "what it was ordered")
        life.orders_told.write(RelayOrders(7.0).to_note())
        life.tell(3, 2)
        wait_until(lambda: not desk.is_off("/a") and counters.worker_hangs == 2, "what the parent tells")
        assert workers.parents_log() == [(1.0, b"worker 1 ended\n")]
    finally:
        heartbeat.stop()
        workers.close()


def test_a_process_that_is_aborted_in_an_endless_loop_leaves_where_its_loop_stood(
    life: LifeSign, wait_until: WaitUntil
) -> None:
    command = [sys.executable, "-c", STUCK, str(life.fd)]
    with subprocess.Popen(command, pass_fds=(life.fd,), env=launch.clean_environment()) as process:
        wait_until(lambda: life.accepts, "the loop", 20)
        process.send_signal(signal.SIGABRT)
        assert process.wait(20) == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in life.stack()
    assert "in stand_here" in life.stack()
    assert "in run_beside" not in life.stack()  # a thread that runs on cannot be read safely
