"""Greenlets with an owner and a name: the only place that spawns."""

import logging
from collections.abc import Callable
from typing import Any, TypeAlias

import gevent
from gevent import Greenlet

log = logging.getLogger(__name__)

# A string: at run time gevent's class takes no parameters.
Task: TypeAlias = "Greenlet[..., Any]"
"""A greenlet that a group owns."""


class Group:
    """A set of named greenlets. `kill` ends them all; one that fails is logged with its name."""

    def __init__(self) -> None:
        self._members: set[Task] = set()

    def __len__(self) -> int:
        return len(self._members)

    def spawn(self, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` as a greenlet called `name`."""
        return self._own(Greenlet(run, *args), name, None)

    def spawn_later(self, seconds: float, name: str, run: Callable[..., object], *args: Any) -> Task:
        """Starts `run(*args)` after `seconds`, unless the greenlet is killed before."""
        return self._own(Greenlet(run, *args), name, seconds)

    def kill(self, timeout: float = 2.0) -> None:
        """Ends every member and waits for it at most `timeout` seconds."""
        members = [member for member in self._members if member is not gevent.getcurrent()]
        gevent.killall(members, timeout=timeout)
        # Links are called a turn of the loop later; who asks now must not find the dead.
        self._members.difference_update(member for member in members if member.dead)

    def _own(self, member: Task, name: str, seconds: float | None) -> Task:
        member.name = name
        self._members.add(member)
        member.rawlink(self._ended)
        if seconds is None:
            member.start()
        else:
            member.start_later(seconds)
        return member

    def _ended(self, member: Task) -> None:
        self._members.discard(member)
        if not member.successful():
            log.error("greenlet %s failed: %r", member.name, member.exception)
