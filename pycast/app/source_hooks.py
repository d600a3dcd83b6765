"""`on_connect` and `on_disconnect`: programs that a mount starts, with its name as their only argument.

They outlive the server: a stop gives them a moment, and ends none.
"""

import logging

from gevent import subprocess

from pycast.net.group import Group
from pycast.stream.mount import Mount

log = logging.getLogger(__name__)


class SourceHooks:
    """Starts the programs and says in the log how they ended."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def source_changed(self, what: str, mount: Mount) -> None:
        """A mount's source started (`what` is "start") or ended ("end")."""
        programs = {"start": mount.settings.on_connect, "end": mount.settings.on_disconnect}
        program = programs.get(what)
        if program:
            self._group.spawn(f"{program} {mount.name}", self._run, program, mount.name)

    def _run(self, program: str, mount: str) -> None:
        try:
            # No shell: the mount's name came from outside. Descriptors are not inherited (PEP 446). Not `call`: that
            # would kill the program together with the greenlet that waits for it.
            process = subprocess.Popen([program, mount], stdin=subprocess.DEVNULL)
        except OSError as error:
            log.error("mount %s: cannot start %s: %s", mount, program, error)
            return
        status = process.wait()
        if status:
            log.warning("mount %s: %s ended with status %d", mount, program, status)
