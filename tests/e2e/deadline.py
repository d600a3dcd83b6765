"""Waits with a deadline, the only way a test waits: asks again every few milliseconds."""

import time
from collections.abc import Callable

POLL_S = 0.01


def until(is_so: Callable[[], object], what: str, timeout: float = 10.0) -> None:
    """Returns once `is_so()` is true; fails the test, naming `what`, when it is not so in time."""
    deadline = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}")
        time.sleep(POLL_S)
