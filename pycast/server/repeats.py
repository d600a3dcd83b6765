"""Answers that are the same for many requests: those of the same bytes, within a second, for a page that is kept.

Every web player asks for the status every few seconds, and most of a station's players send the same bytes. What a
request is and what its answer's head says is found once for all of them. The counters, the access log and each
connection's limits are not part of it.

An answer is given again only if `Response.again` says so, the configuration is the same object, and the port answers
the same. None outlives its second, which is in its `Date`, so no old page is held here for long.
"""

from collections.abc import Callable
from typing import NamedTuple

from pycast.config.schema import Config
from pycast.logs.access import AccessEntry

# How many are kept, and the longest request: more than players send. Together they hold half a megabyte.
MOST, LONGEST = 256, 1024


class Repeat(NamedTuple):
    """An answer and what its request said."""

    again: Callable[[], bool] | None
    config: Config
    serves: frozenset[str]
    head: bytes
    body: bytes
    entry: AccessEntry
    """For the access log, but for who asked, when, and what was sent."""
    is_get: bool


class Repeats:
    """The answers of this second, by the bytes of their requests."""

    def __init__(self) -> None:
        self._second = 0
        self._answers: dict[bytes, Repeat] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, head: bytes, config: Config, serves: frozenset[str], second: int) -> Repeat | None:
        """Returns the answer to a request whose bytes are `head`, if it is known and still right."""
        if second != self._second:
            self._answers.clear()
            self._second = second
        known = self._answers.get(head)
        if known is None or known.again is None or known.config is not config or known.serves is not serves:
            return None
        return known if known.again() else None

    def keep(self, head: bytes, answer: Repeat, second: int) -> None:
        """Keeps an answer that was made in `second`."""
        has_room = len(self._answers) < MOST or head in self._answers
        if answer.again is not None and second == self._second and has_room and len(head) <= LONGEST:
            self._answers[head] = answer
