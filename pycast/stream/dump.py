"""Writes what a source sends to a file, as it comes in (`dump_file` of a mount).

The stream never waits for the file: a thread opens and writes it (`disk/writers.py`). If the disk stalls for so long
that the queue is full, what comes then is missing in the file; this is counted, and logged when it begins and when it
is over. An error, such as a full disk, ends the dump and is logged once.

Two sources never write to one file, whatever their names are made of: a file that another dump has open, of this node
or another, is waited for and then refused.
"""

import fcntl
import logging
import os
import time
from contextlib import suppress

from gevent.monkey import get_original

from pycast.disk.appending import WriteFailed, open_to_append, write_all
from pycast.disk.losses import Losses
from pycast.disk.writers import Outlet, Writers
from pycast.errors import ExternalError

log = logging.getLogger(__name__)

# At 320 kbit/s it lasts for 26 s. A thousand mounts whose disk stalls hold a gigabyte then.
MAX_HELD = 1 << 20
MAX_CHUNKS = 8192

# What was on the air is no secret, and a web server may have to give it out: the umask decides.
MODE = 0o666

# A source that comes back opens the file anew while the end of the old dump is still being written.
LOCK_S = 5.0
LOCK_AGAIN_S = 0.02

DUMP_WRITERS = Writers(16)
"""The threads of all dumps. Their losses are in bytes."""


class Dump:
    """An open dump file. `pattern` may have strftime's directives (local time) and `{mount}`. No method switches."""

    def __init__(self, pattern: str, mount: str, now: float) -> None:
        self._mount = mount
        self._fd: int | None = None
        self._has_ended = False
        self._losses = Losses(self._on_loss, self._on_end_of_loss)
        self._outlet = Outlet(DUMP_WRITERS, self._write_there, MAX_HELD, MAX_CHUNKS)
        self._outlet.call(lambda: self._open_there(pattern, now))

    def write(self, data: bytes) -> None:
        if self._has_ended:
            return
        if not self._outlet.put(data):
            DUMP_WRITERS.lost += len(data)
            self._losses.add(len(data), "its disk or reader is too slow")
        elif self._losses.total:
            self._losses.on_written()

    def close(self) -> None:
        """Has the file closed when all is written."""
        if not self._has_ended:
            self._has_ended = True
            self._outlet.call(self._close_there)

    def _on_loss(self, why: str) -> None:
        log.error("mount %s: audio is missing in the dump file: %s", self._mount, why)

    def _on_end_of_loss(self, size: int) -> None:
        log.warning("mount %s: %d bytes are missing in the dump file", self._mount, size)

    def _on_failure(self, text: str, error: Exception) -> None:
        log.error(text, self._mount, error)
        self.close()

    # -- in a thread

    def _open_there(self, pattern: str, now: float) -> None:
        name = time.strftime(pattern, time.localtime(now)).replace("{mount}", name_of(self._mount))
        try:
            # Appended as Icecast does: a source that comes back continues in the same file.
            fd = open_to_append(name, MODE)
        except ExternalError as error:
            failed = ExternalError(f"{name}: {error}")
            DUMP_WRITERS.in_loop(self._on_failure, "mount %s: cannot open the dump file %s", failed)
            return
        try:
            _lock(fd)
        except ExternalError as error:
            os.close(fd)
            failed = ExternalError(f"{name}: {error}")
            DUMP_WRITERS.in_loop(self._on_failure, "mount %s: cannot use the dump file %s", failed)
            return
        self._fd = fd

    def _write_there(self, data: bytes) -> None:
        if self._fd is None:
            return
        try:
            write_all(self._fd, data, lambda: self._has_ended)
        except WriteFailed as error:
            self._close_there()
            DUMP_WRITERS.in_loop(self._on_failure, "mount %s: the dump file ends here: %s", error)

    def _close_there(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def name_of(mount: str) -> str:
    """Returns the name of a mount as that of a file. No two mounts have the same one."""
    return mount.removeprefix("/").replace("%", "%25").replace("/", "%2F")


def _lock(fd: int) -> None:
    """Locks the file against other dumps. Raises ExternalError if another one has it. Blocks."""
    sleep, deadline = get_original("time", "sleep"), time.monotonic() + LOCK_S
    with suppress(OSError):  # a file system without locks
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ExternalError("another dump is written to it") from None
                sleep(LOCK_AGAIN_S)
