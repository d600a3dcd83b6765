"""Who the process runs as: started by root, it goes on as the user of [security] once its ports are open.

From the start on it acts as that user (its effective user), so that log files and recordings are that user's. Only
what needs root, the ports, the certificate and the pidfile, is opened as root. Then root is given up for good.
Children, such as the programs of sources and the workers of a parent, run as that user from their beginning.

Invariant: after `give_up` nothing in the process can become root again.
"""

import grp
import logging
import os
import pwd
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import gevent

from pycast.config.schema import Config
from pycast.errors import ConfigError

log = logging.getLogger(__name__)


class ProcessOwner(NamedTuple):
    """A user to go on as."""

    user: str
    uid: int
    gid: int

    def act(self) -> None:
        """Acts as this user from now on; root can still be had back. Raises ConfigError if the user cannot read the
        modules that the server loads while it runs.
        """
        os.setgroups(os.getgrouplist(self.user, self.gid))
        os.setegid(self.gid)
        os.seteuid(self.uid)
        for name in filter(None, (__file__, os.__file__, gevent.__file__)):
            if not os.access(name, os.R_OK, effective_ids=True):
                what = f"{Path(name).parent}, as the server loads modules while it runs"
                raise ConfigError([f'security.user = "{self.user}": expected a user that can read {what}'])

    def unreadable(self, names: Iterable[str]) -> Iterator[str]:
        """Yields a line for each of these files that the user cannot read: a reload would not see that it changed."""
        for name in names:
            if name and not os.access(name, os.R_OK, effective_ids=True):
                yield f"user {self.user} cannot read {name}: it is not read again while the server runs"

    @contextmanager
    def as_root(self) -> Iterator[None]:
        """Acts as root in its block, which must not switch."""
        os.seteuid(0)
        os.setegid(0)
        try:
            yield
        finally:
            os.setegid(self.gid)
            os.seteuid(self.uid)

    def give_up(self, sockets: Iterable[int] = ()) -> None:
        """Gives up root for good. Listening `sockets` become this user's: else the kernel does not let its other
        processes share their ports.
        """
        os.seteuid(0)
        for number in sockets:
            os.fchown(number, self.uid, self.gid)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        log.info("the ports are open: going on as user %s", self.user)


def owner_of(config: Config) -> ProcessOwner | None:
    """Returns who the process is to go on as; None if it stays who it is, as it does if it is not root. Raises
    ConfigError for one that is not there. Reads the system's files of users, so it is for the start.
    """
    security = config.security
    if not security.user or os.geteuid():
        return None
    try:
        found = pwd.getpwnam(security.user)
        gid = grp.getgrnam(security.group).gr_gid if security.group else found.pw_gid
    except KeyError:
        raise ConfigError(list(missing_owner(config))) from None
    return ProcessOwner(security.user, found.pw_uid, gid) if found.pw_uid else None


def missing_owner(config: Config) -> Iterator[str]:
    """Yields a line for the user and the group of [security] that this machine does not have, if this process can
    become them.
    """
    security = config.security
    if os.geteuid():
        return
    for key, name, look_up in (("user", security.user, pwd.getpwnam), ("group", security.group, grp.getgrnam)):
        try:
            if name:
                look_up(name)
        except KeyError:
            yield f'security.{key} = "{name}": expected a {key} of this machine'


def owner_advice(config: Config) -> Iterator[str]:
    """Yields a line if this user cannot become the one of [security]."""
    user = config.security.user
    if user and os.geteuid() and user != _own_name():
        yield f'security.user = "{user}": only root can change the user; the server goes on as {_own_name()}'


def _own_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
