"""The last lines of a log file, for an admin's browser. Reads the file in a thread, never more than its end."""

import os
import stat

from pycast.disk.calls import off_hub
from pycast.errors import ExternalError

MOST_BYTES = 64 << 10
MOST_LINES = 200

_NOT_KEPT = "This log goes to standard error. The service manager or the container keeps it."


def last_lines(path: str) -> list[str]:
    """Returns the last lines of the log that the configuration names, the oldest first, or a line that says why there
    are none. May switch.
    """
    if path in ("", "-"):
        return [_NOT_KEPT] if path else ["This log is turned off."]
    try:
        data = off_hub(_end_of, path)
    except (OSError, ExternalError) as error:
        return [f"This log cannot be read: {error}"]
    if data is None:
        return [_NOT_KEPT]
    return data.decode("utf-8", "replace").splitlines()[-MOST_LINES:]


def _end_of(path: str) -> bytes | None:
    """Returns whole lines from the end of a file; None if it is no file, such as /dev/stderr."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            return None
        begin = max(0, found.st_size - MOST_BYTES)
        data = os.pread(file, MOST_BYTES, begin)
    finally:
        os.close(file)
    return data.partition(b"\n")[2] if begin else data
