"""The table of all URLs that are not mounts, and the answer to OPTIONS, which does not depend on the URL.

A new page is one row here, a new command of Icecast's admin interface one row in `admin.py`. Exact paths are looked up
first, then the groups in their order.
"""

import re

from pycast.config.values import SERVED
from pycast.errors import Refused
from pycast.http.query import NO_PAIRS, Pairs, parse_form
from pycast.http.request import Request
from pycast.http.response import Response, options_response
from pycast.patterns import pattern
from pycast.web import admin, operations, public
from pycast.web.kept import NotKept
from pycast.web.route import ADMIN, FORM, HEALTH, LISTENERS, METRICS, TITLES, Access, Call, Door, Route, RouteGroup
from pycast.web.site import Site

ROUTES = (
    Route("/", public.status_page, LISTENERS, is_shared=True),
    Route("/status.xsl", public.status_page, LISTENERS, is_shared=True),
    Route("/server_version.xsl", public.server_version, LISTENERS, is_shared=True),
    Route("/status-json.xsl", public.status_json_page, LISTENERS, is_shared=True),
    Route("/status2.xsl", public.status2_page, LISTENERS, is_shared=True),
    Route("/7.xsl", public.seven_page, LISTENERS, is_shared=True),
    Route("/livez", operations.livez, HEALTH, is_answered_when_full=True),
    Route("/readyz", operations.readyz, HEALTH, is_answered_when_full=True),
    Route("/metrics", operations.metrics, METRICS, Access.ADMIN, for_others=operations.public_metrics),
    Route("/admin/drain", operations.drain, ADMIN, Access.ADMIN, FORM, is_answered_when_full=True),
    Route("/admin/cluster", operations.cluster_json, ADMIN, Access.ADMIN, FORM),
    Route("/admin/nodes", operations.nodes_page, ADMIN, Access.ADMIN, FORM),
    Route("/admin", admin.go_to_admin, ADMIN),
    # icecast-kh's frames, to which AzuraCast has a link.
    Route("/admin.html", admin.go_to_admin, ADMIN),
    Route("/adminbar.html", admin.go_to_admin, ADMIN),
    Route("/admin.cgi", admin.admin_cgi, TITLES, Access.SHOUTCAST_SOURCE, FORM, before_access=admin.check_cgi),
)

GROUPS = (
    RouteGroup("/admin/", admin.find_command, admin.kind_of, FORM),
    RouteGroup("", public.find_page, public.kind_of, is_public=True),
)

_BY_PATH = {route.path: route for route in ROUTES}

_SHARED = "|".join(re.escape(route.path) for route in ROUTES if route.is_shared)
_OTHER = "|".join(re.escape(route.path) for route in ROUTES if not route.is_shared)
_FIRST = "|".join(re.escape(route.path) for route in ROUTES if route.is_answered_when_full)
_HEALTH_CHECK = pattern(rf"(?:(?:GET|HEAD|POST) (?:{_FIRST})[? ]|OPTIONS |GET /_cluster/)".encode())
_SHARED_PAGE = pattern(rf"(?:GET|HEAD) (?:{_SHARED})(?:\?[^\s#]*)? HTTP/1\.[01]\r\n".encode())
_PLAYER = pattern(rf"GET (?!{_OTHER}|/admin|/_cluster/|/\.)/[^\s]* HTTP/1\.[01]\r\n".encode())

# The same for all paths, because a mount may have any name. libshout uses PUT if it is listed, else SOURCE.
ALLOW = "GET, HEAD, OPTIONS, PUT, SOURCE"

# A player in a page requests titles with `Icy-MetaData`; a browser sends that header only after this answer.
PREFLIGHT = (
    ("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"),
    ("Access-Control-Allow-Headers", "Accept, Authorization, Icy-MetaData, Origin, Range"),
    ("Access-Control-Max-Age", "86400"),
)


def is_answered_when_full(request: Request) -> bool:
    """Whether a full server answers this: health checks, also in the form that balancers use by default (`OPTIONS /`),
    and drain commands.
    """
    route = _BY_PATH.get(request.path)
    return (route is not None and route.is_answered_when_full) or request.method == "OPTIONS"


