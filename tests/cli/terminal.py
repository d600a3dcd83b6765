"""A command on a terminal: what it shows there, and keys that are pressed."""

import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from contextlib import suppress
from types import TracebackType
from typing import Self


class Terminal:
    """`pycast ARGUMENTS` on a terminal of 24 lines and 100 columns; killed at the end of the block if it still runs."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = os.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        command = [sys.executable, "-m", "pycast", *arguments]
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def wait_for(self, pattern: str, timeout: float = 30.0) -> "re.Match[str]":
        """Returns where it has shown what matches `pattern`, as soon as it has."""
        deadline = time.monotonic() + timeout
        while (found := re.search(pattern, self.shown)) is None:
            assert time.monotonic() < deadline, f"no {pattern!r} after {timeout:g} s: {self.shown}"
            assert self._read(0.1), f"it ended: {self.shown}"
        return found

    def press(self, keys: str) -> None:
        """Sends keys."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> int:
        """Presses Ctrl-C, and returns the status when it has ended; `shown` is all that it has shown then."""
        self._process.send_signal(signal.SIGINT)
        while self._read(20.0):
            pass
        return self._process.wait(20)

    def _read(self, timeout: float) -> bool:
        """Reads what it has shown since; returns whether it may show more."""
        if select.select([self._ours], [], [], timeout)[0]:
            with suppress(OSError):  # EIO: the other end is closed
                data = os.read(self._ours, 65536)
                self.shown += data.decode("utf-8", "replace")
                return bool(data)
            return False
        return self._process.poll() is None
