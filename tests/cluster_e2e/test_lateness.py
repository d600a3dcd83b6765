"""What counts as late: neither what the encoder held back nor what a busy machine did."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster_e2e.encoder import Encoder, Session
from tests.cluster_e2e.hearing import Report, Silence
from tests.cluster_e2e.lateness import Lateness
from tests.e2e.deadline import until
from tests.e2e.stopwatch import ProcessorWaits, Stopwatch

SPIN = "import os\nos.sched_setaffinity(0, {%d})\nwhile True: pass"


def handed(*moments: float) -> Encoder:
    """Returns an encoder that has handed over frames from 0 on, at these moments."""
    encoder = Encoder([("127.0.0.1", 1)], "/x")
    encoder.sessions.append(Session(("127.0.0.1", 1), 0.0, 200, after_last=len(moments), handed=list(moments)))
    return encoder


def heard(at: float, after: int) -> Report:
    return Report(silences=[Silence(1.0, at, after)])


def test_a_silence_counts_from_when_its_next_frame_was_handed_over_and_the_block_has_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ProcessorWaits, "_so_far", lambda self: {})
    before = time.monotonic()
    encoder = handed(before - 9.0)
    with Lateness(encoder, []) as lateness:
        encoder.sessions[0].handed.append(handed_at := time.monotonic())
        middle = time.monotonic()
    assert lateness.longest_s([Report(), heard(middle, 0)]) == middle - handed_at
    assert middle - handed_at < lateness.longest_s([heard(middle, 0), heard(middle, -1)]) < middle - before
    assert lateness.longest_s([heard(before, -1), heard(time.monotonic(), -1)]) == 0.0


def test_time_without_a_processor_is_the_machines() -> None:
    cpu = min(os.sched_getaffinity(0))
    hogs = [subprocess.Popen([sys.executable, "-S", "-c", SPIN % cpu]) for _ in range(2)]
    try:
        pids = [hog.pid for hog in hogs]
        with Stopwatch(*pids) as watch, Lateness(handed(0.0), pids) as lateness:
            began = time.monotonic()
            until(lambda: all(_has_waited(hog.pid) for hog in hogs), "each of two to wait for the other", 30)
            middle = time.monotonic()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    assert lateness.longest_s([heard(middle, -1)]) < middle - began - 0.1
    assert watch.seconds < middle - began - 0.1


def test_time_that_something_takes_by_itself_counts() -> None:
    with Stopwatch() as watch:
        time.sleep(0.2)
    assert watch.seconds > 0.15


def _has_waited(pid: int) -> bool:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) > 100_000_000
