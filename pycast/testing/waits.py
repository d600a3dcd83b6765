"""What a test can wait for, and the one loop that does so: for threads, and for an event loop.

A wait looks again and again, because the server tells no one outside what happens in it. It ends at once when the
answer is known: the server's process is gone, or it has refused what the wait is for. A refusal counts if it came after
the last wait ended, so one that a test has seen, or did not care for, does not fail a later wait.

The one invariant: each wait has a deadline.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from pycast.testing.failures import ServerRefused, ServerTimeout
from pycast.testing.refusals import LISTENER, SOURCE, TITLE, Refusal

__tracebackhide__ = True

POLL_S = 0.02


class Watched(Protocol):
    """A server, with what waits use of it."""

    def has_source(self, mount: str) -> bool: ...
    def listeners(self, mount: str) -> int: ...
    def titles(self, mount: str) -> list[str]: ...


class Awaited(NamedTuple):
    """What is waited for."""

    is_so: Callable[[], object]
    what: str
    kind: str = ""
    """What the server may have refused, as `refusals.py` calls it."""
    mount: str = ""


def source_on(server: Watched, mount: str) -> Awaited:
    return Awaited(lambda: server.has_source(mount), f"a source on {mount}", SOURCE, mount)


def listeners_on(server: Watched, mount: str, count: int) -> Awaited:
    kind = LISTENER if count else ""  # who waits for all to be gone minds no refusal
    return Awaited(lambda: server.listeners(mount) == count, f"{count} listeners on {mount}", kind, mount)


def title_on(server: Watched, mount: str, title: str) -> Awaited:
    return Awaited(lambda: title in server.titles(mount), f"the title {title!r} on {mount}", TITLE, mount)


def stands_still(pid: int) -> bool:
    """Whether no thread of the process runs: each is stopped, or has ended. One that was within a call of the kernel
    when the signal came may end that first.
    """
    states = set()
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            states.add(stat.read_text("latin-1").rpartition(")")[2].split()[0])
    return states <= set("TtZX")


def polls(
    awaited: Awaited,
    timeout: float,
    *,
    check_alive: Callable[[], None],
    news: Callable[[], list[Refusal]],
    describe: Callable[[], str],
) -> Iterator[None]:
    """Yields as long as it is not so; whoever drives this pauses for `POLL_S` each time. Raises ServerTimeout, or
    ServerRefused if `news` has a refusal of it, with what `describe` tells of the server, and what `check_alive`
    raises.
    """
    deadline = time.monotonic() + timeout
    while not awaited.is_so():
        check_alive()
        for refusal in news():
            if (refusal.kind, refusal.mount) == (awaited.kind, awaited.mount):
                raise ServerRefused(f"the server has refused {awaited.what}: {_told(refusal)}\n{describe()}")
        if time.monotonic() > deadline:
            raise ServerTimeout(f"waited {timeout:g} s for {awaited.what}; {describe()}")
        yield


def _told(refusal: Refusal) -> str:
    text = f"{refusal.reason} ({refusal.request})"
    return f"{text}. If the client is meant to try again, wait with despite_refusals=True."
