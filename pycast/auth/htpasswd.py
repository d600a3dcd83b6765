"""The users of one password file while the server runs: who is right, and changes by admins.

The file is looked at again when a second has passed, and read if it has changed. Slow hashes are computed in threads of
a low priority, few at the same time and with few who wait; a good result is remembered, so that a listener who connects
again after a lost network waits for nothing. If the file cannot be read any more, those who were in it stay.

Invariant: nothing here blocks the loop; what takes long only keeps those waiting who asked for it.
"""

import logging
import os
import threading
from collections.abc import Callable
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from gevent import get_hub
from gevent.lock import Semaphore
from gevent.threadpool import ThreadPool

from pycast.auth.logins import TooManyWaiting
from pycast.auth.password_file import (
    Edit,
    edit_file,
    is_known_kind,
    is_right,
    is_slow,
    read_lines,
    user_of,
    users_in,
    why_no_user,
    with_user,
    without_user,
)
from pycast.disk.calls import DiskStalled, off_hub
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

CHECK_S = 1.0

# A hash takes 20 ms of a core. One thread for each of two cores, which give way to the thread that serves listeners.
THREADS, NICENESS = 2, 10

# Those who wait for a thread: some five seconds of work. Each holds a greenlet and a connection.
MOST_WAITING = 500

# Good results that are remembered, of all files: some hundred bytes each.
MOST_REMEMBERED = 8192

# What is computed for a user who is not in the file, so that the time does not tell who is.
_NOBODY = "$scrypt$ln=13,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAA=="


class Changed(Enum):
    """What became of an admin's change. The value is Icecast's text."""

    ADDED = "User added"
    EXISTS = "User already exists - not added"
    NOT_ADDED = "User add failed - check the icecast error log"
    DELETED = "User deleted"
    NOT_DELETED = "User delete failed - check the icecast error log"


class _Stamp(NamedTuple):
    number: int
    size: int
    time_ns: int


class PasswordChecks:
    """Computes hashes, of all files of the node."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._pool: ThreadPool | None = None
        self._key = os.urandom(32)
        self._good: dict[bytes, None] = {}
        self.waiting = 0
        """How many wait for a thread, or for what it computes."""

    def is_right(self, user: str, password: str, stored: str) -> bool:
        """Whether this is the user's password. Raises TooManyWaiting. May switch, unless the hash is quick or
        the result is remembered.
        """
        if not is_slow(stored):
            return is_right(stored, password)
        text = "\0".join((user, password, stored)).encode("utf-8", "replace")
        digest = blake2b(text, digest_size=16, key=self._key).digest()
        if digest in self._good:
            self._good[digest] = self._good.pop(digest)  # it was used last now
            return True
        if not self._compute(stored, password):
            return False
        if len(self._good) >= MOST_REMEMBERED:
            del self._good[next(iter(self._good))]
        self._good[digest] = None
        return True

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.kill()

    def _compute(self, stored: str, password: str) -> bool:
        if self.waiting >= MOST_WAITING:
            self._counters.busy_logins += 1
            raise TooManyWaiting("too many passwords to check")
        if self._pool is None or self._pool.hub is not get_hub():
            self._pool = ThreadPool(THREADS)
        self.waiting += 1
        try:
            return bool(self._pool.spawn(_at_low_priority, stored, password).get())
        finally:
            self.waiting -= 1


def _at_low_priority(stored: str, password: str) -> bool:
    """In a thread: the thread that serves listeners goes first."""
    thread = threading.get_native_id()
    if os.getpriority(os.PRIO_PROCESS, thread) < NICENESS:
        os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
    return is_right(stored, password)


class UserFile:
    """One file. `clock` is monotonic."""

    def __init__(self, name: str, checks: PasswordChecks, clock: Callable[[], float]) -> None:
        self._path = Path(name)
        self._checks = checks
        self._clock = clock
        self._users: dict[str, str] = {}
        self._stamp: _Stamp | None = None
        self._looked = float("-inf")
        self._looking = Semaphore()
        self._problem = ""
        """Why the file could not be read, as the log has it."""
        self._has_slow = False

    def is_right(self, user: str, password: str) -> bool:
        """Whether this is the password of a user in the file. Raises TooManyWaiting. May switch."""
        self._look()
        stored = self._users.get(user)
        if stored is None:
            if self._has_slow:
                self._checks.is_right(user, password, _NOBODY)
            return False
        return self._checks.is_right(user, password, stored)

    def users(self) -> list[str]:
        """Returns the users in the order of the file. May switch."""
        self._look()
        return list(self._users)

    def add(self, user: str, password: str) -> Changed:
        """Adds a user. May switch."""
        if why_no_user(user):
            log.warning("%s: user %r was not added: %s", self._path, user[:60], why_no_user(user))
            return Changed.NOT_ADDED
        done = Changed.EXISTS

        def edit(lines: list[str]) -> list[str] | None:
            nonlocal done
            if any(user_of(line) == user for line in lines):
                return None
            done = Changed.ADDED
            return with_user(lines, user, password)

        return done if self._edit(edit) else Changed.NOT_ADDED

    def delete(self, user: str) -> Changed:
        """Deletes a user. May switch."""
        done = Changed.NOT_DELETED

        def edit(lines: list[str]) -> list[str] | None:
            nonlocal done
            if not any(user_of(line) == user for line in lines):
                return None
            done = Changed.DELETED
            return without_user(lines, user)

        return done if self._edit(edit) else Changed.NOT_DELETED

    def _edit(self, edit: Edit) -> bool:
        try:
            off_hub(edit_file, self._path, edit)
        except (OSError, ValueError, DiskStalled) as error:
            log.error("%s cannot be changed: %s", self._path, error)
            return False
        self._looked = float("-inf")
        return True

    def _look(self) -> None:
        """Reads the file if it has changed. While others do so, or it is too early, there is what there was. May
        switch.
        """
        if self._clock() - self._looked < CHECK_S or (self._looking.locked() and self._stamp is not None):
            return
        with self._looking:
            if self._clock() - self._looked < CHECK_S:
                return
            try:
                found = off_hub(_read, self._path, self._stamp)
            except (OSError, ValueError, DiskStalled) as error:
                self._note(f"cannot be read: {error}")
            else:
                if found is not None:
                    self._take(*found)
            self._looked = self._clock()

    def _take(self, stamp: _Stamp, users: dict[str, str]) -> None:
        self._stamp, self._users = stamp, users
        self._has_slow = any(map(is_slow, users.values()))
        unknown = [user for user, stored in users.items() if not is_known_kind(stored)]
        log.info("read %s: %d users", self._path, len(users))
        self._note(f"has a password of an unknown kind for {len(unknown)} users, who cannot listen" if unknown else "")

    def _note(self, problem: str) -> None:
        """Logs a problem once, until it is another one or over."""
        if problem and problem != self._problem:
            log.error("%s %s", self._path, problem)
        self._problem = problem


def _read(path: Path, known: _Stamp | None) -> tuple[_Stamp, dict[str, str]] | None:
    """In a thread: returns the users, None if the file is the one that is known."""
    found = os.stat(path)
    stamp = _Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
    return None if stamp == known else (stamp, users_in(read_lines(path)))
