"""Listeners of mounts with authentication: who is let in, for how long, and who is told when they leave.

A guest is let in before its mount is looked for, and counts as one from then on until it has left, wherever it has been
moved meanwhile. A mount without authentication has no guests, and costs nothing here.

Invariant: whoever was let in is given up exactly once: by `on_listener_left`, or by `give_up` if it got no stream.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from pycast.auth.auth_calls import AuthCalls
from pycast.auth.credentials import Credentials, is_relay
from pycast.auth.logins import Logins
from pycast.config.live import Live
from pycast.config.mount_authentication import MountAuthentication
from pycast.errors import Refused
from pycast.http.headers import Headers
from pycast.http.query import Pairs
from pycast.stats.counters import Counters
from pycast.stream.events import ListenerLeft

if TYPE_CHECKING:  # loaded with the first listener of such a mount
    from pycast.auth.htpasswd import PasswordChecks, UserFile
    from pycast.auth.url_forms import About, Judgement

log = logging.getLogger(__name__)


class Asking(NamedTuple):
    """One who asks for a mount, by its name there; `target` is what was sent. `is_listening`: for its audio, not only
    for the head of the answer.
    """

    id: int
    mount: str
    target: str
    ip: str
    given: Credentials | None
    headers: Headers
    query: Pairs
    is_listening: bool = True


class Guest(NamedTuple):
    """One who was let in. `about` is None unless a server is told when it leaves; `limit_s` is 0 without a limit."""

    id: int
    mount: str
    user: str
    rules: MountAuthentication
    about: "About | None"
    since: float
    limit_s: float
    is_counted: bool
    """Whether it counts as one of its user's."""
    heard: str = ""
    """The mount that it hears in place of `mount`, by the word of the server that was asked."""
    intro: bytes = b""
    """What it hears first, by that server's word. It is only for who lets it in: it is not kept."""


