"""Which pycast is run: that of this environment, or one of its own.

A project may pin other versions of what the server needs than the server takes. Then it installs pycast-server here
without its dependencies, for the kit needs none, and whole elsewhere:

    PYCAST_TEST_PYTHON    a Python that has pycast-server: `venv/bin/python`
    PYCAST_TEST_PROGRAM   any program that is `pycast`: its zipapp, a script; with arguments, as a shell splits them

The one invariant: what runs elsewhere gets nothing of this environment's Python.
"""

import os
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from pycast import launch

PYTHON, PROGRAM = "PYCAST_TEST_PYTHON", "PYCAST_TEST_PROGRAM"

_OURS = frozenset({"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"})
"""Variables that would lead another Python to this one's packages."""


class ServerProgram(NamedTuple):
    """A program and the environment that it is run in."""

    command: tuple[str, ...]
    environment: dict[str, str]
    named_by: str = ""
    """The variable that says so, if one does."""


def the_program(environ: Mapping[str, str] = os.environ) -> ServerProgram:
    """Returns what `environ` says is run."""
    environment = launch.clean_environment()
    for name in (PYTHON, PROGRAM):
        if given := environ.get(name):
            # -P: without it, modules in the present folder would come before that Python's own.
            command = (given, "-P", "-m", "pycast") if name == PYTHON else tuple(shlex.split(given))
            elsewhere = {key: value for key, value in environment.items() if key not in _OURS}
            return ServerProgram(command, elsewhere, name)
    return ServerProgram(launch.PROGRAM, environment)
