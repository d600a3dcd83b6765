"""Greenlets with an owner and a name: the only place that spawns.

One that fails is logged, once and with its traceback (gevent would print it to stderr), and costs the others nothing.
"""

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import gevent
from gevent import Greenlet

log = logging.getLogger(__name__)

# A string: at run time gevent's class takes no parameters.
Task: TypeAlias = "Greenlet[..., Any]"
"""A greenlet that a group owns."""

# Between a failure of a loop and its next beginning, so that one that fails at once neither fills the log nor the core.
PAUSE_S = 1.0


class Group:
    """A set of named greenlets. `kill` ends them all."""

    def __init__(self) -> None:
        self._members: set[Task] = set()

    def __len__(self) -> int:
        return len(self._members)

    def spawn(self, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` as a greenlet called `name`."""
        return self._own(Greenlet(_guarded, name, run, *args), name, None)

    def spawn_later(self, seconds: float, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` after `seconds`, unless the greenlet is killed before."""
        return self._own(Greenlet(_guarded, name, run, *args), name, seconds)

    def spawn_forever(self, name: str, run: Callable[[], object]) -> Task:
        """Starts `run()`, a loop that the node cannot do without: if it fails it begins anew."""
        return self._own(Greenlet(_kept, name, run), name, None)

    def kill(self, timeout: float = 2.0) -> None:
        """Ends every member and waits for it at most `timeout` seconds."""
        members = [member for member in self._members if member is not gevent.getcurrent()]
        gevent.killall(members, timeout=timeout)
        # Links are called a turn of the loop later; who asks now must not find the dead.
        self._members.difference_update(member for member in members if member.dead)

    def join(self, timeout: float) -> None:
        """Waits until every member has ended, at most `timeout` seconds."""
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


def _guarded(name: str, run: Callable[..., object], *args: Any) -> bool:
    """Whether `run(*args)` came to its end."""
    try:
        run(*args)
    except Exception:
        log.exception("greenlet %s failed", name)
        return False
    return True


def _kept(name: str, run: Callable[[], object]) -> None:
    while not _guarded(name, run):
        gevent.sleep(PAUSE_S)