class Guests:
    """The guests of a node. `clock` is monotonic."""

    def __init__(
        self,
        settings: Live,
        logins: Logins,
        calls: AuthCalls,
        counters: Counters,
        clock: Callable[[], float],
        listens_elsewhere: Callable[[str, str], bool] | None = None,
        listeners_of: Callable[[str], int] = lambda mount: 0,
    ) -> None:
        """`listens_elsewhere` asks other nodes whether a user listens to a mount there; it may switch. `listeners_of`
        counts a mount's listeners on this node.
        """
        self._settings = settings
        self._logins = logins
        self._calls = calls
        self._counters = counters
        self._clock = clock
        self._listens_elsewhere = listens_elsewhere
        self._listeners_of = listeners_of
        self._guests: dict[int, Guest] = {}
        self._users: Counter[tuple[str, str]] = Counter()
        """How often each user listens to a mount, those included who are being looked for a mount now."""
        self._files: dict[str, UserFile] = {}
        self._checks: PasswordChecks | None = None

    def __len__(self) -> int:
        return len(self._guests)

    def is_server(self, given: Credentials | None, ip: str) -> bool:
        """Whether these are the credentials of another server, which is let in by them, as in Icecast: it will ask its
        own listeners. Raises TooManyLogins. May switch.
        """
        return is_relay(self._settings.now, given) and self._logins.check(ip, given, True)

    def let_in(self, asking: Asking) -> Guest:
        """Returns the guest. Raises Refused if the mount does not let it in. May switch."""
        rules = self._settings.now.for_mount(asking.mount).authentication
        user, about, limit_s = asking.given[0] if asking.given else "", None, 0.0
        heard, intro = "", b""
        try:
            if rules.type == "htpasswd":
                self._check_password(asking, rules)
            elif rules.type == "signed":
                self._check_signature(asking, rules)
                user = ""
            else:
                about = self._calls.about(
                    asking.id, asking.target, asking.given, asking.ip, asking.headers.get("user-agent")
                )
                if rules.listener_add:
                    verdict = self._ask(asking, about, rules)
                    user, limit_s = verdict.user or user, verdict.limit_s
                    heard, intro = verdict.mount, verdict.intro
            is_counted = bool(user) and asking.is_listening
            if is_counted:
                self._count_in(asking.mount, user, rules)
        except Refused:
            self._counters.refused_listeners += 1
            raise
        now = self._clock()
        guest = Guest(asking.id, asking.mount, user, rules, about, now, limit_s, is_counted, heard)
        self._guests[guest.id] = guest
        return guest._replace(intro=intro)

    def has_user(self, mount: str, user: str) -> bool:
        """Whether a user listens to a mount on this node, or is just let in."""
        return (mount, user) in self._users

    def give_up(self, id: int, sent: int = 0) -> None:
        """Forgets a guest who has left, with so many bytes, or got no stream. Does nothing for others. Never
        switches.
        """
        guest = self._guests.pop(id, None)
        if guest is None:
            return
        if guest.is_counted:
            self._count_out(guest.mount, guest.user)
        if guest.about is not None:
            self._calls.listener_remove(guest.about, self._clock() - guest.since, sent, guest.rules)

    def on_listener_left(self, event: ListenerLeft) -> None:
        """Forgets a guest who has left. Never switches."""
        if self._guests:
            self.give_up(event.listener.id, event.listener.sent)

    def close(self) -> None:
        """Closes connections and ends threads. Never switches."""
        self._calls.close()
        if self._checks is not None:
            self._checks.close()

    def file(self, name: str) -> "UserFile":
        """Returns the users of a password file."""
        from pycast.auth.htpasswd import PasswordChecks, UserFile

        if name not in self._files:
            self._checks = self._checks or PasswordChecks(self._counters)
            self._files[name] = UserFile(name, self._checks, self._clock)
        return self._files[name]

    def _check_password(self, asking: Asking, rules: MountAuthentication) -> None:
        given = asking.given
        is_right = given is not None and self.file(rules.filename).is_right(*given)
        if not self._logins.check(asking.ip, given, is_right):
            what = "wrong listener credentials" if given else "no credentials were sent"
            raise _unknown(f"{what} for {asking.mount}")

    def _check_signature(self, asking: Asking, rules: MountAuthentication) -> None:
        from pycast.auth.signed_address import why_not

        if why := why_not(rules.keys, asking.mount, asking.query, asking.ip, time.time()):
            raise Refused(why, cause=f"{asking.mount}: {why}")

    def _ask(self, asking: Asking, about: "About", rules: MountAuthentication) -> "Judgement":
        """Returns what the server says that lets the guest in. Raises Refused. May switch."""
        sent = tuple((name, value) for name in rules.headers if (value := asking.headers.get(name)))
        referer, listeners = asking.headers.get("referer"), self._listeners_of(asking.mount)
        verdict = self._calls.listener_add(about, referer, listeners, sent, rules)
        if verdict.is_let_in:
            return verdict
        said = f": {verdict.message}" if verdict.message else ""
        cause = f"{asking.mount}: the server that is asked does not let this listener in{said}"
        if verdict.location:
            raise Refused("Moved", status=verdict.status, cause=cause, headers=(("Location", verdict.location),))
        if verdict.status == 401:
            raise _unknown(cause)
        raise Refused(verdict.message, status=verdict.status, cause=cause)

    def _count_in(self, mount: str, user: str, rules: MountAuthentication) -> None:
        """Counts a listener of a user. Raises Refused if it may be only one, and there is one. 401, as in Icecast. May
        switch.
        """
        many, here = rules.allow_duplicate_users, self.has_user(mount, user)
        if not here or many:
            # Counted before others are asked: of two nodes that let the user in at the same time, neither misses it.
            self._users[mount, user] += 1
            if many or self._listens_elsewhere is None or not self._listens_elsewhere(mount, user):
                return
            self._count_out(mount, user)
        raise _unknown(f"{user} listens to {mount} already, and allow_duplicate_users is off")

    def _count_out(self, mount: str, user: str) -> None:
        self._users[mount, user] -= 1
        if not self._users[mount, user]:
            del self._users[mount, user]


def _unknown(cause: str) -> Refused:
    return Refused("You need to authenticate", status=401, cause=cause)
