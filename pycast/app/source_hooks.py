"""`on_connect` and `on_disconnect`: programs that run when a mount's source starts or ends.

Their only argument is the mount's name. They get the server's environment without the settings of pycast, which may be
passwords, and no standard input or output: nobody would read it. What they write to standard error is seen with the
server's. The server never ends them: at a stop it waits for them a moment, then leaves them running.
"""

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pycast.net.group import Group
from pycast.stream.events import SourceEnded, SourceStarted

if TYPE_CHECKING:
    from gevent import subprocess

log = logging.getLogger(__name__)


def environment_of_programs() -> dict[str, str]:
    """Returns this process's environment without settings of pycast."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith("PYCAST_")}


class SourceHooks:
    """The starter of these programs, which logs how each one ended."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def on_source_started(self, event: SourceStarted) -> None:
        self._start(event.settings.on_connect, event.mount)

    def on_source_ended(self, event: SourceEnded) -> None:
        self._start(event.settings.on_disconnect, event.mount)

    def _start(self, program: str, mount: str) -> None:
        if program:
            self._group.spawn(f"{program} {mount}", self._run, program, mount)

    def _run(self, program: str, mount: str) -> None:
        try:
            process = _start(program, mount)
        except OSError as error:
            log.error("mount %s: cannot start %s: %s", mount, program, error)
            return
        status = process.wait()
        if status:
            log.warning("mount %s: %s ended with status %d", mount, program, status)


def _start(program: str, mount: str) -> "subprocess.Popen[bytes]":
    """Starts a program. A name without a folder is one in the folder in which the server was started, as in Icecast,
    else one of the search path. Raises OSError.
    """
    from gevent import subprocess  # most nodes have no programs

    if "/" not in program:
        with suppress(FileNotFoundError):
            return _start(f"./{program}", mount)
    # No shell: the mount's name came from outside. Descriptors are not inherited (PEP 446). `Popen` and not `call`,
    # which would kill the program together with the greenlet that waits for it.
    return subprocess.Popen(
        [program, mount], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment_of_programs()
    )
