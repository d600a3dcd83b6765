"""Failed logins, by address: after a few in a minute answers are delayed, then refused with 429.

A password is guessed by trying. From one address (IPv6: one /64, which is what one customer gets) `FREE` failures in a
minute are answered at once, up to `MOST` after `DELAY_S`; then all logins are refused until the first failure is a
minute old. So a guesser has ten tries a minute, whatever he sends. Answers that wait are few: further ones are refused
at once, so guesses over a hundred connections hold no hundred greenlets.

A login that was right from an address before is right there again, also while the address is refused: behind one
address there may be a station's encoder and a neighbour who guesses. Such a neighbour can go on trying the station's
password; nobody else can.

A request without credentials is no login: encoders and browsers begin with one. A login that is right elsewhere on this
server, the source's among the admin's pages, is refused, but it is no guess either: who has it need not find it out.
Each process counts for itself, in tables that are bounded; of right passwords they hold keyed digests only.

Invariant: an address that is refused is not told whether a guess is right, unless that login was right there before.
"""

import logging
import os
from collections.abc import Callable
from typing import TypeVar

import gevent

from pycast.auth.credentials import Credentials
from pycast.errors import Refused
from pycast.http.addresses import network_of
from pycast.stats.counters import Counters

T = TypeVar("T")

log = logging.getLogger(__name__)

WINDOW_S = 60.0
FREE = 5
MOST = 10

# Long for a program that guesses, short for a person who mistypes.
DELAY_S = 1.0

# Answers that wait at the same time, in all and to one address: each holds a greenlet and a client's slot.
MOST_WAITING = 32
MOST_WAITING_FOR_ONE = 2

# Addresses that each table holds, two or three megabytes; the one that was quiet for longest is forgotten first.
MOST_ADDRESSES = 4096

# Right logins that are remembered of one address.
MOST_LOGINS = 16


class TooManyLogins(Refused):
    """A login from an address that has failed too often."""

    default_status = 429

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            "Too many failed logins from your address: try again in a minute",
            cause="too many failed logins",
            headers=(("Retry-After", str(max(1, round(wait_s)))),),
        )


class TooManyWaiting(Refused):
    """A login for whose check too many wait already. The text is Icecast's."""

    default_status = 503

    def __init__(self, cause: str) -> None:
        super().__init__("busy, please try again later", cause=cause, headers=(("Retry-After", "5"),))


class _Failures:
    """The failures of one address. `times` are the latest `MOST`, oldest first; `told` is when the log last had a line
    about it.
    """

    __slots__ = ("times", "told", "waiting")

    def __init__(self) -> None:
        self.times: list[float] = []
        self.told = -WINDOW_S
        self.waiting = 0


class Logins:
    """The failed logins of the last minute and the right ones since the start, by address."""

    def __init__(
        self,
        counters: Counters,
        clock: Callable[[], float],
        sleep: Callable[[float], None] = gevent.sleep,
        *,
        opens_something: Callable[[Credentials], bool] = lambda given: False,
    ) -> None:
        """`opens_something` says whether a login is right anywhere on this server."""
        self._counters = counters
        self._clock = clock
        self._opens_something = opens_something
        self._sleep = sleep
        self._key = os.urandom(32)
        self._failures: dict[str, _Failures] = {}
        self._right: dict[str, dict[bytes, None]] = {}
        self._waiting = 0

    def check(self, ip: str, given: Credentials | None, is_right: bool) -> bool:
        """Returns whether a login from `ip` is accepted. Counts one that is not right, and delays its answer if there
        were others. Raises TooManyLogins. May switch.
        """
        if given is None:
            return False
        address, login = network_of(ip), self._digest(given)
        if is_right and login in self._right.get(address, ()):
            return True
        failures = self._failures.get(address)
        if failures is not None and len(failures.times) == MOST:
            left_s = failures.times[0] + WINDOW_S - self._clock()
            if left_s > 0:
                raise self._refusal(left_s)
        if is_right:
            self._remember(address, login)
            return True
        if login not in self._right.get(address, ()) and not self._opens_something(given):
            self._fail(address)
        return False

    def _fail(self, address: str) -> None:
        """Counts a failure, and waits if it is not one of the first. Raises TooManyLogins. May switch."""
        now = self._clock()
        self._counters.failed_logins += 1
        failures = _latest(self._failures, address, _Failures)
        recent = sum(now - one < WINDOW_S for one in failures.times)
        failures.times = [*failures.times[-MOST + 1 :], now]
        if recent < FREE:
            return
        if now - failures.told >= WINDOW_S:
            failures.told = now
            log.warning(
                "! %s: more than %d failed logins within a minute: answers are delayed now, and refused with 429 after "
                "%d",
                address,
                FREE,
                MOST,
            )
        if failures.waiting >= MOST_WAITING_FOR_ONE or self._waiting >= MOST_WAITING:
            raise self._refusal(DELAY_S)
        failures.waiting += 1
        self._waiting += 1
        try:
            self._sleep(DELAY_S)
        finally:
            failures.waiting -= 1
            self._waiting -= 1

    def _refusal(self, wait_s: float) -> TooManyLogins:
        self._counters.refused_logins += 1
        return TooManyLogins(wait_s)

    def _remember(self, address: str, login: bytes) -> None:
        right = _latest(self._right, address, dict[bytes, None])
        if len(right) >= MOST_LOGINS:
            del right[next(iter(right))]
        right[login] = None

    def _digest(self, given: Credentials) -> bytes:
        from hashlib import blake2b

        text = "\0".join(given).encode("utf-8", "replace")
        return blake2b(text, digest_size=16, key=self._key).digest()


def _latest(table: dict[str, T], address: str, new: Callable[[], T]) -> T:
    """Returns the entry of an address, made if it is missing, and puts it last; the first is dropped if too many."""
    entry = table.pop(address, None)
    if entry is None:
        entry = new()
        if len(table) >= MOST_ADDRESSES:
            del table[next(iter(table))]
    table[address] = entry
    return entry
