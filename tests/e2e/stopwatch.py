"""How long something took, without what a busy machine added.

The time for which a process was ready to run and got no processor is the machine's, and the kernel counts it. So a
limit is strict on a quiet machine, and holds on a busy one.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self


class ProcessorWaits:
    """`with ProcessorWaits(pids) as waits:`; for how many `seconds` the threads of these processes, all together, were
    ready to run within the block and had no processor.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self.seconds = 0.0
        self._pids = tuple(pids)
        self._before: dict[Path, float] = {}

    def __enter__(self) -> Self:
        self._before = self._so_far()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = sum(waited - self._before.get(thread, 0.0) for thread, waited in self._so_far().items())

    def _so_far(self) -> dict[Path, float]:
        threads = [one for pid in self._pids for one in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        return {thread: _waited_s(thread) for thread in threads}


class Stopwatch:
    """`with Stopwatch(server.pid) as watch:`; for how many `seconds` the block ran, without what the machine took from
    this process and from those with these numbers. Others than those that do the work would make it less strict.
    """

    def __init__(self, *pids: int) -> None:
        self.seconds = 0.0
        self._began = 0.0
        self._machine = ProcessorWaits([os.getpid(), *pids])

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._machine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = time.monotonic() - self._began
        self._machine.__exit__(kind, error, trace)
        self.seconds = took - self._machine.seconds


def _waited_s(schedstat: Path) -> float:
    try:
        _, waited_ns, _ = schedstat.read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0.0
    return int(waited_ns) / 1e9
