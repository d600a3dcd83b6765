"""What the servers of `type = "url"` are asked and told: about listeners, sources and mounts.

Joins the forms, the servers and the settings. Nothing is loaded for it before the first call. Invariant: while a server
fails, sources are refused, and listeners get what `on_failure` says.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pycast.auth.credentials import Credentials
from pycast.config.live import Live
from pycast.config.mount_authentication import MountAuthentication
from pycast.net.group import Group
from pycast.stats.counters import Counters
from pycast.stream.events import SourceEnded, SourceStarted

if TYPE_CHECKING:
    from pycast.auth.auth_server import AuthServers
    from pycast.auth.url_forms import About, Judgement

log = logging.getLogger(__name__)


class AuthCalls:
    """The calls of a node. `port` returns the port that serves listeners, `clock` is monotonic."""

    def __init__(
        self, settings: Live, port: Callable[[], int], counters: Counters, group: Group, clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._port = port
        self._counters = counters
        self._group = group
        self._clock = clock
        self._made: AuthServers | None = None

    @property
    def _servers(self) -> "AuthServers":
        if self._made is None:
            from pycast.auth.auth_server import AuthServers  # it loads urllib3

            agent = self._settings
            self._made = AuthServers(self._counters, self._group, self._clock, lambda: agent.now.server.server_id)
        return self._made

    def about(self, id: int, target: str, given: Credentials | None, ip: str, agent: str) -> "About":
        """Returns a listener as the forms have it."""
        from pycast.auth.url_forms import About

        user, password = given or ("", "")
        return About(self._settings.now.server.hostname, self._port(), id, target, user, password, ip, agent)

    def listener_add(
        self,
        about: "About",
        referer: str,
        listeners: int,
        sent: tuple[tuple[str, str], ...],
        rules: MountAuthentication,
    ) -> "Judgement":
        """Returns what the server says about a listener, where there are `listeners` already. Raises Refused if too
        many wait. May switch.
        """
        from pycast.auth.auth_server import AuthServerFailed
        from pycast.auth.url_forms import Judgement, judge, listener_add

        url = rules.listener_add
        body = listener_add(about, referer, listeners, sent, rules.header_prefix)
        try:
            answer = self._servers.at(url).ask(url, body, _login(rules, about), rules.timeout)
        except AuthServerFailed as error:
            return Judgement(rules.on_failure == "allow", message=f"not asked: {error}")
        return judge(answer, rules)

    def listener_remove(self, about: "About", duration_s: float, sent: int, rules: MountAuthentication) -> None:
        """Tells the server, if it wants to know, that a listener has left, who has got `sent` bytes. Never switches."""
        if url := rules.url_of("listener_remove"):
            from pycast.auth.url_forms import listener_remove

            body = listener_remove(about, duration_s, sent)
            self._servers.at(url).tell(url, body, _login(rules, about), rules.timeout)

    def about_source(
        self, mount: str, given: Credentials, ip: str, rules: MountAuthentication, *, is_admin: bool
    ) -> "Judgement":
        """Returns what the server says about one that logs in as the mount's source. Raises Refused if too many wait.
        May switch.
        """
        from pycast.auth.auth_server import AuthServerFailed
        from pycast.auth.url_forms import Judgement, judge, stream_auth

        url = rules.stream_auth
        server = self._settings.now.server.hostname
        body = stream_auth(mount, ip, server, self._port(), given, is_admin=is_admin)
        login = (rules.username, rules.password) if rules.username else None
        try:
            verdict = judge(self._servers.at(url).ask(url, body, login, rules.timeout), rules)
        except AuthServerFailed:
            return Judgement(False)
        if verdict.message:
            log.info(
                "mount %s: about the source from %s, the server that is asked says: %s", mount, ip, verdict.message
            )
        return verdict

    def on_source_started(self, event: SourceStarted) -> None:
        """Tells the mount's server. Never switches."""
        self._tell_of("mount_add", event)

    def on_source_ended(self, event: SourceEnded) -> None:
        """As `on_source_started`."""
        self._tell_of("mount_remove", event)

    def close(self) -> None:
        """Closes the connections that are kept."""
        if self._made is not None:
            self._made.close()

    def _tell_of(self, action: str, event: SourceStarted | SourceEnded) -> None:
        rules = event.settings.authentication
        if url := rules.url_of(action):
            from pycast.auth.url_forms import mount_changed

            server = self._settings.now.server.hostname
            body = mount_changed(action, event.mount, server, self._port(), event.ip, event.agent)
            login = (rules.username, rules.password) if rules.username else None
            self._servers.at(url).tell(url, body, login, rules.timeout)


def _login(rules: MountAuthentication, about: "About") -> Credentials | None:
    """Returns the login for the server that is asked: the configured one, that in the URL, else the listener's own."""
    if rules.username:
        return rules.username, rules.password
    is_in_url = "@" in rules.listener_add.partition("://")[2].partition("/")[0]
    return (about.user, about.password) if about.user and not is_in_url else None