def is_for_shared_page(head: bytes) -> bool:
    """Whether these are the bytes of a whole request for one of the pages that are shared. Most such requests: for what
    is written in another way there is the long way.
    """
    return _SHARED_PAGE.match(head) is not None and head.endswith(b"\r\n\r\n")


def is_for_stream(head: bytes) -> bool:
    """Whether these are the bytes of a whole request of a player, as far as can be told without a look at the mounts.
    Most such requests: who writes it in another way need not wait with the others.
    """
    return _PLAYER.match(head) is not None and head.endswith(b"\r\n\r\n")


def comes_first(head: bytes) -> bool:
    """Whether these are the first bytes of what a full server answers too (`is_answered_when_full`), or of another
    node's link: it waits behind nobody.
    """
    return _HEALTH_CHECK.match(head) is not None


def is_open(request: Request) -> bool:
    """Whether pages of other sites may read the answer: of public pages, not of what takes a password."""
    if request.method in ("SOURCE", "PUT", "STATS"):
        return False
    return _row(request.path).is_public


def takes_form(request: Request) -> bool:
    """Whether the request's body has to be read before it is answered."""
    return request.method == "POST" and "POST" in _row(request.path).methods


def check_port(request: Request, serves: frozenset[str]) -> None:
    """Raises Refused if a port that answers `serves` does not answer this request. OPTIONS are the same everywhere."""
    if len(serves) == len(SERVED):  # most ports: asked for each listener
        return
    if request.method in ("SOURCE", "PUT"):
        if "sources" not in serves:
            raise Refused("This port takes no sources", cause="listen.serves of this port has no sources")
    elif request.method == "STATS":
        if "admin" not in serves:
            raise Refused("This port does not serve that", status=404, cause="listen.serves of this port has no admin")
    elif request.method != "OPTIONS" and serves.isdisjoint(_kind(request.path)):
        raise Refused("This port does not serve that", status=404, cause="not in listen.serves of this port")


def answer(site: Site, request: Request, body: bytes, door: Door) -> Response:
    """Answers a request that is neither a source's nor a listener's. Raises Refused. May switch."""
    if request.method == "OPTIONS":
        return options_response(ALLOW, PREFLIGHT if request.headers.get("origin") and is_open(request) else ())
    if request.method == "STATS":  # whatever the path
        return _stats_route().answer(Call(site, request, request.query, door))
    row = _row(request.path)
    if request.method not in row.methods:
        raise Refused(
            f"{request.method} is not possible here: players use GET, sources PUT or SOURCE",
            status=405,
            headers=(("Allow", ALLOW),),
        )
    call = Call(site, request, {**request.query, **_form(request, body)}, door)
    route = row.find(call) if isinstance(row, RouteGroup) else row
    site.counters.file_connections += route.is_public
    return route.answer(call)


def _form(request: Request, body: bytes) -> Pairs:
    """Returns the parameters in a body. Raises Refused for one in which none would be found."""
    given = request.headers.get("content-type") if body else ""
    kind = given.partition(";")[0].strip().lower()
    found = NO_PAIRS
    if kind == "multipart/form-data":
        from pycast.http.multipart_form import parse_multipart  # few programs send such forms

        found = parse_multipart(given, body)
    elif kind != "application/json":
        return parse_form(body)
    if not found and not request.query:
        raise Refused(
            f"Send the parameters in the address or as application/x-www-form-urlencoded, not as {kind}", status=415
        )
    return found


def kept_answer(site: Site, request: Request, door: Door) -> Response | None:
    """Returns the answer to a request for a shared page, None if the page has to be made first. Raises Refused. Never
    switches.
    """
    route = _BY_PATH.get(request.path)
    if route is None or not route.is_shared:  # the path that was asked for stands for another one
        return None
    try:
        return route.answer(Call(site, request, request.query, door, may_wait=False))
    except NotKept:
        return None


def _stats_route() -> Route:
    from pycast.web.stats_stream import STATS  # few servers are ever asked

    return STATS


def _row(path: str) -> Route | RouteGroup:
    return _BY_PATH.get(path) or next(group for group in GROUPS if path.startswith(group.prefix))


def _kind(path: str) -> frozenset[str]:
    row = _row(path)
    return row.kind_of(path) if isinstance(row, RouteGroup) else row.kind
