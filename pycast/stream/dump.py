"""Writes what a source sends to a file, as it comes in (`dump_file` of a mount).

An error, such as a full disk, ends the dump and is logged once. The stream does not notice it.
"""

import logging
import time
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)


class Dump:
    """An open dump file. `pattern` may have strftime's directives (local time) and `{mount}`."""

    def __init__(self, pattern: str, mount: str, now: float) -> None:
        name = time.strftime(pattern, time.localtime(now)).replace("{mount}", name_of(mount))
        self._file: BinaryIO | None = None
        try:
            # Unbuffered, and appended as Icecast does: a source that comes back continues in the same file.
            self._file = Path(name).open("ab", buffering=0)  # noqa: SIM115  # open until the source ends
        except OSError as error:
            log.error("mount %s: cannot open the dump file: %s", mount, error)
        self._mount = mount

    def write(self, data: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.write(data)
        except OSError as error:
            log.error("mount %s: the dump file ends here: %s", self._mount, error)
            self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def name_of(mount: str) -> str:
    """Returns the name of a mount as that of a file. No two mounts have the same one."""
    return mount.removeprefix("/").replace("%", "%25").replace("/", "%2F")
