"""A part of a test in a process of its own, so that neither disturbs the other's timing. It takes lines of JSON.

The part is a module that is run with `-m`; it answers each line on its standard input with one on its standard output,
and ends when its input does. Its first line means that it is ready. Invariant: every answer has a deadline, and the
process is gone after `stop`.
"""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ANSWER_S = 20.0
STOP_S = 5.0


class RemoteError(RuntimeError):
    """The error of a process that ended, answered too late, or reported an error."""


class Remote:
    """A running part: `Remote("tests.cluster_e2e.chaos")`; `ask` it, and `stop` it at last."""

    def __init__(self, module: str, *arguments: str) -> None:
        """Starts it in the network namespace of the calling thread."""
        self._name = module
        self._rest = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            self.ready = self._answer()
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Sends one command and returns its answer. Raises RemoteError."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise RemoteError(f"{self._name} has ended (status {self._process.poll()})") from error
        answer = self._answer()
        if "error" in answer:
            raise RemoteError(f"{self._name}: {do}: {answer['error']}")
        return answer

    def stop(self) -> None:
        """Ends the process. May be called twice."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(STOP_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        handle = self._process.stdout.fileno()
        deadline = time.monotonic() + ANSWER_S
        while b"\n" not in self._rest:
            if not select.select([handle], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise RemoteError(f"{self._name} did not answer within {ANSWER_S:g} s")
            data = os.read(handle, 1 << 20)
            if not data:
                raise RemoteError(f"{self._name} has ended (status {self._process.wait(STOP_S)})")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Commands:
    """The other end, in the process: what has been asked so far, for a loop that waits for other things as well."""

    def __init__(self) -> None:
        self._rest = b""
        self.is_over = False

    def fileno(self) -> int:
        """Returns the descriptor to wait on before `read`."""
        return sys.stdin.fileno()

    def read(self) -> list[dict[str, Any]]:
        """Returns the commands that have arrived; sets `is_over` at the end of the input."""
        data = os.read(self.fileno(), 1 << 20)
        self.is_over = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def answer(self, **values: object) -> None:
        """Answers one command, or reports at the start that the process is ready."""
        sys.stdout.write(json.dumps(values) + "\n")
        sys.stdout.flush()
