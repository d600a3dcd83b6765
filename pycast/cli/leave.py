"""The command as a process: `pycast.cli.main`, whose end is that of the process.

Python takes apart what it has loaded before it ends. A native thread that comes back from a call meanwhile, from a name
server or a disk that did not answer, then finds nothing that it can use: 3.11.2 crashed so after stops in good order,
while the names of relays were looked up. So that is left to the system, which is faster, too.
"""

import atexit
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from pycast.cli.main import main as command


def main(args: Sequence[str] | None = None, prog_name: str | None = None) -> NoReturn:
    """Runs the command that the arguments name, by default the process's, and ends the process with its status."""
    try:
        command(args, prog_name=prog_name)  # click ends with SystemExit, also if all went well
    except SystemExit as end:
        leave(end.code if isinstance(end.code, int) else int(end.code is not None))
    raise AssertionError("click has returned")


def leave(status: int) -> NoReturn:
    """Ends this process as Python does, but without taking apart what it has loaded."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, nobody reads it, or it is closed
            stream.flush()
    os._exit(status)
