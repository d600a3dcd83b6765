"""What servers are forked from is no server yet: no thread, no event loop, no file. (Its forks: test_forked.py.)"""

import subprocess
import sys

from pycast import launch

LOADED = """
import os, threading
before = set(os.listdir("/proc/self/fd"))
import pycast.__main__
from gevent._hub_local import get_hub_if_exists
from pycast.cli.fork_server import load_late
from pycast.cli.serve import load_node
load_node()
assert sum(1 for _ in load_late()) > 20
assert get_hub_if_exists() is None
assert threading.active_count() == 1
assert len(set(os.listdir("/proc/self/fd")) - before) == 0
"""


def test_loading_starts_nothing() -> None:
    subprocess.run([sys.executable, "-c", LOADED], env=launch.clean_environment(), check=True, timeout=30)


def test_it_ends_with_its_standard_input_and_is_no_command_for_people() -> None:
    done = subprocess.run([*launch.PROGRAM, "fork-server"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert done.returncode != 0 and b"fork-server" in done.stderr
    shown = subprocess.run([*launch.PROGRAM, "--help"], capture_output=True, timeout=30, check=True)
    assert b"fork-server" not in shown.stdout
