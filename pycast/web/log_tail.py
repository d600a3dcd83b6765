"""The last lines of a log, for an admin's browser. Reads a file in a thread, never more than its end. Of a log that is
no file, such as standard error, the server keeps the last lines in memory.
"""

import os
import stat
from collections.abc import Sequence

from pycast.disk.calls import off_hub
from pycast.errors import ExternalError

MOST_BYTES = 64 << 10
MOST_LINES = 200


def last_lines(path: str, recent: Sequence[bytes]) -> list[str]:
    """Returns the last lines of the log that the configuration names, the oldest first, or a line that says why there
    are none. `recent` are those in memory. May switch.
    """
    if not path:
        return ["This log is turned off."]
    try:
        data = None if path == "-" else off_hub(_end_of, path)
    except (OSError, ExternalError) as error:
        if not recent:
            return [f"This log cannot be read: {error}"]
        data = None
    if data is None:
        data = b"".join(line if line.endswith(b"\n") else line + b"\n" for line in recent)
    lines = data.decode("utf-8", "replace").splitlines()[-MOST_LINES:]
    return lines or ["Nothing was written to this log yet."]


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
