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
from pycast.app.life_sign import BEAT_S, Heartbeat, LifeSign
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
