"""A value that costs something to make and is wanted by many: it is made once for all who ask at about the same time.

How long it is kept follows from what it costs: `SHARE` times as long as making it took, so that no number of requests
makes that more than a small share of the loop's time. It is kept no shorter than `shortest_s`, and no longer than
`longest_s`. While a new value is made, the old one is given out; who asks when there is none waits for it.

After a change (`on_change`) a value that is cheap to make is not given out any more: who sets a title and looks gets
it. If it is not cheap, the old one may be seen until its time is over.

Invariant: a value is made by one greenlet at a time.
"""

import time
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import gevent
from gevent.event import AsyncResult

LONGEST_S = 1.0

# Making values takes at most a hundredth of the time, a tenth while there are changes.
SHARE, SHARE_OF_CHANGES = 100, 10

# What takes less is cheap: `SHARE_OF_CHANGES` of it is a wait that hardly anybody notices.
CHEAP_S = 0.01

# What a value costs at most as long as only one was made.
FIRST_S = 0.002

T = TypeVar("T")


class Changes:
    """How many changes there were of what values are made from."""

    def __init__(self) -> None:
        self.count = 0

    def on_change(self, event: object) -> None:
        """Counts a change."""
        self.count += 1


class NotKept(Exception):
    """There is no value that can be given out without waiting."""


class _Abandoned(Exception):
    """The greenlet that made a value was ended."""


class Kept(Generic[T]):
    """A value from `make`, kept for a while. `make` may switch. `clock` measures ages, `cost_clock` what a value costs:
    the thread's CPU, since waiting for another node costs nothing.
    """

    def __init__(
        self,
        make: Callable[[], T],
        changes: Changes,
        longest_s: float = LONGEST_S,
        shortest_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        cost_clock: Callable[[], float] = time.thread_time,
    ) -> None:
        self._make = make
        self._changes = changes
        self._longest_s = longest_s
        self._shortest_s = shortest_s
        self._clock = clock
        self._cost_clock = cost_clock
        self._value: tuple[T] | None = None
        self._began = 0.0
        self._cost_s = 0.0
        self._seen = 0
        """How many changes there were when making the value began."""
        self._making: AsyncResult[T] | None = None
        self._is_ordered = False
        """Whether somebody who may not wait is on his way to have a new value made."""

    def get(self, may_wait: bool = True) -> T:
        """Returns the value. Raises what `make` raises. May switch, unless it may not wait: then raises NotKept, and
        expects the caller to come again and wait. Meanwhile others who may not wait get the old value.
        """
        if not may_wait:
            try:
                return self.get_kept()
            except NotKept:
                self._is_ordered = True
                raise
        while not self._is_good(self._making is not None):
            if self._making is not None:
                try:
                    return cast(T, self._making.get())
                except _Abandoned:
                    continue
            pause = min(SHARE_OF_CHANGES * self._cost_s, self._longest_s) - (self._clock() - self._began)
            if self._value is None or pause <= 0:
                return self._make_new()
            # Changes that come one after the other are shown together.
            gevent.sleep(pause)
        return cast(tuple[T], self._value)[0]

    def get_kept(self) -> T:
        """Returns the value that can be given out without waiting. Raises NotKept. Never switches."""
        if not self._is_good(self._making is not None or self._is_ordered):
            raise NotKept
        return cast(tuple[T], self._value)[0]

    def _is_good(self, is_coming: bool) -> bool:
        """Whether the present value may be given out; an old one too while the next one is coming."""
        is_outdated = self._seen != self._changes.count and self._cost_s < CHEAP_S
        if self._value is None or is_outdated:
            return False
        age = self._clock() - self._began
        is_fresh = age < min(max(SHARE * self._cost_s, self._shortest_s), self._longest_s)
        return is_fresh or (is_coming and age < 2 * self._longest_s)

    def _make_new(self) -> T:
        self._is_ordered = False
        making = self._making = AsyncResult()
        began, cost, seen = self._clock(), self._cost_clock(), self._changes.count
        try:
            value = self._make()
        except BaseException as error:
            making.set_exception(error if isinstance(error, Exception) else _Abandoned())
            raise
        finally:
            self._making = None
        cost = self._cost_clock() - cost
        # The first one may have imported what renders it.
        self._cost_s = min(cost, FIRST_S) if self._value is None else cost
        self._value, self._began, self._seen = (value,), began, seen
        making.set(value)
        return value
