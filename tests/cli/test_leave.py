"""Tests of pycast.cli.leave: a process ends with its status and all it had to say, and takes nothing apart."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, sys
{imported}
class Kept:
    def __del__(self):
        print("taken apart", flush=True)
atexit.register(print, "at the end")
sys.kept = Kept()
print("said")
{end}
"""


@pytest.mark.parametrize(
    ("imported", "end", "status"),
    [
        ("from pycast.cli.leave import leave", "leave(3)", 3),
        ("from pycast.__main__ import main", "sys.argv[1:] = ['serv']; main()", 2),
        ("from pycast.__main__ import main", "sys.argv[1:] = ['--version']; main()", 0),
    ],
)
def test_process_ends_with_its_status_and_takes_nothing_apart(imported: str, end: str, status: int) -> None:
    script = SCRIPT.format(imported=imported, end=end)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    first, *_, last = done.stdout.splitlines()
    assert (first, last) == ("said", "at the end")


def test_output_that_nobody_reads_keeps_no_process() -> None:
    script = "import os, sys; from pycast.cli.leave import leave; print(1); os.close(1); sys.stderr = None; leave(4)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 4
