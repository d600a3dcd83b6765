"""A worker's sign of life: a few words of memory that it shares with its parent.

The worker's event loop moves `beats` from a timer of the hub itself, not from a greenlet or a thread: a loop that is
stuck for whatever reason does not. `accepts` says whether the worker takes connections, `stays` how often it went on
after SIGTERM, because an admin has cancelled the drain that had begun with it. In the other direction goes how
often workers were replaced, so that each of them can tell it. Behind the words are notes (`shared_notes.py`): which
relays are switched off, in both directions, so that the parent can tell a new process what the old ones were ordered,
and the last lines of the parent's log, for which an admin asks a worker. Then comes room for what faulthandler writes
when the process gets SIGABRT or crashes: where its loop stood. All of it is memory, so neither side ever waits for
the other, and what a dead worker wrote can still be read. Each process gets a new one.
"""

import faulthandler
import logging
import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from gevent import get_hub

from pycast.app.shared_notes import NOTE_SIZE, SharedNote, lines_of_note
from pycast.control.relay_desk import RelayDesk, RelayOrders
from pycast.logs.files import RecentLine
from pycast.stats.counters import Counters

log = logging.getLogger(__name__)

# Rarely enough to cost nothing, often enough for a parent that looks as often.
BEAT_S = 0.25

_NOTES_AT = mmap.PAGESIZE

# Where faulthandler's text begins, and the most of it that is read.
_STACK_AT = _NOTES_AT + 3 * NOTE_SIZE
_MOST_STACK = 32_768

# What the worker writes, and what the parent writes.
_OWN, _TOLD = struct.Struct("QQQ"), struct.Struct("QQ")
_TOLD_AT = _OWN.size


class LifeSign:
    """The shared memory, seen from either side. `fd` is its descriptor."""

    def __init__(self, fd: int) -> None:
        """`fd` is one that `make` made, here or in the parent."""
        self.fd = fd
        self._memory = mmap.mmap(fd, _STACK_AT)
        self.orders, self.orders_told, self.log_told = (
            SharedNote(self._memory, _NOTES_AT + number * NOTE_SIZE) for number in range(3)
        )
        """What the worker's relays were ordered; what the parent tells about that, and the end of its log."""

    @classmethod
    def make(cls) -> Self:
        """Makes the memory of a new worker. Raises OSError."""
        fd = os.memfd_create("pycast-life-sign")
        os.ftruncate(fd, _STACK_AT)
        os.lseek(fd, _STACK_AT, os.SEEK_SET)  # the position is shared with the worker: faulthandler writes from here
        return cls(fd)

    @property
    def beats(self) -> int:
        """How often the worker's loop has moved it."""
        return int(_OWN.unpack_from(self._memory)[0])

    @property
    def accepts(self) -> bool:
        """Whether the worker takes connections from its ports."""
        return bool(_OWN.unpack_from(self._memory)[1])

    @property
    def stays(self) -> int:
        """How often the worker went on after SIGTERM."""
        return int(_OWN.unpack_from(self._memory)[2])

    @property
    def told(self) -> tuple[int, int]:
        """What the parent told last: how many processes of workers ended unexpectedly, and how many of these hung."""
        restarts, hangs = _TOLD.unpack_from(self._memory, _TOLD_AT)
        return restarts, hangs

    def write(self, beats: int, accepts: bool, stays: int = 0) -> None:
        """Sets `beats`, `accepts` and `stays`. Only the worker does this."""
        _OWN.pack_into(self._memory, 0, beats, accepts, stays)

    def tell(self, restarts: int, hangs: int) -> None:
        """Sets `told`. Only the parent does this."""
        _TOLD.pack_into(self._memory, _TOLD_AT, restarts, hangs)

    def parents_log(self) -> list[RecentLine]:
        """Returns the last lines of the parent's log, if that is no file."""
        return lines_of_note(self.log_told.read())

    def stack(self) -> str:
        """Returns where the worker's loop stood when it was aborted or crashed; empty if nothing was written."""
        with suppress(OSError):
            return os.pread(self.fd, _MOST_STACK, _STACK_AT).decode("utf-8", "replace").strip()
        return ""

    def close(self) -> None:
        """Releases the memory on this side."""
        self._memory.close()
        os.close(self.fd)


class Heartbeat:
    """The worker's side: moves the sign of life while the hub runs."""

    def __init__(self, life: LifeSign, on_told: Callable[[int, int], None]) -> None:
        """`on_told` gets what the parent told, with each beat."""
        self._life = life
        self._on_told = on_told
        self._beats = 0
        self._accepts = False
        self._stays = 0
        self._timer = get_hub().loop.timer(BEAT_S, BEAT_S, ref=False)

    def start(self) -> None:
        """Begins, with the first beat at once. From here on, a crash or SIGABRT leaves the stack in the memory."""
        os.set_inheritable(self._life.fd, False)  # programs that the worker starts have no business with it
        # Other threads run on while their frames are read, and then faulthandler crashes now and then, saying nothing.
        faulthandler.enable(file=self._life.fd, all_threads=False)
        self._beat()
        self._timer.start(self._beat)

    def accept(self, accepts: bool) -> None:
        """Says whether this worker takes connections from now on."""
        self._accepts = accepts
        self._write()

    def stay(self) -> None:
        """Says that this worker goes on after SIGTERM."""
        self._stays += 1
        self._write()

    def stop(self) -> None:
        """Ends the beats, just before the process ends."""
        self._timer.stop()
        self._timer.close()

    def _beat(self) -> None:
        self._beats += 1
        self._write()
        self._on_told(*self._life.told)

    def _write(self) -> None:
        self._life.write(self._beats, self._accepts, self._stays)


def begin_heartbeat(life: LifeSign, counters: Counters, desk: RelayDesk) -> Heartbeat:
    """Begins a worker's sign of life. What the parent tells goes into `counters` and to the relays' `desk`, and what
    these were ordered to the parent.
    """
    noted, told = RelayOrders(), b""

    def on_told(restarts: int, hangs: int) -> None:
        nonlocal noted, told
        counters.worker_restarts, counters.worker_hangs = restarts, hangs
        if (note := life.orders_told.read()) != told:
            told = note
            desk.take(RelayOrders.from_note(note))
        if desk.orders is not noted:
            noted = desk.orders
            if not life.orders.write(noted.to_note()):
                log.error("too many relays are switched off: a worker that is started again has some of them on")

    heartbeat = Heartbeat(life, on_told)
    heartbeat.start()
    return heartbeat
