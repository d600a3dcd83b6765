"""How late audio came after a failure: what listeners waited for it, without what the test and a busy machine add.

A silence counts from the moment at which the encoder handed over the first frame after it: an encoder that stands still
silences everybody. Of the rest, the time for which a process on the way was ready to run and got no processor is the
machine's, and the kernel counts it. So a limit is strict on a quiet machine, and holds on a busy one.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.hearing import Report


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


class Lateness:
    """`with Lateness(encoder, pids) as lateness:` after a failure; the block waits until listeners have audio again.

    `pids` are the processes on the way to them; others would only make it less strict. Only silences that end within
    the block count.
    """

    def __init__(self, encoder: Encoder, pids: Iterable[int]) -> None:
        self._encoder = encoder
        self._machine = ProcessorWaits(pids)
        self._since = self._until = 0.0

    def __enter__(self) -> Self:
        self._since = time.monotonic()
        self._machine.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until = time.monotonic()
        self._machine.__exit__(kind, error, trace)

    def longest_s(self, reports: Iterable[Report]) -> float:
        """Returns the longest time that audio which the encoder had handed over was late; 0 if none was. Counts what
        `hearing.py` takes for a silence.
        """
        late = [
            silence.at - max(self._encoder.handed_at(silence.after + 1), self._since)
            for report in reports
            for silence in report.silences
            if self._since < silence.at <= self._until
        ]
        return max(0.0, max(late, default=0.0) - self._machine.seconds)


def _waited_s(schedstat: Path) -> float:
    try:
        _, waited_ns, _ = schedstat.read_text().split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return 0.0
    return int(waited_ns) / 1e9
