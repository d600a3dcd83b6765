"""The file with the number of the server's process, for scripts and supervisors (`paths.pidfile`).

Written at the start, when nobody is served, and removed at the end, if it is still this process's. Neither keeps the
server from running: what fails is logged.
"""

import logging
import os
from pathlib import Path

from pycast.disk.calls import DiskStalled, off_hub

log = logging.getLogger(__name__)


def write_pidfile(name: str) -> None:
    """Writes the number of this process. Blocks: for the start.

    Root may write it into a folder that others can write to, so a link there, which could lead to any file, is not
    followed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(name, flags, 0o644), "w") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        log.error("the pidfile %s cannot be written: %s", name, error.strerror)


def remove_pidfile(name: str) -> None:
    """Removes the file, if it has the number of this process. May switch."""
    try:
        off_hub(_remove, Path(name), f"{os.getpid()}\n")
    except (OSError, DiskStalled) as error:
        log.info("the pidfile %s stays: %s", name, error)


def _remove(path: Path, own: str) -> None:
    if path.read_text() == own:
        path.unlink()
