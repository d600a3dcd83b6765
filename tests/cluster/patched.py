"""Runs a test function in a process of its own whose sockets gevent has patched, as the server's are.

pytest's own process must stay unpatched (tests/conftest.py), and there a client that waits for its socket would stop
every greenlet. `@in_patched_process` marks a test that runs greenlets which use such a client: pytest starts a process
that imports the test's module and calls the function.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

ROOT = Path(__file__).resolve().parents[2]
TIME_SCALE = float(os.environ.get("PYCAST_TIME_SCALE", "1"))
TEST_S = 60.0

P = ParamSpec("P")

# `__main__` must be patched before anything else is imported; a failed test shows its traceback and its log.
CHILD = """
from gevent import monkey
monkey.patch_all()
import importlib, logging, sys
from pathlib import Path
logging.basicConfig(level=logging.DEBUG, format="%(relativeCreated)6d %(name)s %(message)s")
logging.getLogger("urllib3").setLevel(logging.INFO)
module, name, *arguments = sys.argv[1:]
test = getattr(importlib.import_module(module), name)
getattr(test, "__wrapped__", test)(*[Path(one) if one.startswith("/") else one for one in arguments])
"""


def in_patched_process(test: Callable[P, None]) -> Callable[P, None]:
    """Returns a test that runs in such a process. Its arguments have to be paths and texts."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        arguments = [str(one) for one in (*args, *kwargs.values())]
        command = [sys.executable, "-X", "faulthandler", "-c", CHILD, test.__module__, test.__name__, *arguments]
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TEST_S * TIME_SCALE
        )
        print(done.stdout)
        assert done.returncode == 0, f"in the patched process:\n{done.stderr[-8000:]}"

    return run
