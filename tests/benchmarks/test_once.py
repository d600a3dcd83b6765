"""A smoke test of the load generator: a handful of players against the C floor, in a process of its own.

Sizes are tiny: this shows that the generator counts and checks right, not what any server costs.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def trial() -> dict[str, Any]:
    return make_trial()


def make_trial() -> dict[str, Any]:
    assert shutil.which("cc") or shutil.which("gcc"), "no C compiler for the floor: apt-get install gcc libc6-dev"
    command = [sys.executable, "-m", "benchmarks.once", "floor"]
    options = ["--listeners", "12", "--seconds", "1.5", "--flush", "0.1"]
    result = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    figures: dict[str, Any] = json.loads(result.stdout)
    return figures


def test_every_player_gets_every_byte(trial: dict[str, Any]) -> None:
    assert (trial["players"], trial["playing"], trial["errors"]) == (12, 12, {})
    assert trial["least_share"] == 1


def test_the_sample_is_checked_frame_by_frame(trial: dict[str, Any]) -> None:
    assert trial["sample"] == 12
    assert trial["frames"] > 12 * 150
    assert trial["frame_errors"] == 0


def test_latency_is_that_of_the_flush_interval(trial: dict[str, Any]) -> None:
    assert 0 < trial["latency_p50_s"] < 1
    # A machine that stands still makes one trial slow, a wrong interval all of them.
    found = [trial["flush_s"]]
    while found[-1] > 0.15 and len(found) < 4:
        found.append(make_trial()["flush_s"])
    assert found[-1] == pytest.approx(0.1, rel=0.5), found


def test_cpu_and_memory_are_those_of_the_server(trial: dict[str, Any]) -> None:
    assert 0 <= trial["cpu_s"] < trial["span_s"]
    assert trial["rss_bytes"] > 0
