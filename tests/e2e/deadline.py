"""Waits with a deadline, the only way a test waits: asks again every few milliseconds. And how quick something is."""

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


def quickest_s(do: Callable[[], object], limit_s: float, tries: int = 5) -> float:
    """Returns how many seconds `do` takes, the least of several tries; the first below the limit is the last one. A
    machine that stands still makes one of them slow, a wait in what is tested all of them.
    """
    least = float("inf")
    while tries and least >= limit_s:
        began = time.monotonic()
        do()
        least = min(least, time.monotonic() - began)
        tries -= 1
    return least
