"""Greenlets with an owner and a name. Nothing else in pycast spawns greenlets.

A greenlet that fails is logged once, with its traceback (gevent would print it to stderr). Others are not affected.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias
from weakref import WeakSet

import gevent
from gevent import Greenlet

log = logging.getLogger(__name__)

# A string, because gevent's class takes no type parameters at run time.
Task: TypeAlias = "Greenlet[..., Any]"
"""A greenlet that a group owns."""

# The pause before a failed loop is started again, so that one that fails at once fills neither the log nor the core.
PAUSE_S = 1.0


class Group:
    """A set of named greenlets. `kill` ends them all."""

    def __init__(self) -> None:
        self._members: set[Task] = set()
        _groups.add(self)

    def __len__(self) -> int:
        return len(self._members)

    def spawn(self, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` as a greenlet called `name`."""
        return self._own(Greenlet(_logged, name, run, *args), name, None)

    def spawn_later(self, seconds: float, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` after `seconds`, unless the greenlet is killed before."""
        return self._own(Greenlet(_logged, name, run, *args), name, seconds)

    def spawn_forever(self, name: str, run: Callable[[], object]) -> Task:
        """Starts `run()`, a loop that the node cannot work without: if it fails, it is started again."""
        return self._own(Greenlet(_restarted, name, run), name, None)

    def kill(self, timeout: float = 2.0) -> None:
        """Ends all members but the caller, and waits for them at most `timeout` seconds. May switch."""
        members = [member for member in self._members if member is not gevent.getcurrent()]
        gevent.killall(members, timeout=timeout)
        # The links that remove members are called a turn of the loop later; `len` has to be right at once.
        self._members.difference_update(member for member in members if member.dead)

    def join(self, timeout: float) -> None:
        """Waits until all members have ended, at most `timeout` seconds. May switch."""
        gevent.joinall(list(self._members), timeout=timeout)

    def _own(self, member: Task, name: str, seconds: float | None) -> Task:
        member.name = name
        self._members.add(member)
        member.rawlink(self._members.discard)
        if seconds is None:
            member.start()
        else:
            member.start_later(seconds)
        return member


_groups: WeakSet[Group] = WeakSet()


def greenlets() -> int:
    """Returns how many greenlets there are, in all groups of this process."""
    return sum(map(len, _groups))


def _logged(name: str, run: Callable[..., object], *args: Any) -> bool:
    """Runs `run(*args)` and logs its failure. Returns whether it did not fail."""
    try:
        run(*args)
    except Exception:
        with suppress(Exception):  # whatever a handler of the log raises must not end a loop that is to go on
            log.exception("greenlet %s failed", name)
        return False
    return True


def _restarted(name: str, run: Callable[[], object]) -> None:
    while not _logged(name, run):
        gevent.sleep(PAUSE_S)
