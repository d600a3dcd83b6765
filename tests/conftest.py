"""What holds for all tests: nothing is left behind, nothing waits for ever.

A test of a package that has greenlets or sockets runs under a deadline, and fails if it leaves a greenlet or a file
descriptor behind. Pure packages and the end-to-end tests (whose servers are processes of their own) go without.
PYCAST_TIME_SCALE=3 makes every time limit here three times as long, for a slow machine.
"""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import gevent
import greenlet
import pytest
from gevent import monkey
from hypothesis import settings

from pycast.testing import Server

# What is to be tested is the server, with nothing in front of it. The tests of the kit say watch=True.
Server.watch = False

# A machine that runs many tests at once is slow at times. Under CI every run tries the same examples, so that a change
# is judged by what it changed; at a developer's desk each run tries new ones.
settings.register_profile("pycast", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("pycast")

TESTS = Path(__file__).parent
TIME_SCALE = float(os.environ.get("PYCAST_TIME_SCALE", "1"))

# The folders of tests/ whose tests run greenlets or hold sockets in pytest's own process.
IN_PROCESS = frozenset(
    {"app", "auth", "balance", "cluster", "control", "disk", "logs", "net", "relay", "server", "stream", "web"}
)
TEST_S = 60.0  # for one test as a whole
TIDY_S = 2.0  # for what a test stopped to be gone
POLL_S = 0.005

WaitUntil = Callable[..., None]


def pytest_configure() -> None:
    """Under nohup, or behind a shell's `&`, Ctrl-C is ignored, and would be by all programs that tests start and stop
    with it.
    """
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What is there now is no test's: five thousand tests are many objects to look through after each of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def is_not_looked_through() -> None:
    """Sets apart what the files before this one have left, such as a failure with all its values: `_greenlets` would
    look through it after each test.
    """
    gc.freeze()


@pytest.fixture
def wait_until() -> WaitUntil:
    """`wait_until(condition, what, timeout=5.0)` lets greenlets run until the condition holds, or fails the test."""

    def wait(is_so: Callable[[], object], what: str, timeout: float = 5.0) -> None:
        assert _comes_true(is_so, timeout * TIME_SCALE), f"waited {timeout * TIME_SCALE:g} s for {what}"

    return wait


@pytest.fixture(autouse=True)
def stays_unpatched() -> Iterator[None]:
    """Fails the test that patches pytest's process for gevent: pytest and its workers would then stand still."""
    yield
    assert not monkey.is_module_patched("threading"), "pycast.__main__ is for a process of its own"


@pytest.fixture(autouse=True)
def leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a greenlet or a file descriptor behind, and one that never ends."""
    if request.path.relative_to(TESTS).parts[0] not in IN_PROCESS:
        yield
        return
    _open_the_hub()
    greenlets, files = set(map(id, _greenlets())), _files()
    with gevent.Timeout(TEST_S * TIME_SCALE, AssertionError(f"the test still ran after {TEST_S * TIME_SCALE:g} s")):
        yield
    _comes_true(lambda: not (_files().items() - files.items()), TIDY_S * TIME_SCALE)
    _comes_true(lambda: {id(one) for one in _greenlets()} <= greenlets, TIDY_S * TIME_SCALE)
    left = [repr(one) for one in _greenlets() if id(one) not in greenlets]
    left += [f"file descriptor {number}: {name}" for number, name in _files().items() - files.items()]
    assert not left, f"left behind: {', '.join(left)}"


def _comes_true(is_so: Callable[[], object], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            return False
        gevent.sleep(POLL_S)
    return True


def _open_the_hub() -> None:
    """What gevent makes once for a process is no test's leak: the loop, and what wakes it from other threads."""
    gevent.get_hub().threadpool.apply(int)
    gevent.sleep(0)


def _greenlets() -> list[greenlet.greenlet]:
    """All that may still run, save the hub's and this one."""
    apart = (gevent.get_hub(), gevent.getcurrent())
    return [
        one
        for one in gc.get_objects()
        if isinstance(one, greenlet.greenlet) and not one.dead and one not in apart and _is_ours(one)
    ]


def _is_ours(one: greenlet.greenlet) -> bool:
    """Not a thread's main greenlet, which has no parent; not gevent's own; not one that was never started."""
    if type(one).__module__ in {"gevent.hub", "gevent.threadpool"}:
        return False
    return one.parent is not None and (bool(one) or bool(getattr(one, "started", False)))


def _files() -> dict[int, str]:
    """Open file descriptors and what they are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that listed them is gone
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
    return found
