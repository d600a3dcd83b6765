"""A row of the route table, the call that its handler gets, and the access check.

Invariant: a handler of a row runs only after `Route.answer` has checked its `access`. A handler does not check it.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

from pycast.auth.credentials import is_admin, is_relay
from pycast.auth.known_passwords import is_well_known
from pycast.auth.logins import TooManyLogins
from pycast.config.schema import Config
from pycast.config.serving import first_shoutcast_mount
from pycast.control.control import Control
from pycast.errors import Refused
from pycast.http.charset import decode
from pycast.http.headers import basic_credentials
from pycast.http.request import Request
from pycast.http.response import Response
from pycast.stats.counters import Counters
from pycast.web.site import Site

READ = frozenset({"GET", "HEAD"})
FORM = READ | {"POST"}
"""Methods of a route whose parameters may be in the body as well as in the query."""

_YES = frozenset({"1", "true", "yes", "on"})

LISTENERS = frozenset({"listeners"})
"""The kind of a route: the words of `listen.serves` for which a port answers it. One of them is enough."""
ADMIN = frozenset({"admin"})
METRICS = frozenset({"metrics"})
HEALTH = frozenset({"health"})
TITLES = frozenset({"sources", "admin"})
RELAYS = frozenset({"listeners", "admin"})


class Access(Enum):
    """The credentials that a route requires."""

    ALL = "everybody"
    ADMIN = "the admin"
    RELAY = "another server, and the admin"
    SOURCE = "the source of the mount in `mount=`, and the admin"
    SHOUTCAST_SOURCE = "a source that gives its password in `pass=`; to see statistics, the admin too"


class Door(NamedTuple):
    """How a request came in: from which address, and through a port that answers what."""

    ip: str
    serves: frozenset[str]
    is_local: bool
    """Whether the client is certainly on this machine."""


class Call(NamedTuple):
    """A request as its handler gets it. `parameters` are those of the query and of the form."""

    site: Site
    request: Request
    parameters: Mapping[str, bytes]
    door: Door
    may_wait: bool = True
    """Whether the handler may switch. That of a shared page raises NotKept if it may not, but has to."""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.site.settings.now

    @property
    def control(self) -> Control:
        """The control of the whole cluster, or with `scope=node` of this node alone."""
        return self.site.local if self.scope else self.site.cluster_wide

    @property
    def scope(self) -> str:
        """ "node" if the request is about this node alone, else ""."""
        return "node" if self.text("scope") == "node" else ""

    @property
    def is_shoutcast_view(self) -> bool:
        """Whether a request for `/admin.cgi` is one for statistics."""
        return self.text("mode") == "viewxml"

    def text(self, name: str) -> str:
        """Returns a parameter as text, empty if it was not given."""
        return decode(self.parameters.get(name, b"")).replace("\0", "")

    def is_yes(self, name: str) -> bool:
        """Whether a parameter says yes."""
        return self.text(name).lower() in _YES


Handler = Callable[[Call], Response]


class Route(NamedTuple):
    """A row of the table: a path, its handler, its kind, and who may use it. In a group, `find` chooses the row, and
    `path` is only documentation.
    """

    path: str
    handler: Handler
    kind: frozenset[str]
    access: Access = Access.ALL
    methods: frozenset[str] = READ
    for_others: Handler | None = None
    """The handler for requests without access; None refuses them."""
    before_access: Callable[[Call], None] | None = None
    """Raises Refused for what is refused whatever the credentials are."""
    is_answered_when_full: bool = False
    """Whether a full server answers it from its reserve: balancers and operators need it then as well."""
    is_shared: bool = False
    """Whether it is a page that all visitors share: without waiting, while it is kept."""

    @property
    def is_public(self) -> bool:
        """Whether everybody gets an answer."""
        return self.access is Access.ALL or self.for_others is not None

    def answer(self, call: Call) -> Response:
        """Checks the access and runs the handler. Raises Refused. May switch."""
        # Icecast refuses some malformed requests before it looks at credentials.
        if self.before_access is not None:
            self.before_access(call)
        # Before a password is looked at: a foreign page must not learn from the answer whether it was right.
        is_foreign = call.request.is_cross_site and self.access is not Access.ALL
        if is_foreign and self.for_others is None:
            raise cross_site_refusal(call.site.counters, call.request)
        try:
            if not is_foreign and has_access(self.access, call):
                return self.handler(call)
        except TooManyLogins:
            if self.for_others is None:
                raise
        # Without access: the public variant if there is one, else 401, with the path and the mount in the log.
        if self.for_others is not None:
            return self.for_others(call)
        mount = f" for {call.text('mount')}" if "mount" in call.parameters else ""
        has_none = not call.request.headers.get("authorization") and "pass" not in call.parameters
        what = "no credentials were sent" if has_none else "wrong credentials"
        cause = f"{what} for {call.request.path}{mount}"
        raise Refused("You need to authenticate", status=401, cause=cause)


class RouteGroup(NamedTuple):
    """The paths with a common prefix, which have a table or rule of their own. `find` returns the row or raises
    Refused.
    """

    prefix: str
    find: Callable[[Call], Route]
    kind_of: Callable[[str], frozenset[str]]
    """Returns the kind of the row for a path."""
    methods: frozenset[str] = READ
    is_public: bool = False
    """Whether everybody gets an answer from each of its rows."""


def cross_site_refusal(counters: Counters, request: Request) -> Refused:
    """Returns the refusal of a request that a browser sent for another site's page, and counts it."""
    counters.cross_site_requests += 1
    return Refused(
        "This request came from a page of another web site. To do it yourself, type its address into the browser.",
        status=403,
        cause=f"a page of another site sent it ({_sender(request)})",
    )


