"""How late audio came after a failure: what listeners waited for it, without what the test and a busy machine add.

A silence counts from the moment at which the encoder handed over the first frame after it: an encoder that stands still
silences everybody. Of the rest, what the machine took from a process on the way is not counted (`stopwatch.py`).
"""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from tests.cluster_e2e.encoder import Encoder
from tests.cluster_e2e.hearing import Report
from tests.e2e.stopwatch import ProcessorWaits


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
