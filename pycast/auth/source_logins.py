"""Whether a source's user and password are right: by the configuration, or by a server that is asked (`stream_auth`).

The same for a source that connects and for its requests about its mount below /admin/. Invariant: a mount whose sources
are asked about takes no password of the configuration, and nobody while the server that is asked fails. That server is
asked about one without a login as well, as in Icecast: it may know it by its address, or by a key in the mount's name.
"""

import logging
from typing import TYPE_CHECKING, NamedTuple

from pycast.auth.credentials import Credentials, is_source, shoutcast_credentials, shoutcast_login
from pycast.config.live import Live

if TYPE_CHECKING:  # loaded with the first question
    from pycast.auth.auth_calls import AuthCalls

log = logging.getLogger(__name__)

NO_LOGIN = ("", "")


class SourceLogin(NamedTuple):
    """A login of a source, as it was found."""

    is_right: bool
    takes_over: bool = False
    """Whether the source replaces the one that the mount has, whatever `on_conflict` says: the server that was asked
    wants it.
    """


class SourceLogins:
    """The logins of sources."""

    def __init__(self, settings: Live, calls: "AuthCalls") -> None:
        self._settings = settings
        self._calls = calls

    def is_right(self, mount: str, given: Credentials | None, ip: str, *, is_admin: bool = False) -> bool:
        """Whether these are the credentials of the mount's source. `is_admin`: for a request below /admin/. Raises
        Refused if too many wait for the server that is asked. May switch.
        """
        return self.look(mount, given, ip, is_admin=is_admin).is_right

    def look(self, mount: str, given: Credentials | None, ip: str, *, is_admin: bool = False) -> SourceLogin:
        """Returns what a login is. As `is_right`."""
        rules = self._settings.now.for_mount(mount).authentication
        if not rules.url_of("stream_auth"):
            return SourceLogin(is_source(self._settings.now, mount, given))
        said = self._calls.about_source(mount, given or NO_LOGIN, ip, rules, is_admin=is_admin)
        return SourceLogin(said.is_let_in, said.takes_over)

    def shoutcast(self, mount: str, line: str, ip: str, *, is_admin: bool = False) -> Credentials | None:
        """Returns the credentials in a SHOUTcast source's password line if they are right, else None. As `is_right`."""
        rules = self._settings.now.for_mount(mount).authentication
        if not rules.url_of("stream_auth"):
            return shoutcast_credentials(self._settings.now, mount, line)
        given = shoutcast_login(self._settings.now.for_mount(mount).username, line)
        return given if self._calls.about_source(mount, given, ip, rules, is_admin=is_admin).is_let_in else None
