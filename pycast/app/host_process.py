"""What the server's process is to the machine: the user that it goes on as, and its pidfile. The parent of workers has
both for all of them.

Most servers have neither, and load nothing for it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pycast.config.schema import Config

if TYPE_CHECKING:
    from pycast.app.process_owner import ProcessOwner

log = logging.getLogger(__name__)


class HostProcess:
    """The process, from its beginning on. Raises ConfigError if it is to become a user that cannot run it."""

    def __init__(self, config: Config, config_path: Path | None) -> None:
        self._pidfile = config.paths.pidfile
        self._owner: ProcessOwner | None = None
        self._warnings: list[str] = []
        if config.security.user:
            from pycast.app import process_owner

            self._warnings += process_owner.owner_advice(config)
            self._owner = process_owner.owner_of(config)
        if self._owner:
            self._owner.act()
            files = (str(config_path or ""), config.tls.certificate, config.tls.private_key)
            self._warnings += self._owner.unreadable(files)

    @contextmanager
    def opening(self) -> Iterator[list[int]]:
        """Opens, in its block, what needs root. Then writes the pidfile, and gives up root. The descriptors that the
        block adds to the list belong to the user then. May switch no further than the block does.
        """
        sockets: list[int] = []
        if self._owner is None:
            yield sockets
            self._write_pidfile()
        else:
            with self._owner.as_root():
                yield sockets
                self._write_pidfile()
            self._owner.give_up(sockets)
        for line in self._warnings:
            log.warning("%s", line)

    def end(self) -> None:
        """Removes the pidfile. May switch."""
        if self._pidfile:
            from pycast.app.pidfile import remove_pidfile

            remove_pidfile(self._pidfile)

    def _write_pidfile(self) -> None:
        if self._pidfile:
            from pycast.app.pidfile import write_pidfile

            write_pidfile(self._pidfile)