def _sender(request: Request) -> str:
    for name in ("origin", "referer", "sec-fetch-site"):
        if value := request.headers.get(name):
            return f"{name}: {value.partition('?')[0][:200]}"
    return ""


def has_access(access: Access, call: Call) -> bool:
    """Whether the request's credentials allow `access`. Raises Refused for those that are not looked at, or not from
    there. May switch: the answer to a wrong password may be late.
    """
    if access is Access.ALL:
        return True
    if access is Access.SHOUTCAST_SOURCE and not (call.is_shoutcast_view and "pass" not in call.parameters):
        return _has_shoutcast_access(call)
    config, logins, ip = call.config, call.site.logins, call.door.ip
    # All others use HTTP's basic authentication, and the admin may use each of them. Not on a port without admin: it
    # must not tell whether a guess of the admin's password is right.
    given = basic_credentials(call.request.headers)
    by_admin = (access is Access.ADMIN or "admin" in call.door.serves) and is_admin(config, given)
    by_other = access is Access.RELAY and is_relay(config, given)
    if access in (Access.SOURCE, Access.SHOUTCAST_SOURCE) and not by_admin:
        mount = call.text("mount") if access is Access.SOURCE else shoutcast_login(call)[0]
        by_other = call.site.sources.is_right(mount, given, ip, is_admin=True)
    # Without credentials only a server can let in that is asked about sources.
    is_right = by_other if given is None else logins.check(ip, given, by_admin or by_other)
    if is_right and by_admin and not call.door.is_local:
        _check_admin_password(config)
    return is_right


def _has_shoutcast_access(call: Call) -> bool:
    """Whether the password in the query is right. SHOUTcast has no user: the configuration gives it."""
    config, logins, ip = call.config, call.site.logins, call.door.ip
    mount, password = shoutcast_login(call)
    admins = config.authentication.admin_user, password
    if call.is_shoutcast_view and "admin" in call.door.serves and is_admin(config, admins):
        is_right = logins.check(ip, admins, True)
        if is_right and not call.door.is_local:
            _check_admin_password(config)
        return is_right
    right = call.site.sources.shoutcast(mount, password, ip, is_admin=True)
    return logins.check(ip, right or (config.for_mount(mount).username, password), right is not None)


def _check_admin_password(config: Config) -> None:
    """Raises Refused if everybody knows the password that the admin gave: nobody can tell then who it is."""
    known = config.authentication
    if is_well_known(known.admin_password, known.admin_user):
        raise Refused(
            "The admin password of this server is publicly known, so it is accepted from its own machine only. Set "
            "authentication.admin_password, or PYCAST_AUTHENTICATION__ADMIN_PASSWORD, to one that nobody can guess",
            cause="the admin password is publicly known",
        )


def shoutcast_login(call: Call) -> tuple[str, str]:
    """Returns the mount and the password of a SHOUTcast encoder's request."""
    # DSP plug-ins that choose a mount by "/mount:password" on a source port send the same in `pass=`.
    mount, colon, password = call.text("pass").partition(":")
    if colon and mount.startswith("/"):
        return mount, password
    # Otherwise `mount=` names it, or it is the first mount of a SHOUTcast port.
    return call.text("mount") or first_shoutcast_mount(call.config), call.text("pass")
