"""Standard error of the running server for what does not go through a log: gevent's reports, warnings, the banner.

`sys.stderr` itself waits for its reader. In a container that is another program, and when that stalls, one warning of a
library would silence every listener.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOBase

import gevent

from pycast.logs.files import STDERR_FD, standard_error


class QueuedStderr(TextIOBase):
    """A text file that only queues what is written to it."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def write(self, text: str, /) -> int:
        """Queues the text. Never blocks, never switches."""
        standard_error().write(text.encode("utf-8", "backslashreplace"), soon=True)
        return len(text)

    def flush(self) -> None:
        """Waits until the text is written, at most `CLOSE_S`. May switch; in the hub it does nothing."""
        if gevent.getcurrent() is not gevent.get_hub():
            standard_error().flush()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return STDERR_FD

    def isatty(self) -> bool:
        return os.isatty(STDERR_FD)


@contextmanager
def queued_stderr() -> Iterator[None]:
    """Puts a QueuedStderr in the place of `sys.stderr`, and writes what is queued at the end. May switch there. A
    `sys.stderr` that is no file, such as one that a test collects, stays.
    """
    before = sys.stderr
    try:
        before.fileno()
    except (AttributeError, OSError):
        yield
        return
    sys.stderr = QueuedStderr()
    try:
        yield
    finally:
        sys.stderr = before
        standard_error().flush()
