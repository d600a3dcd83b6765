"""Marks in a server's log, which tell the lines of one test from those of another.

The server writes its log some 20 ms late, so a place in the file says little. A mark is a request of a page that there
is not: it gets a line of its own, after the lines of all that happened before. Logs that are shown have no marks. The
one invariant: a server that does not answer, or logs no such line, costs some seconds, and no test.
"""

import itertools
import time
from collections.abc import Callable

_NAME = "pycast-testing-mark"
_numbers = itertools.count(1)

# On a machine that runs many tests at once.
ANSWER_S = 5.0
WRITTEN_S = 5.0
POLL_S = 0.005


def leave_mark(ask: Callable[[str, float], object]) -> str:
    """Leaves a new mark and returns it. `ask(path, seconds)` requests a page."""
    mark = f"{_NAME}-{next(_numbers)}."
    try:
        ask(f"/{mark}", ANSWER_S)
    except (OSError, RuntimeError):  # it hangs, or is gone: its log is as it is
        return ""
    return mark


def since(mark: str, end: str, read: Callable[[], str]) -> str:
    """Returns the lines between two marks, once the end is there. Without a mark, all lines before or after."""
    deadline = time.monotonic() + WRITTEN_S
    while end and end not in read() and time.monotonic() < deadline:
        time.sleep(POLL_S)
    text = read()
    if mark and mark in text:
        text = text.partition(mark)[2].partition("\n")[2]
    if end and end in text:
        before, newline, _ = text.partition(end)[0].rpartition("\n")
        text = before + newline
    return without_marks(text)


def without_marks(text: str) -> str:
    """Returns the text of a log without the lines that are marks."""
    return "".join(line for line in text.splitlines(keepends=True) if _NAME not in line)
